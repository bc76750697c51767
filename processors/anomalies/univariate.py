"""Detectors of one series that can be chosen instead of Weir's: what is strange to each of them.

`robust-z`: distance from the median in median absolute deviations. `spot`, `dspot`: how unlikely a
value is beyond a high and a low threshold, by the tail of what exceeded them; the latter looks at
the distance from a moving mean (Siffer et al., "Anomaly detection in streams with extreme value
theory", KDD 2017). `seasonal`: distance from a level and an hour of the week that follow the
values (additive smoothing of Holt and Winters). All of them are calibrated by Weir, see
`processors.anomalies.detectors`.
"""

import math

import numpy as np

from processors.anomalies.detectors import Detector
from processors.anomalies.kernels import HOUR_MS, Floats

MOST = 300.0
"""The most that is said of a value that should not be possible."""
_TINY = 1e-12


class RobustZ:
    """Distance from the median of the last `LENGTH` values learned, in deviations."""

    LENGTH = 128
    width = 1 + LENGTH

    def strangeness(self, memory: Floats, time_ms: int, value: float) -> float:
        """Return the distance; NaN before eight values are known."""
        del time_ms
        known = memory[1 : 1 + min(int(memory[0]), self.LENGTH)]
        if len(known) < 8:
            return math.nan
        middle = float(np.median(known))
        spread = 1.4826 * float(np.median(np.abs(known - middle)))
        return abs(value - middle) / (spread + 1e-9 * abs(middle) + _TINY)

    def learn(self, memory: Floats, time_ms: int, value: float) -> None:
        """Take a value for the oldest one."""
        del time_ms
        memory[1 + int(memory[0]) % self.LENGTH] = value
        memory[0] += 1.0


class Spot:
    """Streaming peaks over threshold, on both sides.

    The first `FIRST` values give the thresholds, their quantiles of 98 and 2 %; the last `PEAKS`
    excesses give the tail, a generalised Pareto distribution fitted by its moments (Hosking and
    Wallis 1987) instead of by maximum likelihood.
    """

    FIRST, PEAKS = 200, 64
    QUANTILE = 0.98
    _SIDE = 4 + PEAKS
    _SIDES = 1 + FIRST
    """How many values; the first of them; then per side: threshold, how many excesses, fitted
    shape and scale, the last excesses."""
    width = _SIDES + 2 * _SIDE

    def strangeness(self, memory: Floats, time_ms: int, value: float) -> float:
        """Return -log10 of the chance of such a value; 0 within the thresholds, NaN before."""
        del time_ms
        if memory[0] < self.FIRST:
            return math.nan
        return max(self._beyond(memory, side, value) for side in (1, -1))

    def learn(self, memory: Floats, time_ms: int, value: float) -> None:
        """Take a value; one beyond a threshold changes its tail."""
        del time_ms
        if memory[0] < self.FIRST:
            memory[1 + int(memory[0])] = value
        memory[0] += 1.0
        if memory[0] == self.FIRST:
            self._begin(memory)
        elif memory[0] > self.FIRST:
            for side in (1, -1):
                self._exceed(self._side(memory, side), side * value)

    def _side(self, memory: Floats, side: int) -> Floats:
        first = self._SIDES + (0 if side > 0 else self._SIDE)
        return memory[first : first + self._SIDE]

    def _begin(self, memory: Floats) -> None:
        first = memory[1 : self._SIDES]
        for side in (1, -1):
            own = self._side(memory, side)
            own[0] = np.quantile(side * first, self.QUANTILE)
            for value in side * first:
                self._exceed(own, float(value))

    def _exceed(self, own: Floats, value: float) -> None:
        if value <= own[0]:
            return
        own[4 + int(own[1]) % self.PEAKS] = value - own[0]
        own[1] += 1.0
        own[2], own[3] = fitted(own[4 : 4 + min(int(own[1]), self.PEAKS)])

    def _beyond(self, memory: Floats, side: int, value: float) -> float:
        own = self._side(memory, side)
        excess = side * value - own[0]
        if excess <= 0.0:
            return 0.0
        if not own[1]:
            return MOST
        share = float(own[1] / memory[0])
        return -math.log10(share) + surprise(excess, float(own[2]), float(own[3]))


class Dspot:
    """The same of the distance from the mean of the last `DEPTH` values learned."""

    DEPTH = 20
    _spot = Spot()
    width = 1 + DEPTH + _spot.width

    def strangeness(self, memory: Floats, time_ms: int, value: float) -> float:
        """Return what Spot says of the distance."""
        if memory[0] < self.DEPTH:
            return math.nan
        rest = memory[1 + self.DEPTH :]
        return self._spot.strangeness(rest, time_ms, value - self._mean(memory))

    def learn(self, memory: Floats, time_ms: int, value: float) -> None:
        """Take a value, and its distance."""
        if memory[0] >= self.DEPTH:
            self._spot.learn(memory[1 + self.DEPTH :], time_ms, value - self._mean(memory))
        memory[1 + int(memory[0]) % self.DEPTH] = value
        memory[0] += 1.0

    def _mean(self, memory: Floats) -> float:
        return float(memory[1 : 1 + self.DEPTH].mean())


class Seasonal:
    """Distance from level and hour of the week, in mean distances of before.

    A week is known by its hours; an hour that came in no week yet is that of the day before.
    """

    LEVEL, HOUR, SPREAD = 0.02, 0.3, 0.02
    HOURS = 168
    width = 3 + 2 * HOURS
    """How many values, level, mean distance; of each hour its offset and whether it is known."""

    def strangeness(self, memory: Floats, time_ms: int, value: float) -> float:
        """Return the distance; NaN before eight values are known."""
        if memory[0] < 8:
            return math.nan
        distance = abs(value - memory[1] - self._offset(memory, time_ms))
        return float(distance / (memory[2] + 1e-9 * abs(memory[1]) + _TINY))

    def learn(self, memory: Floats, time_ms: int, value: float) -> None:
        """Follow a value."""
        count, hour = float(memory[0]), time_ms // HOUR_MS % self.HOURS
        offset = self._offset(memory, time_ms)
        gain = max(self.LEVEL, 1.0 / (count + 1.0))
        distance = abs(value - memory[1] - offset)
        memory[1] += gain * (value - offset - memory[1])
        memory[2] += max(self.SPREAD, 1.0 / (count + 1.0)) * (distance - memory[2])
        known = 3 + self.HOURS + hour
        memory[3 + hour] = offset + self.HOUR * (value - memory[1] - offset)
        memory[known] = 1.0
        memory[0] += 1.0

    def _offset(self, memory: Floats, time_ms: int) -> float:
        hour = time_ms // HOUR_MS % self.HOURS
        for days in range(7):
            place = (hour - 24 * days) % self.HOURS
            if memory[3 + self.HOURS + place]:
                return float(memory[3 + place])
        return 0.0


def fitted(excesses: Floats) -> tuple[float, float]:
    """Return shape and scale of the generalised Pareto distribution of excesses, at least one."""
    mean, spread = float(excesses.mean()), float(excesses.var())
    ratio = mean * mean / spread if spread > _TINY * mean * mean else math.inf
    shape = min(0.5, max(-0.5, 0.5 * (1.0 - ratio)))
    return shape, mean * (1.0 - shape)


def surprise(excess: float, shape: float, scale: float) -> float:
    """Return -log10 of the chance of an excess; at most `MOST`."""
    if abs(shape) < 1e-6:
        return min(MOST, excess / scale / math.log(10.0))
    grown = 1.0 + shape * excess / scale
    return min(MOST, math.log10(grown) / shape) if grown > 0.0 else MOST


DETECTORS: dict[str, Detector] = {
    "robust-z": RobustZ(),
    "spot": Spot(),
    "dspot": Dspot(),
    "seasonal": Seasonal(),
}
"""By the names that policies call them by; they remember nothing themselves."""

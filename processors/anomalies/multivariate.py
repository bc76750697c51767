"""Detectors that look at a window as a whole: mean, spread and quantiles at once.

What is usual of each number may be strange of all together. `mahalanobis`: distance from the mean
by a covariance that follows the windows. `half-space-trees`: how few windows of before fell where
this one does (Tan, Ting and Liu, "Fast anomaly detection for streaming data", IJCAI 2011).
`random-cuts`: how much it displaces among earlier ones (`processors.anomalies.cuts`). All of them
are calibrated by Weir, see `processors.anomalies.detectors`.
"""

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from processors.anomalies.cuts import displacement
from processors.anomalies.kernels import Floats

NUMBERS = ("mean", "std", "p50", "p90", "p99")
"""Statistics of a window that make its vector."""
DIMS = len(NUMBERS)
_TINY = 1e-12


class VectorDetector(Protocol):
    """As `processors.anomalies.detectors.Detector`, of vectors of `DIMS` numbers."""

    @property
    def width(self) -> int:
        """How many numbers it remembers of a series; all are 0 at first."""
        ...

    def strangeness(self, memory: Floats, time_ms: int, value: Floats) -> float:
        """Return how strange a finite vector is."""
        ...

    def learn(self, memory: Floats, time_ms: int, value: Floats) -> None:
        """Learn a vector, just judged, that was not flagged."""
        ...


class Mahalanobis:
    """Distance by a mean and a covariance that forget; the latter is shrunk to its diagonal."""

    LENGTH, LEAST, SHRUNK = 512.0, 20, 0.05
    width = 1 + DIMS + DIMS * DIMS

    def strangeness(self, memory: Floats, time_ms: int, value: Floats) -> float:
        """Return the distance; NaN before `LEAST` vectors are known."""
        del time_ms
        if memory[0] < self.LEAST:
            return math.nan
        covariance = memory[1 + DIMS :].reshape(DIMS, DIMS)
        spread = np.diag(covariance)
        least = _TINY + 1e-18 * memory[1 : 1 + DIMS] ** 2
        shrunk = (1.0 - self.SHRUNK) * covariance + np.diag(self.SHRUNK * spread + least)
        off = value - memory[1 : 1 + DIMS]
        scale = np.sqrt(np.diag(shrunk))
        off, shrunk = off / scale, shrunk / np.outer(scale, scale)
        if not np.isfinite(shrunk).all():
            return math.nan
        return math.sqrt(max(0.0, float(off @ np.linalg.solve(shrunk, off))))

    def learn(self, memory: Floats, time_ms: int, value: Floats) -> None:
        """Follow a vector; one that is too large to be squared lets all begin anew."""
        del time_ms
        gain = max(1.0 / self.LENGTH, 1.0 / (memory[0] + 1.0))
        off = value - memory[1 : 1 + DIMS]
        memory[1 : 1 + DIMS] += gain * off
        covariance = memory[1 + DIMS :].reshape(DIMS, DIMS)
        covariance += gain * (np.outer(off, off) * (1.0 - gain) - covariance)
        memory[0] += 1.0
        if not np.isfinite(memory).all():
            memory[:] = 0.0


class Scaled:
    """The mean and the mean distance from it of each number: what scales vectors alike."""

    LENGTH = 256.0
    width = 1 + 2 * DIMS

    def of(self, memory: Floats, value: Floats) -> Floats:
        """Return vectors in mean distances from the mean."""
        middle, spread = memory[1 : 1 + DIMS], memory[1 + DIMS : self.width]
        scaled: Floats = (value - middle) / (spread + 1e-9 * np.abs(middle) + _TINY)
        return scaled

    def learn(self, memory: Floats, value: Floats) -> None:
        """Follow a vector."""
        gain = max(1.0 / self.LENGTH, 1.0 / (memory[0] + 1.0))
        memory[1 : 1 + DIMS] += gain * (value - memory[1 : 1 + DIMS])
        away = np.abs(value - memory[1 : 1 + DIMS])
        memory[1 + DIMS : self.width] += gain * (away - memory[1 + DIMS : self.width])
        memory[0] += 1.0


class HalfSpaceTrees:
    """How few of the last whole `WINDOW` of vectors fell into the same half spaces."""

    TREES, DEPTH, WINDOW = 10, 4, 128
    NODES = 2 ** (DEPTH + 1) - 1
    LEAST = 0.1 * WINDOW
    _scaled = Scaled()
    _MASSES = _scaled.width + 1
    width = _MASSES + 2 * TREES * NODES
    """What scales, vectors in this window, masses of the last one, masses of this one."""

    def __init__(self) -> None:
        self._dims: npt.NDArray[np.int64] = np.zeros((self.TREES, self.NODES), np.int64)
        self._places: Floats = np.zeros((self.TREES, self.NODES))
        turn = 0.0
        for tree in range(self.TREES):
            low, high = np.full(DIMS, -8.0), np.full(DIMS, 8.0)
            for dim in range(DIMS):
                turn = (turn + 0.6180339887498949) % 1.0  # evenly spread, the same each time
                low[dim], high[dim] = -8.0 + 4.0 * (turn - 0.5), 8.0 + 4.0 * (turn - 0.5)
            self._grow(tree, 0, low, high)

    def _grow(self, tree: int, node: int, low: Floats, high: Floats) -> None:
        dim = (node * 7 + tree * 3) % DIMS
        place = (low[dim] + high[dim]) / 2.0
        self._dims[tree, node], self._places[tree, node] = dim, place
        if 2 * node + 2 < self.NODES:
            left, right = high.copy(), low.copy()
            left[dim] = right[dim] = place
            self._grow(tree, 2 * node + 1, low, left)
            self._grow(tree, 2 * node + 2, right, high)

    def strangeness(self, memory: Floats, time_ms: int, value: Floats) -> float:
        """Return how many bits less the mass is than it could be; NaN in the first window."""
        del time_ms
        last, _ = self._masses(memory)
        if not last[0, 0]:
            return math.nan
        scaled, score = self._scaled.of(memory, value), 0.0
        for tree in range(self.TREES):
            for depth, node in enumerate(self._way(tree, scaled)):
                if last[tree, node] <= self.LEAST or depth == self.DEPTH:
                    score += float(last[tree, node]) * 2.0**depth
                    break
        most = self.TREES * self.WINDOW * 2.0**self.DEPTH
        return math.log2((1.0 + most) / (1.0 + score))

    def learn(self, memory: Floats, time_ms: int, value: Floats) -> None:
        """Count a vector; a full window becomes the last one."""
        del time_ms
        last, now = self._masses(memory)
        scaled = self._scaled.of(memory, value)
        for tree in range(self.TREES):
            now[tree, self._way(tree, scaled)] += 1.0
        self._scaled.learn(memory, value)
        memory[self._MASSES - 1] += 1.0
        if memory[self._MASSES - 1] >= self.WINDOW:
            last[:], now[:] = now, 0.0
            memory[self._MASSES - 1] = 0.0

    def _masses(self, memory: Floats) -> tuple[Floats, Floats]:
        both = memory[self._MASSES :].reshape(2, self.TREES, self.NODES)
        return both[0], both[1]

    def _way(self, tree: int, scaled: Floats) -> list[int]:
        way = [0]
        for _ in range(self.DEPTH):
            node = way[-1]
            right = scaled[self._dims[tree, node]] > self._places[tree, node]
            way.append(2 * node + (2 if right else 1))
        return way


class RandomCuts:
    """How much a vector displaces in trees of random cuts of `POINTS` earlier ones."""

    POINTS, LEAST = 64, 16
    _scaled = Scaled()
    _FIRST = _scaled.width
    width = _FIRST + POINTS * DIMS

    def strangeness(self, memory: Floats, time_ms: int, value: Floats) -> float:
        """Return the mean collusive displacement; NaN before `LEAST` vectors are known."""
        del time_ms
        if memory[0] < self.LEAST:
            return math.nan
        known = memory[self._FIRST :].reshape(self.POINTS, DIMS)
        points = known[: int(min(memory[0], self.POINTS))]
        scaled = np.ascontiguousarray(self._scaled.of(memory, np.vstack([points, value])))
        return displacement(scaled[:-1], scaled[-1])

    def learn(self, memory: Floats, time_ms: int, value: Floats) -> None:
        """Take a vector for the oldest one."""
        del time_ms
        place = self._FIRST + int(memory[0]) % self.POINTS * DIMS
        memory[place : place + DIMS] = value
        self._scaled.learn(memory, value)


VECTOR_DETECTORS: dict[str, VectorDetector] = {
    "mahalanobis": Mahalanobis(),
    "half-space-trees": HalfSpaceTrees(),
    "random-cuts": RandomCuts(),
}
"""By the names that policies call them by; they remember nothing themselves."""

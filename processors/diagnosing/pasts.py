"""The past of a series in bounded space, and since when it is not what it was.

A past holds the last 64 windows as they came and, before these, up to 48 medians of eight windows
each, so that a slow leak shows against a time before it began. The baseline is the median of the
oldest part of what lies before the incident; the scale is the largest of the median absolute
deviation, the noise between neighbours, and a share of the level. The onset is where a CUSUM
(Page 1954, Continuous inspection schemes) that raised an alarm, and still stands, last left zero.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FINE: Final = 64
COARSE: Final = 48
TOGETHER: Final = 8
LEAST: Final = 10
"""Fewer points before an incident are no baseline."""
_BASE_SHARE = 0.6
_MAD = 1.4826
_LEVEL_SHARE = 0.02
_SLACK, _ALARM, _CLIP = 0.75, 8.0, 8.0
_FAINT, _STRONG, _SURE = 1.0, 4.0, 0.5
Floats = npt.NDArray[np.float64]
_PAIR = np.dtype([("end", "<i8"), ("value", "<f8")])


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a series has moved, in units of its own noise, and since when (ms).

    `strength` runs from 0 to 1; `before` and `after` are medians.
    """

    strength: float
    effect: float
    since: int
    before: float
    after: float


class Past:
    """Windows of one series by event time; those that are not newer are passed over."""

    def __init__(self) -> None:
        self._fine: deque[tuple[int, float]] = deque()
        self._coarse: deque[tuple[int, float]] = deque(maxlen=COARSE)
        self._pending: list[tuple[int, float]] = []

    @property
    def newest(self) -> int:
        """Return the end of the newest window, ms; 0 for none."""
        return self._fine[-1][0] if self._fine else 0

    @property
    def step(self) -> int:
        """Return the usual time between windows, ms; 0 when there are too few."""
        ends = [end for end, _ in self._fine]
        return int(np.median(np.diff(ends))) if len(ends) > 2 else 0

    def add(self, end: int, value: float) -> bool:
        """Take a window; False when it is not newer than the newest or no finite number."""
        if end <= self.newest or not np.isfinite(value):
            return False
        self._fine.append((end, value))
        if len(self._fine) > FINE:
            self._pending.append(self._fine.popleft())
            if len(self._pending) == TOGETHER:
                middle = float(np.median([value for _, value in self._pending]))
                self._coarse.append((self._pending[-1][0], middle))
                self._pending = []
        return True

    def packed(self) -> tuple[bytes, bytes, bytes]:
        """Return the windows, the medians and what waits to become one, as bytes."""
        return _packed(self._fine), _packed(self._coarse), _packed(self._pending)

    @classmethod
    def of(cls, fine: bytes, coarse: bytes, pending: bytes) -> "Past":
        """Return the past that was packed."""
        past = cls()
        past._fine.extend(_unpacked(fine))
        past._coarse.extend(_unpacked(coarse))
        past._pending.extend(_unpacked(pending))
        return past

    def shift(self, began: int, least_scale: float = 0.0) -> Shift | None:
        """Return how far the series has moved by now; None when too little is known.

        `began` (ms) is when the incident was noticed; `least_scale` bounds its noise from below.
        """
        points = [*self._coarse, *self._pending, *self._fine]
        before = sum(1 for end, _ in points if end < began)
        if before < LEAST or len(points) - before < 1:
            return None
        values = np.array([value for _, value in points])
        base = values[: max(LEAST, int(before * _BASE_SHARE))]
        middle = float(np.median(base))
        scale = max(_scale(base, values[-len(self._fine) :], middle), least_scale)
        scores = (values - middle) / scale
        begin = _onset(scores, len(base) // 2)
        if begin is None:
            return Shift(0.0, 0.0, points[-1][0], middle, float(values[-1]))
        effect = float(np.median(scores[begin:]))
        begin = _sharpened(scores * np.sign(effect), begin, abs(effect))
        effect = float(np.median(scores[begin:]))
        strength = _strength(abs(effect))
        if len(values) - begin < 2:
            strength *= 0.6
        return Shift(strength, effect, points[begin][0], middle, middle + effect * scale)


def _strength(effect: float) -> float:
    """Return how strong a symptom is whose CUSUM stands: what has surely moved is no trifle."""
    if effect < _FAINT:
        return 0.0
    return min(1.0, _SURE + (1.0 - _SURE) * (effect - _FAINT) / (_STRONG - _FAINT))


def _sharpened(scores: Floats, begin: int, effect: float) -> int:
    """Return where the change most likely began, at or after where the CUSUM left zero.

    The maximum-likelihood point (Hinkley 1970) for a change to a quarter of the effect, so that a
    ramp is dated by its beginning rather than its middle.
    """
    least = min(3.0, max(_SLACK, effect / 4))
    sums = np.concatenate([[0.0], np.cumsum(scores[begin:] - least)])
    return min(begin + int(np.argmin(sums)), len(scores) - 1)


def _scale(base: Floats, fine: Floats, middle: float) -> float:
    """Return the noise of a series: what neighbours differ by counts too, but only before."""
    deviation = _MAD * float(np.median(np.abs(base - middle)))
    steps = np.abs(np.diff(fine)) if len(fine) > LEAST else np.zeros(1)
    noise = _MAD * float(np.median(steps)) / float(np.sqrt(2.0))
    return max(deviation, noise, _LEVEL_SHARE * abs(middle), 1e-9)


def _onset(scores: Floats, first: int) -> int | None:
    """Return where the CUSUM that stands at the end began, on whichever side is higher."""
    sides = [_climb(sign * scores, first) for sign in (1.0, -1.0)]
    height, begin = max(sides)
    return begin if height > 0.0 else None


def _climb(scores: Floats, first: int) -> tuple[float, int]:
    """Return the height of the sum above the alarm, 0 for none, and where it last left zero."""
    total = np.concatenate([[0.0], np.cumsum(np.minimum(scores[first:], _CLIP) - _SLACK)])
    height = total - np.minimum.accumulate(total)
    begin = int(np.flatnonzero(height == 0.0)[-1])
    place, tail = first + begin, scores[first + begin :][-3:]
    alarmed = len(tail) > 0 and float(height[begin:].max()) > _ALARM
    stands = alarmed and float(np.median(tail) if len(tail) == 3 else tail[-1]) > _FAINT
    return (float(height[-1]), place) if stands else (0.0, place)


def _packed(points: Iterable[tuple[int, float]]) -> bytes:
    return np.array(list(points), dtype=_PAIR).tobytes()


def _unpacked(data: bytes) -> list[tuple[int, float]]:
    found = np.frombuffer(data, dtype=_PAIR)
    return list(zip(found["end"].tolist(), found["value"].tolist(), strict=True))

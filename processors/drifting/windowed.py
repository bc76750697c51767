"""Detectors that compare two samples of a series: a reference, and what came last.

ks and psi: the first `window` values are the reference, every `window` further ones are compared
with it. kswin: Raab et al., "Reactive soft prototype computing for concept drift streams",
Neurocomputing 2020: of the last `window` values the newest three tenths are compared with all
others, every tenth of a window, not with a random choice of them at every value.

A window that differs is a warning; it is a drift when the next one, of fresh values alone, differs
from the same reference, too. A drift begins a new reference.
"""

from dataclasses import dataclass

import numpy as np

from processors.drifting import samples
from processors.drifting.banks import Alarm, Level, Rows
from processors.drifting.detectors import KSWIN, PSI
from processors.drifting.kernels import Floats, Ints

_FILLED, _WARNED, _VALUES = 0, 1, 2
_CHANCE = 0.001
"""An index of stability that chance gives more often tells nothing, however large."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Values of the reference and of what is compared; how far both move on, 0: not at all."""

    reference: int
    current: int
    slide: int

    @classmethod
    def of(cls, detector: str, window: int) -> "Sizes":
        """Return the sizes of a detector."""
        if detector != KSWIN:
            return cls(window, window, 0)
        recent = 3 * window // 10
        return cls(window - recent, recent, window // 10)


class WindowedBank(Rows):
    """One of ks, psi and kswin: a row is how many values are filled in, whether warned, values."""

    def __init__(self, detector: str, given: tuple[float, ...]) -> None:
        limit, window = given
        self._sizes = Sizes.of(detector, int(window))
        super().__init__(_VALUES + self._sizes.reference + self._sizes.current)
        self._detector, self._limit = detector, limit

    def feed(self, rows: Ints, values: Floats) -> list[Alarm]:
        """Fill each value into its row; compare where samples are full."""
        starts = np.flatnonzero(np.diff(rows, prepend=-1)).tolist()
        alarms: list[Alarm] = []
        for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
            alarms += self._fill(self.states[rows[start]], values, start, end)
        return alarms

    def _fill(self, row: Floats, values: Floats, start: int, end: int) -> list[Alarm]:
        alarms, most = [], self._sizes.reference + self._sizes.current
        while start < end:
            filled = int(row[_FILLED])
            taken = min(end - start, most - filled)
            row[_VALUES + filled : _VALUES + filled + taken] = values[start : start + taken]
            row[_FILLED] = filled + taken
            start += taken
            if filled + taken == most:
                alarm = self._compare(row, start - 1)
                alarms += [] if alarm is None else [alarm]
        return alarms

    def _compare(self, row: Floats, place: int) -> Alarm | None:
        """Judge a full row, and make room in it."""
        sizes, warned = self._sizes, row[_WARNED] > 0.0
        reference = row[_VALUES : _VALUES + sizes.reference]
        differs, statistic, p = self._judged(reference, row[_VALUES + sizes.reference :])
        if differs and warned:
            row[:] = 0.0
            return Alarm(place, Level.CONFIRMED, 2 * sizes.current, statistic, p)
        row[_WARNED] = float(differs)
        if differs or not sizes.slide:
            row[_FILLED] = sizes.reference
        else:
            kept = sizes.reference + sizes.current - sizes.slide
            row[_VALUES : _VALUES + kept] = row[_VALUES + sizes.slide :].copy()
            row[_FILLED] = kept
        if differs:
            return Alarm(place, Level.WARNING, sizes.current, statistic, p)
        back = 2 * sizes.current
        return Alarm(place, Level.DISMISSED, back, statistic, p) if warned else None

    def _judged(self, reference: Floats, current: Floats) -> tuple[bool, float, float]:
        """Return whether two samples differ, their statistic and its probability."""
        first, second = len(reference), len(current)
        if self._detector == PSI:
            edges = samples.tenths(reference)
            index = samples.psi(samples.binned(reference, edges), samples.binned(current, edges))
            p = samples.psi_p(index, first, second, len(edges) + 1)
            return index > self._limit and p < _CHANCE, index, p
        distance = samples.ks(reference, current)
        p = samples.ks_p(distance, first, second)
        return p < self._limit, distance, p

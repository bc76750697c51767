"""When the next job of a service is to be expected, learned from those that came. Pure."""

import math

from workers.scheduling.windows import Window

STEADY = 0.35
"""Arrivals whose gaps mostly stray from their median by no more than this share are expected."""
_GAPS = 9
_MOSTLY = 0.75
_MEAN = 20
_TOLD = 8
_CEASED = 5.0
_RENEWED = 4
_AGED = 32
_KEYS = 256
_LONGEST_MS = 3_600_000.0


class Rhythm:
    """Median gap between arrivals (ms), and how far gaps mostly stray from it.

    Of the latest nine, so that a pause is soon forgotten. Jobs that come at one instant are a
    `burst`, as large as the last one; `mean_ms` is the mean gap of the latest twenty or so, jobs
    that come at once included. Until two have come, the declared gap is expected; where
    none is declared, the budget, since frames are mostly to be done before the next one. So many
    have come that the mean gap says something once they are `counted`, and anything can be `told`
    of when the next comes, or how often they come, then or where they are `steady`. Where
    jobs replace waiting ones of their key, `renewed_ms` is how long after: of the latest four or
    so, and slowly also of keys whose next job came when none waited any more, so that frames that
    come more seldom than they did are not hurried for ever. When a key was last seen is known of
    the latest 256.
    """

    def __init__(self, gap_ms: float, *, declared: bool) -> None:
        self.gap_ms = gap_ms
        self.stray_ms = 0.0 if declared else 0.5 * STEADY * gap_ms
        self.mean_ms = min(gap_ms, _LONGEST_MS)
        self.last = 0.0
        self.seen = 0
        self.burst = 1
        self.steady = False
        self.counted = False
        self.told = False
        self.renewed_ms = math.inf
        self._gaps = Window(_GAPS)
        self._at_once = 0
        self._keys: dict[str, float] = {}

    def saw(self, arrived: float) -> None:
        """Take an arrival into account."""
        self.seen += 1
        gap, seen = arrived - self.last, self.seen
        if seen > 1:
            length = seen - 1 if seen <= _MEAN else _MEAN
            self.mean_ms += (max(0.0, gap) - self.mean_ms) / length
        if seen > _TOLD:
            self.counted = self.told = True
        if seen > 1 and gap <= 0.0:
            self._at_once += 1
            return
        self.burst, self._at_once = self._at_once or 1, 1
        self.last = arrived
        if seen > 1:
            gaps = self._gaps
            gaps.add(gap)
            middle = gaps.quantile(0.5)
            above, below = gaps.quantile(_MOSTLY) - middle, middle - gaps.quantile(1.0 - _MOSTLY)
            self.gap_ms, self.stray_ms = middle, above if above > below else below  # noqa: FURB136  # a call doubles its cost
        self.steady = self.stray_ms <= STEADY * self.gap_ms
        self.told = self.steady or self.counted

    def renewed(self, key: str, arrived: float, *, replaced: bool) -> None:
        """Take note that a job of a key came; those that come at once say nothing."""
        before = self._keys.pop(key, arrived)
        self._keys[key] = arrived
        if len(self._keys) > _KEYS:
            del self._keys[next(iter(self._keys))]
        after_ms, former = arrived - before, self.renewed_ms
        if after_ms <= 0.0:
            return
        if former < math.inf:
            self.renewed_ms += (after_ms - former) / (_RENEWED if replaced else _AGED)
        elif replaced:
            self.renewed_ms = after_ms

    def ceased(self, now: float) -> bool:
        """Tell whether arrivals that come at random have most likely ended."""
        return now - self.last > _CEASED * self.mean_ms

    def overdue_at(self) -> float:
        """Return from when on an arrival that did not come is no longer expected."""
        return self.last + 1.1 * self.gap_ms + 2.0 * self.stray_ms

    def expected(self, now: float) -> float | None:
        """Return when the next arrival is expected, None when that cannot be told or is overdue."""
        if not self.steady or now >= self.overdue_at():
            return None
        return self.last + self.gap_ms

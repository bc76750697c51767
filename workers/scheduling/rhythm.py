"""When the next job of a service is to be expected, learned from those that came. Pure."""

STEADY = 0.35
"""Arrivals whose gaps stray from their mean by no more than this share of it are expected."""
_LEARNED = 0.2


class Rhythm:
    """Mean gap between arrivals (ms) and how far gaps stray from it, smoothed exponentially.

    Until two have come, the declared gap is expected; where none is declared, the budget, since
    frames are mostly to be done before the next one.
    """

    __slots__ = ("_stray", "gap_ms", "last", "seen")

    def __init__(self, gap_ms: float, *, declared: bool) -> None:
        self.gap_ms = gap_ms
        self.last = 0.0
        self.seen = 0
        self._stray = 0.0 if declared else 0.5 * STEADY * gap_ms

    def saw(self, arrived: float) -> None:
        """Take an arrival into account."""
        self.seen += 1
        if self.seen > 1:
            gap = max(0.0, arrived - self.last)
            share = 1.0 if self.seen == 2 else _LEARNED
            self._stray += share * (abs(gap - self.gap_ms) - self._stray) if self.seen > 2 else 0.0
            self.gap_ms += share * (gap - self.gap_ms)
        self.last = max(self.last, arrived)

    @property
    def steady(self) -> bool:
        """Whether the next arrival can be told."""
        return self.seen > 0 and self.gap_ms > 0.0 and self._stray <= STEADY * self.gap_ms

    @property
    def stray_ms(self) -> float:
        """Return how far gaps stray from their mean, on average."""
        return self._stray

    def overdue_at(self) -> float:
        """Return from when on an arrival that did not come is no longer expected."""
        return self.last + 1.1 * self.gap_ms + 2.0 * self._stray

    def expected(self, now: float) -> float | None:
        """Return when the next arrival is expected, None when that cannot be told or is overdue."""
        if not self.steady or now >= self.overdue_at():
            return None
        return self.last + self.gap_ms

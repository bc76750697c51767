"""What a ms of the accelerator is worth when not all work fits, by the rates it comes at. Pure."""

from collections.abc import Iterable

from workers.scheduling.lanes import Lane

_LEAST = 16
"""Arrivals after which it is asked anew, unless there are more services than that."""
_TINY_MS = 1e-6


class Fluid:
    """The accelerator's time shared out as if work came evenly and could be divided.

    Time goes to what is worth most per ms until none is left (the fractional knapsack, Dantzig
    1957). Whose share is cut sets the `price` of a ms, 0 where all fits; of the `cheap` services
    nothing fits.
    """

    def __init__(self) -> None:
        self.price = 0.0
        self.cheap: frozenset[str] = frozenset()
        self._arrivals = 0

    def stale(self, services: int) -> bool:
        """Take note of an arrival; True when as many came as there are services."""
        self._arrivals += 1
        return self._arrivals >= max(_LEAST, services)

    def ask(self, lanes: Iterable[Lane], now: float) -> None:
        """Share the time out anew; O(n log n) of the services."""
        self._arrivals = 0
        wanted = sorted((_wanted(lane, now) for lane in lanes if lane.rhythm.counted), reverse=True)
        left = 1.0
        for place, (worth, share, _) in enumerate(wanted, 1):
            left -= share
            if left < 0.0:
                self.price = worth
                self.cheap = frozenset(name for _, _, name in wanted[place:])
                return
        self.price, self.cheap = 0.0, frozenset()


def _wanted(lane: Lane, now: float) -> tuple[float, float, str]:
    """Return what a service is worth per ms, and what share of all time it asks for.

    Its jobs are taken to be executed in the largest batches that its queue can give.
    """
    rhythm, terms = lane.rhythm, lane.terms
    most = min(terms.max_batch, terms.queue_tasks)
    each = max(lane.profile.typical(most) / most, _TINY_MS)
    gap_ms = max(rhythm.mean_ms, now - rhythm.last, _TINY_MS)
    worth = lane.value * lane.profile.chance(terms.budget_ms) / each
    return worth, each / gap_ms, lane.name

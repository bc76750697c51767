"""Whose queue is about to overflow, and what that loses. Pure."""

from workers.scheduling.boards import Board
from workers.scheduling.lanes import Lane

_TINY_MS = 1e-6


class Crowding:
    """Services with work by when their queue is expected to be full.

    `names` are those of which that can happen: jobs of others expire before.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._full: Board[tuple[float, str]] = Board()

    def arrived(self, lane: Lane) -> None:
        """Take note of how often a service's jobs come."""
        rhythm, terms = lane.rhythm, lane.terms
        if rhythm.counted and terms.queue_tasks * rhythm.mean_ms <= terms.budget_ms:
            self.names.add(lane.name)
        elif lane.name in self.names:
            self.forget(lane.name)

    def changed(self, lane: Lane, now: float) -> None:
        """Take note of how full the queue is of one of the names."""
        if lane.count:
            free = lane.terms.queue_tasks - lane.count
            self._full.set(lane.name, (now + free * lane.rhythm.mean_ms, lane.name))
        else:
            self._full.drop(lane.name)

    def forget(self, service: str) -> None:
        """Expect nothing more of a service."""
        self.names.discard(service)
        self._full.drop(service)

    def first(self, by: float) -> str | None:
        """Return the service whose queue is full first, if that is before a time."""
        found = self._full.first()
        return found[1] if found is not None and found[0][0] < by else None


def overflow(lane: Lane, takes_ms: float, price: float) -> float:
    """Return the value that falls out of a service's queue while others execute for so long.

    Less what its time would be worth otherwise, at a `price` per ms. No more than one batch of
    the service, which would make as much room, and than would be done of it meanwhile.
    """
    size = min(lane.terms.max_batch, lane.count)
    if not size:
        return 0.0
    each = lane.profile.typical(size) / size
    free = lane.terms.queue_tasks - lane.count
    comes = takes_ms / max(lane.rhythm.mean_ms, _TINY_MS)
    lost = min(comes - free, size, takes_ms / max(each, _TINY_MS))
    return max(0.0, lost) * max(0.0, lane.value - price * each)

"""Whose queue is about to overflow, and what that loses. Pure."""

from workers.scheduling.boards import Board
from workers.scheduling.lanes import Lane

_TINY_MS = 1e-6


class Crowding:
    """Services with work by when their queue is expected to be full.

    `names` are those of which that can happen: jobs of others expire before. Places on the board
    are lower bounds: nothing is moved when a queue gets emptier, only when its time comes.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._full_at: dict[str, float] = {}
        self._full: Board[tuple[float, str]] = Board()

    def arrived(self, lane: Lane) -> None:
        """Take note of how often a service's jobs come."""
        rhythm, terms = lane.rhythm, lane.terms
        if rhythm.counted and lane.room_ms() <= terms.budget_ms:
            self.names.add(lane.name)
        elif lane.name in self.names:
            self.forget(lane.name)

    def changed(self, lane: Lane, now: float) -> None:
        """Take note of how full the queue is of one of the names."""
        name = lane.name
        if not lane.count:
            self._full_at.pop(name, None)
            self._full.drop(name)
            return
        full_at = now + lane.room_ms() - lane.count * lane.rhythm.mean_ms
        former = self._full_at.get(name)
        self._full_at[name] = full_at
        if former is None or full_at < former:
            self._full.set(name, (full_at, name))

    def forget(self, service: str) -> None:
        """Expect nothing more of a service."""
        self.names.discard(service)
        self._full_at.pop(service, None)
        self._full.drop(service)

    def first(self, by: float) -> str | None:
        """Return the service whose queue is full first, if that is before a time."""
        while (found := self._full.first()) is not None and found[0][0] < by:
            name = found[1]
            full_at = self._full_at[name]
            if full_at == found[0][0]:
                return name
            self._full.set(name, (full_at, name))
        return None


def overflow(lane: Lane, takes_ms: float, price: float) -> float:
    """Return the value that falls out of a service's queue while others execute for so long.

    Less what its time would be worth otherwise, at a `price` per ms. No more than one batch of
    the service, which would make as much room, and than would be done of it meanwhile.
    """
    gap_ms = max(lane.rhythm.mean_ms, _TINY_MS)
    over_ms = takes_ms + lane.count * gap_ms - lane.room_ms()
    if over_ms <= 0.0 or not lane.count:
        return 0.0
    size = min(lane.terms.max_batch, lane.count)
    each = lane.profile.typical(size) / size
    lost = min(over_ms / gap_ms, size, takes_ms / max(each, _TINY_MS))
    return max(0.0, lost) * max(0.0, lane.value - price * each)

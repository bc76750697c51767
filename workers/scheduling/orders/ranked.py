"""Orders that sort jobs by a key that does not change while they wait. Pure."""

from workers.scheduling.boards import Board
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Order, Pick
from workers.scheduling.waiting import Rank, Waiting


class Ranked(Order):
    """Smallest rank of all heads first; ties by arrival."""

    why = ""

    def __init__(self) -> None:
        self._board: Board[tuple[Rank, int]] = Board()
        self._lanes: dict[str, Lane] = {}

    def served(self, lane: Lane, /) -> None:
        """Take note of a service."""
        self._lanes[lane.name] = lane

    def left(self, lane: Lane, /) -> None:
        """Take note that a service is gone."""
        self._lanes.pop(lane.name, None)
        self._board.drop(lane.name)

    def changed(self, lane: Lane, /) -> None:
        """Give a service the place of its next job."""
        head = lane.head()
        if head is None:
            self._board.drop(lane.name)
        else:
            self._board.set(lane.name, self.place(lane, head))

    def place(self, _lane: Lane, head: Waiting, /) -> tuple[Rank, int]:
        """Return the place of a service by its next job."""
        return (head.rank, head.seq)

    def pick(self, _now: float, /) -> Pick | None:
        """Return the head with the smallest place."""
        first = self._board.first()
        if first is None:
            return None
        lane = self._lanes[first[1]]
        return Pick(lane, lane.head(), self.why)


class Fifo(Ranked):
    """First come, first served."""

    name = "fifo"
    why = "it came first"

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return the arrival."""
        return waiting.seq


class PriorityEdf(Ranked):
    """Highest priority, then earliest deadline."""

    name = "priority-edf"
    why = "most important, then most urgent"

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return priority, then deadline."""
        return (-waiting.job.priority, waiting.job.deadline)


class LeastLaxity(Ranked):
    """Least time to spare first: deadline minus now minus predicted time (Dertouzos, Mok 1989).

    Laxities of waiting jobs all shrink alike, so their order stands. A service goes on until
    another one's laxity is smaller by more than `quantum_ms`, so that equal laxities do not
    take turns.
    """

    name = "least-laxity"
    why = "least time to spare"

    def __init__(self, quantum_ms: float = 1.0) -> None:
        super().__init__()
        self._quantum_ms = quantum_ms
        self._last = ""

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return when it is due; within a service predicted times are the same."""
        return waiting.due

    def place(self, lane: Lane, head: Waiting, /) -> tuple[Rank, int]:
        """Return the latest start that is in time."""
        return (head.rank - lane.profile.careful(), head.seq)

    def pick(self, _now: float, /) -> Pick | None:
        """Return the head with the least laxity, with hysteresis."""
        first = self._board.first()
        if first is None:
            return None
        lane = self._lanes[first[1]]
        last = self._lanes.get(self._last)
        head = last.head() if last is not None else None
        if last is not None and head is not None:
            place = self.place(last, head)
            if place[0] <= first[0][0] + self._quantum_ms:
                lane = last
        return Pick(lane, lane.head(), self.why)

    def executed(self, lane: Lane, /) -> None:
        """Remember who was served last."""
        self._last = lane.name

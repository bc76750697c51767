"""What the robust order knows of a service: its next jobs, and the one worth least. Pure."""

import heapq

from workers.scheduling.lanes import Lane
from workers.scheduling.waiting import Waiting

_TINY_MS = 1e-6
_Entry = tuple[float, float, int, Waiting]


def worth(waiting: Waiting) -> float:
    """Return a job's value per ms of predicted work."""
    return waiting.job.value / max(waiting.work_ms, _TINY_MS)


class Standing:
    """The next jobs of a service: of those that can be held, of those set aside, worth least.

    As long as all that wait are worth the same, the next one is worth least; only where values
    differ are jobs sorted by them. `moves` are those of its profile that were taken note of.
    """

    __slots__ = ("_heap", "_value", "aside", "cheapest", "lane", "moves", "ready")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.ready: Waiting | None = None
        self.aside: Waiting | None = None
        self.cheapest: Waiting | None = None
        self.moves = 0
        self._value = 0.0
        self._heap: list[_Entry] | None = None

    def add(self, waiting: Waiting) -> None:
        """Take in a job that waits in the lane already."""
        lane = self.lane
        if lane.count == 1:
            self._value, self._heap = waiting.job.value, None
        elif self._heap is not None:
            heapq.heappush(self._heap, _entry(waiting))
            if len(self._heap) > 2 * lane.count + 64:
                self._sort()
        elif waiting.job.value != self._value:
            self._sort()

    def find_cheapest(self, ready: Waiting | None) -> Waiting | None:
        """Return the job worth least of those that were not set aside, the most urgent of equals.

        `ready` is the next of them.
        """
        heap = self._heap
        if heap is None:
            return ready
        while heap:
            waiting = heap[0][3]
            if waiting.alive and not waiting.aside:
                return waiting
            heapq.heappop(heap)
        return None

    def _sort(self) -> None:
        self._heap = [_entry(one) for one in self.lane.everyone() if not one.aside]
        heapq.heapify(self._heap)


def _entry(waiting: Waiting) -> _Entry:
    return (worth(waiting), waiting.due, waiting.seq, waiting)

"""Waiting jobs in order of a key. Pure."""

import heapq
from collections import deque
from typing import Any

from workers.scheduling.waiting import Waiting

_Entry = tuple[Any, int, Waiting]


class Line:
    """Jobs by key and then by arrival; O(1) for those that come in that order, else O(log n).

    Jobs that have left are passed over when they come up. A line for jobs set aside passes over
    the others, and the other way round; one for both (None) takes all.
    """

    __slots__ = ("_heap", "_others", "_run")

    def __init__(self, *, aside: bool | None) -> None:
        self._others = None if aside is None else not aside
        self._run: deque[_Entry] = deque()
        self._heap: list[_Entry] = []

    def __len__(self) -> int:
        return len(self._run) + len(self._heap)

    def push(self, key: Any, waiting: Waiting) -> None:
        """Take in a job."""
        entry, run = (key, waiting.seq, waiting), self._run
        if not run or run[-1] < entry:
            run.append(entry)
        else:
            heapq.heappush(self._heap, entry)

    def first(self) -> Waiting | None:
        """Return the first job."""
        entry = self._first()
        return None if entry is None else entry[2]

    def first_key(self) -> Any:
        """Return the key of the first job, None when there is none."""
        entry = self._first()
        return None if entry is None else entry[0]

    def some(self, most: int) -> list[Waiting]:
        """Return up to `most` jobs in order."""
        taken: list[_Entry] = []
        while len(taken) < most and (entry := self._first()) is not None:
            taken.append(entry)
            if self._run and self._run[0] is entry:
                self._run.popleft()
            else:
                heapq.heappop(self._heap)
        self._run.extendleft(reversed(taken))
        return [entry[2] for entry in taken]

    def entries(self) -> list[tuple[Any, Waiting]]:
        """Return all jobs with their keys, in no order."""
        both = (self._run, self._heap)
        return [(e[0], e[2]) for part in both for e in part if self._holds(e[2])]

    def sweep(self) -> None:
        """Forget the jobs that have left; O(n)."""
        self._run = deque(entry for entry in self._run if self._holds(entry[2]))
        self._heap = [entry for entry in self._heap if self._holds(entry[2])]
        heapq.heapify(self._heap)

    def _first(self) -> _Entry | None:
        run, heap = self._run, self._heap
        while run:
            waiting = run[0][2]
            if waiting.alive and waiting.aside is not self._others:
                break
            run.popleft()
        if not heap:
            return run[0] if run else None
        while heap and not self._holds(heap[0][2]):
            heapq.heappop(heap)
        if run and heap:
            return min(run[0], heap[0])
        return run[0] if run else heap[0] if heap else None

    def _holds(self, waiting: Waiting) -> bool:
        return waiting.alive and waiting.aside is not self._others

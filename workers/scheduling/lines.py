"""Waiting jobs in order of a key. Pure."""

from bisect import insort
from itertools import islice
from typing import Any

from workers.scheduling.waiting import Waiting

_Entry = tuple[Any, int, Waiting]
_TRIMMED = 32


class Line:
    """Jobs by key and then by arrival, in one sorted list.

    The first is found in O(1), amortised; those that come in order are appended, others put in
    their place, which moves what stands behind it: some bytes each. Jobs that have left are
    passed over when they come up. A line for jobs set aside passes over the others, and the other
    way round; one for both (None) takes all.
    """

    __slots__ = ("_at", "_others", "_run")

    def __init__(self, *, aside: bool | None) -> None:
        self._others = None if aside is None else not aside
        self._run: list[_Entry] = []
        self._at = 0

    def __len__(self) -> int:
        return len(self._run) - self._at

    def push(self, key: Any, waiting: Waiting) -> None:
        """Take in a job."""
        entry, run = (key, waiting.seq, waiting), self._run
        if not run or run[-1] < entry:
            run.append(entry)
        else:
            insort(run, entry, self._at)

    def first(self) -> Waiting | None:
        """Return the first job."""
        run, at = self._run, self._at
        if at == len(run):
            return None
        waiting = run[at][2]
        if waiting.alive and waiting.aside is not self._others:
            return waiting
        entry = self._first()
        return None if entry is None else entry[2]

    def first_key(self) -> Any:
        """Return the key of the first job, None when there is none."""
        entry = self._first()
        return None if entry is None else entry[0]

    def some(self, most: int) -> list[Waiting]:
        """Return up to `most` jobs in order."""
        run = self._run
        present = (run[place][2] for place in range(self._at, len(run)))
        return list(islice(filter(self._holds, present), most))

    def entries(self) -> list[tuple[Any, Waiting]]:
        """Return all jobs in order, with their keys."""
        return [(e[0], e[2]) for e in islice(self._run, self._at, None) if self._holds(e[2])]

    def sweep(self) -> None:
        """Forget the jobs that have left; O(n)."""
        self._run = [e for e in islice(self._run, self._at, None) if self._holds(e[2])]
        self._at = 0

    def _first(self) -> _Entry | None:
        run, at = self._run, self._at
        while at < len(run):
            waiting = run[at][2]
            if waiting.alive and waiting.aside is not self._others:
                break
            at += 1
        if at > _TRIMMED and 2 * at > len(run):
            del run[:at]
            at = 0
        self._at = at
        return run[at] if at < len(run) else None

    def _holds(self, waiting: Waiting) -> bool:
        return waiting.alive and waiting.aside is not self._others

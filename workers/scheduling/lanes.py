"""The queue of one service: who waits, who is next, and who must go. Pure."""

import heapq
from collections import deque
from typing import Any

from workers.scheduling.jobs import Job
from workers.scheduling.profiles import Profile
from workers.scheduling.rhythm import Rhythm
from workers.scheduling.terms import Terms

Rank = Any
"""What an order sorts the jobs of one service by: anything comparable, alike within the order."""
_SLACK = 32


class Waiting:
    """A job that waits: its place, its predicted work (ms), and whether it was set aside.

    `late_ms` is by how much the deadlines could not be held when it was; `mark` is the order's.
    """

    __slots__ = ("alive", "aside", "job", "late_ms", "mark", "rank", "seq", "work_ms")

    def __init__(self, job: Job, seq: int, work_ms: float) -> None:
        self.job = job
        self.seq = seq
        self.rank: Rank = seq
        self.work_ms = work_ms
        self.alive = True
        self.aside = False
        self.late_ms = 0.0
        self.mark: int | None = None


_Entry = tuple[Any, int, Waiting]


class Lane:
    """One service's waiting jobs, by rank and then by arrival.

    Jobs that an order has set aside come after all others. Everything costs O(log n) of the
    waiting jobs, amortised: jobs that leave from the middle are passed over later.
    """

    def __init__(self, terms: Terms, profile: Profile) -> None:
        self.terms = terms
        self.profile = profile
        self.name = terms.name
        self.rhythm = Rhythm(terms.period_ms or terms.budget_ms, declared=bool(terms.period_ms))
        self.count = 0
        self.work_ms = 0.0
        self.served_at = float("-inf")
        self.value = 1.0
        self.usual = 1
        self.leaving = False
        self._ready: list[_Entry] = []
        self._aside: list[_Entry] = []
        self._oldest: deque[Waiting] = deque()
        self._least: list[tuple[int, int, Waiting]] = []
        self._by_key: dict[str, Waiting] = {}

    def expected_ms(self) -> float:
        """Return what one more job adds to the work: its share of the batch it may expect."""
        most = self.terms.max_batch
        if most == 1:
            return self.profile.typical()
        size = min(most, max(self.count + 1, self.usual))
        return self.profile.typical(size) / size

    def add(self, waiting: Waiting) -> None:
        """Take a job in."""
        heap = self._aside if waiting.aside else self._ready
        heapq.heappush(heap, (waiting.rank, waiting.seq, waiting))
        self.count += 1
        self.work_ms += waiting.work_ms
        job, drop = waiting.job, self.terms.drop
        if drop == "lowest-priority":
            heapq.heappush(self._least, (job.priority, waiting.seq, waiting))
        else:
            self._oldest.append(waiting)
            if job.key and drop == "replace-by-key":
                self._by_key[job.key] = waiting
        held = max(len(self._ready) + len(self._aside), len(self._oldest), len(self._least))
        if held > 2 * self.count + _SLACK:
            self._sweep()

    def remove(self, waiting: Waiting) -> None:
        """Let a job go that waits here."""
        waiting.alive = False
        self.count -= 1
        self.work_ms = self.work_ms - waiting.work_ms if self.count else 0.0
        key = waiting.job.key
        if key and self._by_key.get(key) is waiting:
            del self._by_key[key]

    def set_aside(self, waiting: Waiting, late_ms: float) -> None:
        """Put a job behind all others for good: deadlines could not be held by so many ms."""
        waiting.aside = True
        waiting.late_ms = late_ms
        heapq.heappush(self._aside, (waiting.rank, waiting.seq, waiting))

    def ready(self) -> Waiting | None:
        """Return the next job that was not set aside."""
        heap = self._ready
        while heap:
            waiting = heap[0][2]
            if waiting.alive and not waiting.aside:
                return waiting
            heapq.heappop(heap)
        return None

    def aside(self) -> Waiting | None:
        """Return the next job that was set aside."""
        heap = self._aside
        while heap:
            waiting = heap[0][2]
            if waiting.alive:
                return waiting
            heapq.heappop(heap)
        return None

    def head(self) -> Waiting | None:
        """Return the next job."""
        return self.ready() or self.aside()

    def following(self, first: Waiting, most: int) -> list[Waiting]:
        """Return up to `most` jobs of the first one's group, those set aside after all others.

        Looks at no more than four times as many.
        """
        found: list[Waiting] = []
        for heap, aside in ((self._ready, False), (self._aside, True)):
            seen: list[_Entry] = []
            while heap and len(found) < most and len(seen) < 4 * most:
                entry = heapq.heappop(heap)
                waiting = entry[2]
                if not waiting.alive or waiting.aside != aside:
                    continue
                seen.append(entry)
                if waiting is not first and waiting.job.group == first.job.group:
                    found.append(waiting)
            for entry in seen:
                heapq.heappush(heap, entry)
        return found

    def same_key(self, key: str) -> Waiting | None:
        """Return the job of this key that waits."""
        return self._by_key.get(key)

    def victim(self, incoming: Waiting) -> Waiting:
        """Return who goes when there is one too many, by the drop policy."""
        drop = self.terms.drop
        if drop == "newest":
            return incoming
        chosen = self.expendable()
        if drop == "lowest-priority" and incoming.job.priority < chosen.job.priority:
            return incoming
        return chosen

    def expendable(self) -> Waiting:
        """Return who goes of those that wait, by the drop policy.

        Raises IndexError when nobody waits.
        """
        drop = self.terms.drop
        if drop == "lowest-priority":
            while not self._least[0][2].alive:
                heapq.heappop(self._least)
            return self._least[0][2]
        end = -1 if drop == "newest" else 0
        while not self._oldest[end].alive:
            if end:
                self._oldest.pop()
            else:
                self._oldest.popleft()
        return self._oldest[end]

    def everyone(self) -> list[Waiting]:
        """Return all jobs that wait, by arrival; O(n log n)."""
        entries = {entry[1]: entry[2] for entry in self._ready + self._aside}
        return [waiting for _, waiting in sorted(entries.items()) if waiting.alive]

    def change(self, terms: Terms, profile: Profile) -> None:
        """Go on under other terms; the drop policy of who waits becomes the new one."""
        alive = self.everyone()
        self.terms, self.profile, self.leaving = terms, profile, False
        self._ready, self._aside, self._least = [], [], []
        self._oldest.clear()
        self._by_key.clear()
        self.count, self.work_ms = 0, 0.0
        for entry in alive:
            self.add(entry)

    def _sweep(self) -> None:
        """Forget the jobs that have left; O(n), after at least n have."""
        self._ready = [e for e in self._ready if e[2].alive and not e[2].aside]
        self._aside = [e for e in self._aside if e[2].alive]
        self._least = [e for e in self._least if e[2].alive]
        for heap in (self._ready, self._aside, self._least):
            heapq.heapify(heap)
        self._oldest = deque(w for w in self._oldest if w.alive)

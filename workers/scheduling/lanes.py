"""The queue of one service: who waits, who is next, and who must go. Pure."""

import heapq
from collections import deque

from workers.scheduling.lines import Line
from workers.scheduling.profiles import Profile
from workers.scheduling.rhythm import Rhythm
from workers.scheduling.terms import Terms
from workers.scheduling.waiting import Waiting

_SLACK = 32


class Lane:
    """One service's waiting jobs, by rank and then by arrival.

    Jobs that an order has set aside come after all others. Everything costs at most O(log n) of
    the waiting jobs, amortised: jobs that leave from the middle are passed over later.
    """

    def __init__(self, terms: Terms, profile: Profile) -> None:
        self.terms = terms
        self.profile = profile
        self.name = terms.name
        self.rhythm = Rhythm(terms.period_ms or terms.budget_ms, declared=bool(terms.period_ms))
        self.count = 0
        self.work_ms = 0.0
        self.served_at = float("-inf")
        self.hungry_since = float("-inf")
        self.value = 1.0
        self.priority = 0
        self.usual = 1
        self.leaving = False
        self._empty()

    def _empty(self) -> None:
        self._ready = Line(aside=False)
        self._aside = Line(aside=True)
        self._ends = Line(aside=None)
        self._oldest: deque[Waiting] = deque()
        self._least: list[tuple[int, int, Waiting]] = []
        self._by_key: dict[str, Waiting] = {}

    def expected_ms(self) -> float:
        """Return what one more job adds to the work: its share of the batch it may expect."""
        most = self.terms.max_batch
        if most == 1:
            return self.profile.typical_ms
        size = min(most, max(self.count + 1, self.usual))
        return self.profile.typical(size) / size

    def room_ms(self) -> float:
        """Return how long jobs last in an empty queue until newer ones push them out.

        Those of a key no longer than until the next of their key.
        """
        rhythm = self.rhythm
        full_ms, renewed_ms = self.terms.queue_tasks * rhythm.mean_ms, rhythm.renewed_ms
        return full_ms if full_ms < renewed_ms else renewed_ms  # noqa: FURB136  # asked thrice per job

    def add(self, waiting: Waiting, ends: float) -> None:
        """Take a job in that may wait until a time."""
        (self._aside if waiting.aside else self._ready).push(waiting.rank, waiting)
        self._ends.push(ends, waiting)
        self.count += 1
        self.work_ms += waiting.work_ms
        job, drop = waiting.job, self.terms.drop
        if drop == "lowest-priority":
            heapq.heappush(self._least, (job.priority, waiting.seq, waiting))
        else:
            self._oldest.append(waiting)
            if job.key and drop == "replace-by-key":
                self._by_key[job.key] = waiting
        if len(self._ends) > 2 * self.count + _SLACK or len(self._oldest) > 2 * self.count + _SLACK:
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
        self._aside.push(waiting.rank, waiting)

    def ready(self) -> Waiting | None:
        """Return the next job that was not set aside."""
        return self._ready.first()

    def aside(self) -> Waiting | None:
        """Return the next job that was set aside."""
        return self._aside.first()

    def head(self) -> Waiting | None:
        """Return the next job."""
        return self._ready.first() or self._aside.first()

    def first_end(self) -> float | None:
        """Return until when the job may wait that has least time; None when nobody waits."""
        found: float | None = self._ends.first_key()
        return found

    def ending(self, now: float) -> Waiting | None:
        """Return a job that may wait no longer."""
        ends = self._ends.first_key()
        return self._ends.first() if ends is not None and ends <= now else None

    def following(self, first: Waiting, most: int) -> list[Waiting]:
        """Return up to `most` jobs of the first one's group, those set aside after all others.

        Looks at no more than twice as many of either.
        """
        group = first.job.group
        seen = self._ready.some(2 * most)
        if len(seen) < most + 1:
            seen += self._aside.some(2 * most)
        alike = [one for one in seen if one is not first and one.job.group == group]
        return alike[:most]

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
        return sorted((one for _, one in self._ends.entries()), key=lambda waiting: waiting.seq)

    def change(self, terms: Terms, profile: Profile) -> None:
        """Go on under other terms; the drop policy of who waits becomes the new one."""
        waiting = [(one, ends) for ends, one in self._ends.entries()]
        self.terms, self.profile, self.leaving = terms, profile, False
        self._empty()
        self.count, self.work_ms = 0, 0.0
        for one, ends in sorted(waiting, key=lambda pair: pair[0].seq):
            self.add(one, ends)

    def _sweep(self) -> None:
        """Forget the jobs that have left; O(n), after at least n have."""
        for line in (self._ready, self._aside, self._ends):
            line.sweep()
        self._least = [entry for entry in self._least if entry[2].alive]
        heapq.heapify(self._least)
        self._oldest = deque(waiting for waiting in self._oldest if waiting.alive)

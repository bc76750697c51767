"""How much work is due by when, and whether it can all be done in time. Pure."""

import math

LEAVES = 512
_NONE = math.inf


class _Half:
    """Work due in one stretch of time, in slots of equal length, as a tree of sums.

    Each node holds its work and its margin: the least, over the slots below it, of the slot's end
    (ms since the stretch began) less all work in the node up to and with that slot.
    """

    def __init__(self, slot_ms: float) -> None:
        self.work = [0.0] * (2 * LEAVES)
        self.margin = [_NONE] * (2 * LEAVES)
        self._jobs = [0] * LEAVES
        self._slot_ms = slot_ms

    def change(self, slot: int, work_ms: float, jobs: int) -> None:
        """Add work (or take it away) in a slot; O(log slots)."""
        work, margin = self.work, self.margin
        node = slot + LEAVES
        self._jobs[slot] += jobs
        if self._jobs[slot]:
            due = work[node] = work[node] + work_ms
            margin[node] = (slot + 1) * self._slot_ms - due
        else:
            work[node], margin[node] = 0.0, _NONE
        node >>= 1
        while node:
            left = node + node
            ahead = work[left]
            work[node] = ahead + work[left + 1]
            first, second = margin[left], margin[left + 1] - ahead
            margin[node] = first if first < second else second  # noqa: FURB136  # a call doubles its cost
            node >>= 1

    def overrun(self, spare: float) -> float:
        """Return the end (ms) of the first slot whose margin is below -spare; there is one."""
        node = 1
        while node < LEAVES:
            node += node
            if self.margin[node] + spare >= 0.0:
                spare -= self.work[node]
                node += 1
        return (node - LEAVES + 1) * self._slot_ms


class Demand:
    """Work by deadline over twice `horizon_ms`; what is due later is left out.

    Work done in order of deadlines meets all of them exactly when at each deadline all work due
    until then fits into the time until then. Deadlines are rounded up by a 512th of the horizon.
    """

    def __init__(self, horizon_ms: float, now: float) -> None:
        self.horizon_ms = horizon_ms
        self._slot_ms = horizon_ms / LEAVES
        self._stretch = int(now // horizon_ms)
        self._halves = [_Half(self._slot_ms), _Half(self._slot_ms)]

    def add(self, deadline: float, work_ms: float, now: float) -> int | None:
        """Add work that is due; returns where it is noted, None for nowhere."""
        self._advance(now)
        if deadline >= (self._stretch + 2) * self.horizon_ms:
            return None
        mark = max(int(deadline // self._slot_ms), self._stretch * LEAVES)
        mark = min(mark, (self._stretch + 2) * LEAVES - 1)
        self._halves[(mark // LEAVES) & 1].change(mark % LEAVES, work_ms, 1)
        return mark

    def remove(self, mark: int | None, work_ms: float) -> None:
        """Take away work that was noted there."""
        if mark is not None and mark >= self._stretch * LEAVES:
            self._halves[(mark // LEAVES) & 1].change(mark % LEAVES, -work_ms, -1)

    def spare(self, now: float) -> float:
        """Return how long (ms) all work can be put off with every deadline held.

        Below 0 when not all can be held; infinite when nothing is due.
        """
        self._advance(now)
        near, far, start = self._ordered(now)
        first = near.margin[1] + start
        second = far.margin[1] + start + self.horizon_ms - near.work[1]
        return min(first, second)

    def overrun(self, now: float) -> float:
        """Return the first deadline that cannot be held; call it where `spare` is below 0."""
        near, far, start = self._ordered(now)
        if near.margin[1] + start < 0.0:
            return now + start + near.overrun(start)
        later = start + self.horizon_ms
        return now + later + far.overrun(later - near.work[1])

    def _ordered(self, now: float) -> tuple[_Half, _Half, float]:
        near = self._stretch & 1
        start = self._stretch * self.horizon_ms - now
        return self._halves[near], self._halves[1 - near], start

    def _advance(self, now: float) -> None:
        """Reuse the stretches that are over."""
        current = int(now // self.horizon_ms)
        passed = current - self._stretch
        if passed <= 0:
            return
        self._halves[self._stretch & 1] = _Half(self._slot_ms)
        if passed > 1:
            self._halves = [_Half(self._slot_ms), _Half(self._slot_ms)]
        self._stretch = current

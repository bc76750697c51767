"""How much work is due by when, and whether it can all be done in time. Pure."""

import math

LEAVES = 256
_NONE = math.inf


def _above(leaf: int) -> tuple[tuple[int, int, bool], ...]:
    """Return the nodes above a leaf up to the root, each with the one beside those already seen.

    And whether that is the later of the two.
    """
    nodes = []
    while leaf > 1:
        nodes.append((leaf >> 1, leaf ^ 1, not leaf & 1))
        leaf >>= 1
    return tuple(nodes)


_ABOVE = tuple(_above(LEAVES + slot) for slot in range(LEAVES))


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
        due, least = 0.0, _NONE
        if self._jobs[slot]:
            due = work[node] + work_ms
            least = (slot + 1) * self._slot_ms - due
        work[node], margin[node] = due, least
        for node, beside, later in _ABOVE[slot]:
            if later:
                other = margin[beside] - due
            else:
                other, least = margin[beside], least - work[beside]
            least = other if other < least else least  # noqa: FURB136  # a call doubles its cost
            due += work[beside]
            work[node], margin[node] = due, least

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
    until then fits into the time until then. Deadlines are rounded up by a 256th of the horizon.
    """

    def __init__(self, horizon_ms: float, now: float) -> None:
        self.horizon_ms = horizon_ms
        self._slot_ms = horizon_ms / LEAVES
        self._near, self._far = _Half(self._slot_ms), _Half(self._slot_ms)
        self._begin(int(now // horizon_ms))

    def add(self, deadline: float, work_ms: float, now: float) -> int | None:
        """Add work that is due; returns where it is noted, None for nowhere."""
        if now >= self._over:
            self._advance(now)
        if deadline >= self._over + self.horizon_ms:
            return None
        first = self._first
        mark = min(max(int(deadline // self._slot_ms), first), first + 2 * LEAVES - 1)
        self._change(mark, work_ms, 1)
        return mark

    def remove(self, mark: int | None, work_ms: float) -> None:
        """Take away work that was noted there."""
        if mark is not None and mark >= self._first:
            self._change(mark, -work_ms, -1)

    def spare(self, now: float) -> float:
        """Return how long (ms) all work can be put off with every deadline held.

        Below 0 when not all can be held; infinite when nothing is due.
        """
        if now >= self._over:
            self._advance(now)
        return self._latest - now

    def overrun(self, now: float) -> float:
        """Return the first deadline that cannot be held; call it where `spare` is below 0."""
        near, start = self._near, self._over - self.horizon_ms
        if near.margin[1] + start < now:
            return start + near.overrun(start - now)
        return self._over + self._far.overrun(self._over - now - near.work[1])

    def _change(self, mark: int, work_ms: float, jobs: int) -> None:
        half = self._near if mark < self._first + LEAVES else self._far
        half.change(mark % LEAVES, work_ms, jobs)
        self._look()

    def _look(self) -> None:
        """Find the latest time at which work may begin with every deadline held."""
        near = self._near
        first, second = near.margin[1] - self.horizon_ms, self._far.margin[1] - near.work[1]
        self._latest = (first if first < second else second) + self._over  # noqa: FURB136  # a call doubles its cost

    def _advance(self, now: float) -> None:
        """Reuse the stretches that are over."""
        current = int(now // self.horizon_ms)
        passed = current - self._stretch
        self._near = self._far if passed == 1 else _Half(self._slot_ms)
        self._far = _Half(self._slot_ms)
        self._begin(current)

    def _begin(self, stretch: int) -> None:
        self._stretch = stretch
        self._first = stretch * LEAVES
        self._over = (stretch + 1) * self.horizon_ms
        self._look()

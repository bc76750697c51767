"""Which tasks need not be read again: those whose result the broker has. Pure."""

import heapq


class Progress:
    """Offsets of tasks under way; the position is the lowest that is not done."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._heap: list[int] = []
        self._next: int | None = None

    def begin(self, offset: int) -> None:
        """Note a task that was read; offsets come ascending."""
        self._next = offset + 1
        self._open.add(offset)
        heapq.heappush(self._heap, offset)

    def done(self, offset: int) -> None:
        """Note that a task needs nothing more; unknown offsets are none of our business."""
        self._open.discard(offset)

    @property
    def position(self) -> int | None:
        """Return the offset to go on from; None before the first task."""
        while self._heap and self._heap[0] not in self._open:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else self._next

    @property
    def following(self) -> int | None:
        """Return the offset after the last that was read; None before the first task."""
        return self._next

    @property
    def under_way(self) -> int:
        """Return how many tasks are not done."""
        return len(self._open)

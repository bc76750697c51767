"""What waits in a probe, and its counts, without a lock in the caller.

Each step of a caller is one call into the interpreter's C code, which no other thread can
interrupt: nothing to wait for, and nothing to be left locked by a fork.
"""

import itertools
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Tally:
    """Counts from any thread. `add` never waits; `total` may, for another reader."""

    __slots__ = ("_looks", "_next", "_reading", "add")

    def __init__(self) -> None:
        self._next = itertools.count().__next__
        self.add = self._next
        """Count one more."""
        self._looks = 0
        self._reading = threading.Lock()

    def total(self) -> int:
        """Return how often `add` was called: what the counter says, less the looks at it."""
        with self._reading:
            found = self._next() - self._looks
            self._looks += 1
            return found


class Buffer(Generic[T]):
    """A queue of at most `bound` items; threads that meet there may exceed it by one each."""

    __slots__ = ("_bound", "_items")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._items: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: T) -> bool:
        """Add an item behind the others; False when the buffer is full."""
        if len(self._items) >= self._bound:
            return False
        self._items.append(item)
        return True

    def take(self) -> T | None:
        """Return the oldest item and remove it; None when there is none."""
        try:
            return self._items.popleft()
        except IndexError:
            return None

    def shut(self) -> None:
        """Take nothing more."""
        self._bound = 0

    def put_back(self, item: T) -> None:
        """Make an item that was taken the oldest again, whatever the bound."""
        self._items.appendleft(item)

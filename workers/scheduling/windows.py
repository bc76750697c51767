"""Quantiles of the latest values of a series. Pure."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable
from math import ceil


class Window:
    """The latest values, oldest first and in order: every quantile is exact and O(1).

    Each value that is taken replaces one of the `seeds`, as long as there are any.
    """

    def __init__(self, length: int, seeds: Iterable[float] = ()) -> None:
        self._latest: deque[float] = deque(seeds, maxlen=length)
        self._ordered = sorted(self._latest)
        self._seeds = len(self._latest)

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, value: float) -> None:
        """Take a value; the oldest goes when there are too many."""
        if self._seeds or len(self._latest) == self._latest.maxlen:
            del self._ordered[bisect_left(self._ordered, self._latest.popleft())]
            self._seeds = max(0, self._seeds - 1)
        self._latest.append(value)
        insort(self._ordered, value)

    def share(self, value: float) -> float:
        """Return the share of all that do not exceed a value.

        Raises ZeroDivisionError when there is none.
        """
        return bisect_right(self._ordered, value) / len(self._ordered)

    def quantile(self, share: float) -> float:
        """Return the smallest value that a share of all do not exceed.

        Raises IndexError when there is none.
        """
        return self._ordered[max(1, ceil(share * len(self._ordered))) - 1]

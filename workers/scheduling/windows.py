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
        latest, ordered = self._latest, self._ordered
        if self._seeds or len(latest) == latest.maxlen:
            del ordered[bisect_left(ordered, latest.popleft())]
            if self._seeds:
                self._seeds -= 1
        latest.append(value)
        insort(ordered, value)

    def share(self, value: float) -> float:
        """Return the share of all that do not exceed a value.

        Raises ZeroDivisionError when there is none.
        """
        return bisect_right(self._ordered, value) / len(self._ordered)

    def quantile(self, share: float) -> float:
        """Return the smallest value that a share of all do not exceed.

        Raises IndexError when there is none.
        """
        ordered = self._ordered
        return ordered[(ceil(share * len(ordered)) or 1) - 1]

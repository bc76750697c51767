"""Quantiles of any number of times in bounded memory. Pure."""

from array import array
from collections import Counter
from math import ceil, exp, log

EXACT = 10_000
_ERROR = 0.0025
_STEP = log(1 + 2 * _ERROR)
_LEAST = 1e-3


class Quantiles:
    """Times in ms: exact for the first 10,000, within 0.25 % (and 1 us) of each beyond."""

    __slots__ = ("_counts", "_exact", "_sorted", "count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._exact = array("d")
        self._sorted = True
        self._counts: Counter[int] = Counter()

    def add(self, value: float) -> None:
        """Take a time that is not below 0."""
        self.count += 1
        self.total += value
        if self._counts:
            self._counts[_bucket(value)] += 1
            return
        self._exact.append(value)
        self._sorted = False
        if len(self._exact) > EXACT:
            self._counts.update(_bucket(kept) for kept in self._exact)
            self._exact = array("d")

    @property
    def mean(self) -> float | None:
        """Return the mean; None without any time."""
        return self.total / self.count if self.count else None

    def at(self, share: float) -> float | None:
        """Return the smallest time that so large a share does not exceed; None without any.

        That is the nearest rank: of 20 times, 0.95 is the 19th.
        """
        if not self.count:
            return None
        rank = max(1, ceil(share * self.count - 1e-9))
        if not self._counts:
            if not self._sorted:
                self._exact = array("d", sorted(self._exact))
                self._sorted = True
            return self._exact[rank - 1]
        seen, bucket = 0, 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                break
        return exp((bucket + 0.5) * _STEP) if bucket > _FLOOR else 0.0

    def summary(self) -> dict[str, float | None]:
        """Return p50, p95 and p99, to a microsecond."""
        found = {f"p{percent}": self.at(percent / 100) for percent in (50, 95, 99)}
        return {name: None if value is None else round(value, 3) for name, value in found.items()}


def _bucket(value: float) -> int:
    return int(log(value) // _STEP) if value > _LEAST else _FLOOR


_FLOOR = int(log(_LEAST) // _STEP)

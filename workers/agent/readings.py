"""What samplers give, and rates out of counters. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

MIB = 1_048_576


class Reading(NamedTuple):
    """A value now, under its metric's name and in its unit."""

    metric: str
    value: float
    unit: str = ""


class Rates:
    """Turns counters that only grow into rates per second."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float]] = {}

    def of(self, counters: Mapping[str, float], now_s: float) -> dict[str, float]:
        """Return the rate of each counter since it was last given.

        A counter that is new, or that has begun again from below, has no rate this time; one that
        is not given any more is forgotten.
        """
        rates = {}
        for name, value in counters.items():
            before = self._last.get(name)
            if before is not None and now_s > before[0] and value >= before[1]:
                rates[name] = (value - before[1]) / (now_s - before[0])
        self._last = {name: (now_s, value) for name, value in counters.items()}
        return rates


def quoted(names: Iterable[str]) -> str:
    """Return names as a list for a message."""
    return ", ".join(repr(name) for name in names)

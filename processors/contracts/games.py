"""Who had which part in a change: Shapley values over the parts of an application.

Each part is either as it is now or as it was usual. The value of a set of parts is what the
statistic would be if those were as now and all others as usual. A part's amount is the mean, over
the orders in which the parts may change one after the other, of how much the statistic moves when
its turn comes; whatever the statistic, the amounts add up to the whole change. Up to `EXACT` parts
all orders are taken, which gives Shapley values; beyond, the rotations of the order by name and of
its reverse, in which every part stands at every position equally often.

Source: L. S. Shapley, A Value for n-Person Games, 1953.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from processors.contracts.usual import Summary
from processors.measures import combined

EXACT = 5
Value = Callable[[frozenset[int]], float]
"""From the parts that are as now to the value of the whole."""
Pair = tuple[Summary | None, Summary | None]
"""A part as now and as usual; None where it does not exist."""
Floats = npt.NDArray[np.float64]
_RANKS = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
_QUANTILES = ("p50", "p90", "p95", "p99")


def moved(parts: int, value: Value) -> list[float]:
    """Return how much of the whole change, value(all) - value(none), is each part's."""
    known: dict[frozenset[int], float] = {}

    def at(chosen: frozenset[int]) -> float:
        if chosen not in known:
            known[chosen] = value(chosen)
        return known[chosen]

    amounts, orders = [0.0] * parts, 0
    for order in _orders(parts):
        orders += 1
        changed: frozenset[int] = frozenset()
        for part in order:
            after = changed | {part}
            amounts[part] += at(after) - at(changed)
            changed = after
    return [amount / max(1, orders) for amount in amounts]


def _orders(parts: int) -> Iterator[Sequence[int]]:
    if parts <= EXACT:
        yield from itertools.permutations(range(parts))
        return
    for start in range(parts):
        order = [(start + step) % parts for step in range(parts)]
        yield order
        yield order[::-1]


def mixture(pairs: Sequence[Pair], statistic: str) -> Value:
    """Return the statistic of all events of the parts together; NaN where there are none."""
    if statistic in _QUANTILES:
        return _quantile(pairs, _RANKS[statistic])

    def value(chosen: frozenset[int]) -> float:
        windows = [one for one in _states(pairs, chosen) if one is not None]
        if not sum(window.count for window in windows):
            return 0.0 if statistic in ("count", "sum", "rate") else math.nan
        return combined(windows, statistic)

    return value


def path(stages: Sequence[str], pairs: Sequence[Pair], statistic: str) -> Value:
    """Return the sum over stages of the slowest part of each, as an answer waits for it."""

    def value(chosen: frozenset[int]) -> float:
        slowest: dict[str, float] = {}
        for stage, one in zip(stages, _states(pairs, chosen), strict=True):
            if one is not None:
                found = float(getattr(one, statistic))
                slowest[stage] = max(found, slowest.get(stage, found))
        return math.fsum(slowest.values())

    return value


def _states(pairs: Sequence[Pair], chosen: frozenset[int]) -> Iterator[Summary | None]:
    for place, (now, usual) in enumerate(pairs):
        yield now if place in chosen else usual


def _quantile(pairs: Sequence[Pair], rank: float) -> Value:
    """Mix the parts' distributions, straight lines through their own points, on one grid."""
    rows = [[_points(one) for one in pair] for pair in pairs]
    places = np.unique([point for pair in rows for row in pair for point in row])
    shares = [[_distribution(row, one, places) for row, one in zip(*two, strict=True)] for two in
              zip(rows, pairs, strict=True)]  # fmt: skip
    counts = [[0.0 if one is None else one.count for one in pair] for pair in pairs]

    def value(chosen: frozenset[int]) -> float:
        states = [0 if place in chosen else 1 for place in range(len(pairs))]
        total = sum(counts[place][state] for place, state in enumerate(states))
        if not total:
            return math.nan
        mixed = sum((shares[place][state] for place, state in enumerate(states)), places * 0.0)
        return float(np.interp(rank * total, mixed, places))

    return value


def _points(one: Summary | None) -> list[float]:
    return [] if one is None else [float(getattr(one, name)) for name in _RANKS]


def _distribution(row: Sequence[float], one: Summary | None, places: Floats) -> Floats:
    """Return how many events of a part lie at or below each place."""
    if one is None:
        return places * 0.0
    highest: Mapping[float, float] = dict(zip(row, _RANKS.values(), strict=True))
    points = sorted(highest)
    below: Floats = np.interp(
        places, points, [highest[point] for point in points], left=0.0, right=1.0
    )
    return below * one.count

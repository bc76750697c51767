"""Statistics of groups of values, exact, and the observations that tell them.

Groups are sorted many at a time: those of about equal size are rows of one matrix, padded with
infinity. Quantiles interpolate linearly (Hyndman and Fan's type 7, numpy's default); the standard
deviation is that of the population, from deviations of the mean.
"""

from dataclasses import dataclass

import numpy as np

from processors.observing.rows import Flags, Floats, Ints, Rows

QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
_MOST_CELLS = 1 << 21


@dataclass(frozen=True, slots=True)
class Statistics:
    """One entry per group, of `quantiles` one row each; `low` and `high` are offsets."""

    count: Ints
    mean: Floats
    std: Floats
    min: Floats
    max: Floats
    quantiles: Floats
    first: Floats
    last: Floats
    distinct: Ints
    low: Ints
    high: Ints


def statistics(rows: Rows, starts: Ints) -> Statistics:
    """Return the statistics of groups of rows, each from its start to the next, none empty."""
    count = np.diff(starts, append=len(rows))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.add.reduceat(rows.values, starts) / count
        std = _std(rows.values, mean, starts, count)
        least = np.minimum.reduceat(rows.values, starts)
        most = np.maximum.reduceat(rows.values, starts)
        quantiles, distinct = _ordered(rows.values, starts, count)
    first, last = _ends(rows, starts, count)
    low, high = _bounds(rows.offsets, starts, count)
    return Statistics(count, mean, std, least, most, quantiles, first, last, distinct, low, high)


def _std(values: Floats, mean: Floats, starts: Ints, count: Ints) -> Floats:
    deviations = values - np.repeat(mean, count)
    deviations *= deviations
    spread: Floats = np.sqrt(np.add.reduceat(deviations, starts) / count)
    return spread


def _ordered(values: Floats, starts: Ints, count: Ints) -> tuple[Floats, Ints]:
    """Return the quantiles, one row each, and the number of different values."""
    quantiles = np.empty((len(QUANTILES), len(starts)))
    distinct = np.empty(len(starts), np.int64)
    for groups in _alike(count):
        matrix = _matrix(values, starts[groups], count[groups])
        matrix.sort(axis=1)
        n = count[groups]
        line = np.arange(len(groups))
        for row, share in enumerate(QUANTILES.values()):
            quantiles[row, groups] = _quantile(matrix, line, n, share)
        steps = np.count_nonzero(matrix[:, 1:] != matrix[:, :-1], axis=1)
        distinct[groups] = steps + 1 - (n < matrix.shape[1])
    return quantiles, distinct


def _alike(count: Ints) -> list[Ints]:
    """Return numbers of groups, put together by size so that a matrix is at most half padding."""
    if count.min() == count.max():
        alike = [np.arange(len(count))]
    else:
        sizes = np.ceil(np.log2(count)).astype(np.int64)
        alike = [np.flatnonzero(sizes == size) for size in np.unique(sizes)]
    parts = []
    for groups in alike:
        most = max(1, _MOST_CELLS // int(count[groups].max()))
        parts += [groups[at : at + most] for at in range(0, len(groups), most)]
    return parts


def _matrix(values: Floats, starts: Ints, count: Ints) -> Floats:
    width = int(count.max())
    if (count == width).all() and starts[-1] - starts[0] == width * (len(starts) - 1):
        return values[starts[0] : starts[0] + width * len(starts)].reshape(-1, width).copy()
    columns = np.arange(width)
    places = starts[:, None] + columns
    inside = columns < count[:, None]
    return np.where(inside, values[np.where(inside, places, 0)], np.inf)


def _quantile(matrix: Floats, line: Ints, count: Ints, share: float) -> Floats:
    place = (count - 1) * share
    below = place.astype(np.int64)
    above = np.minimum(below + 1, count - 1)
    low, high = matrix[line, below], matrix[line, above]
    weight = place - below
    value: Floats = low * (1 - weight) + high * weight
    return np.where(low == high, low, value)


def _ends(rows: Rows, starts: Ints, count: Ints) -> tuple[Floats, Floats]:
    """Return the values that are first and last by (event time, offset)."""
    times = rows.times
    ends = starts + count - 1
    back = times[1:] < times[:-1]
    back[starts[1:] - 1] = False
    ascending = _ascending(rows.offsets, starts)
    if ascending and not back.any():
        return rows.values[starts], rows.values[ends]
    order = np.lexsort((rows.offsets, times, np.repeat(np.arange(len(starts)), count)))
    return rows.values[order[starts]], rows.values[order[ends]]


def _ascending(offsets: Ints, starts: Ints) -> Flags | bool:
    back = offsets[1:] < offsets[:-1]
    back[starts[1:] - 1] = False
    return not back.any()


def _bounds(offsets: Ints, starts: Ints, count: Ints) -> tuple[Ints, Ints]:
    if _ascending(offsets, starts):
        return offsets[starts], offsets[starts + count - 1]
    return np.minimum.reduceat(offsets, starts), np.maximum.reduceat(offsets, starts)

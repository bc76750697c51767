"""Statistics of windows: which there are, how they compare, and how windows add up.

The mean, count, sum, rate, minimum and maximum of several windows follow exactly from theirs; a
rate is of events per second, from the first start of the windows to their last end. A quantile
does not: it is read off the distribution that the windows make together when each is taken as
straight lines through its own exact points (minimum, p50, p90, p95, p99, maximum), weighted by
its count. One window gives its exact quantile. For several the value lies between the smallest
and the largest of their quantiles, as the true one does.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from processors.errors import UnknownStatistic

STATISTICS = ("mean", "min", "max", "p50", "p90", "p95", "p99", "count", "sum", "rate")
ADDED = ("count", "sum", "rate")
"""Statistics of which the whole has the sum of its parts."""
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Floats = npt.NDArray[np.float64]
_RANKS = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}


class Window(Protocol):
    """The statistics of one window, as an Observation has them."""

    @property
    def window_start(self) -> int: ...  # noqa: D102 - ms since the epoch
    @property
    def window_end(self) -> int: ...  # noqa: D102 - ms since the epoch
    @property
    def count(self) -> float: ...  # noqa: D102 - the statistic of that name
    @property
    def mean(self) -> float: ...  # noqa: D102 - the statistic of that name
    @property
    def min(self) -> float: ...  # noqa: D102 - the statistic of that name
    @property
    def max(self) -> float: ...  # noqa: D102 - the statistic of that name
    @property
    def p50(self) -> float: ...  # noqa: D102 - the statistic of that name
    @property
    def p90(self) -> float: ...  # noqa: D102 - the statistic of that name
    @property
    def p95(self) -> float: ...  # noqa: D102 - the statistic of that name
    @property
    def p99(self) -> float: ...  # noqa: D102 - the statistic of that name


def objection(statistic: str, comparison: str) -> str:
    """Return why a statistic and an operator cannot be judged; empty when they can."""
    if statistic not in STATISTICS:
        return f"statistic {statistic!r} is unknown; known: {', '.join(STATISTICS)}"
    if comparison not in OPERATORS:
        return f"operator {comparison!r} is unknown; known: {', '.join(OPERATORS)}"
    return ""


def holds(value: float, comparison: str, threshold: float) -> bool:
    """Return whether `value comparison threshold` is true.

    Raises UnknownStatistic for an unknown operator.
    """
    if comparison not in OPERATORS:
        raise UnknownStatistic(objection("mean", comparison))
    return OPERATORS[comparison](value, threshold)


def combined(windows: Sequence[Window], statistic: str) -> float:
    """Return a statistic of all events of some windows, at least one, together.

    Raises UnknownStatistic.
    """
    if statistic not in STATISTICS:
        raise UnknownStatistic(objection(statistic, "<"))
    if statistic in ADDED:
        return _added(windows, statistic)
    if len(windows) == 1:
        return float(getattr(windows[0], statistic))
    if statistic == "mean":
        total = sum(window.count for window in windows)
        return sum(window.mean * window.count for window in windows) / total
    if statistic in ("min", "max"):
        choose = min if statistic == "min" else max
        return float(choose(getattr(window, statistic) for window in windows))
    return _quantile(windows, statistic)


def _added(windows: Sequence[Window], statistic: str) -> float:
    if statistic == "sum":
        return float(sum(window.mean * window.count for window in windows))
    count = float(sum(window.count for window in windows))
    if statistic == "count":
        return count
    begin = min(window.window_start for window in windows)
    return count * 1000 / max(1, max(window.window_end for window in windows) - begin)


def _quantile(windows: Sequence[Window], statistic: str) -> float:
    """Invert the distribution function of the mixture, which is linear between all points.

    The function is evaluated at the points that a binary search asks for.
    """
    points = np.array([[getattr(window, name) for name in _RANKS] for window in windows], float)
    weights = np.array([window.count for window in windows], float)
    ranks = _highest(points)
    places, rank = np.unique(points), _RANKS[statistic] * float(weights.sum())
    below, above = -1, len(places) - 1
    while above - below > 1:
        middle = (below + above) // 2
        if _events_below(points, ranks, weights, places[middle]) < rank:
            below = middle
        else:
            above = middle
    edges = places[max(0, below) : above + 1]
    found = [_events_below(points, ranks, weights, place) for place in edges]
    own = points[:, list(_RANKS).index(statistic)]
    return float(np.clip(np.interp(rank, found, edges), own.min(), own.max()))


def _highest(points: Floats) -> Floats:
    """Return the rank of each point; of equal points of a window the highest counts."""
    ranks = np.tile(np.array(list(_RANKS.values())), (len(points), 1))
    for place in range(points.shape[1] - 2, -1, -1):
        equal = points[:, place] == points[:, place + 1]
        ranks[equal, place] = ranks[equal, place + 1]
    return ranks


def _events_below(points: Floats, ranks: Floats, weights: Floats, place: float) -> float:
    """Return how many events lie at or below a place."""
    passed = (points <= place).sum(axis=1)
    left, right = np.maximum(passed - 1, 0), np.minimum(passed, points.shape[1] - 1)
    rows = np.arange(len(points))
    begin, width = points[rows, left], points[rows, right] - points[rows, left]
    part = np.divide(place - begin, width, out=np.zeros_like(width), where=width > 0)
    share = ranks[rows, left] + part * (ranks[rows, right] - ranks[rows, left])
    return float(weights @ np.where(passed == 0, 0.0, share))

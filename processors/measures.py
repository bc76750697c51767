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
    """Invert the distribution function of the mixture, which is linear between all points."""
    points = [[float(getattr(window, name)) for name in _RANKS] for window in windows]
    ranks = list(_RANKS.values())
    places = np.unique(np.concatenate([np.asarray(row) for row in points]))
    total = sum(window.count for window in windows)
    share = np.zeros_like(places)
    for window, row in zip(windows, points, strict=True):
        share += _distribution(places, row, ranks) * (window.count / total)
    rank = _RANKS[statistic]
    lowest = min(getattr(window, statistic) for window in windows)
    highest = max(getattr(window, statistic) for window in windows)
    return float(np.clip(np.interp(rank, share, places), lowest, highest))


def _distribution(places: Floats, row: list[float], ranks: list[float]) -> Floats:
    """Return the share of a window at or below each place; at equal points the highest rank."""
    highest = dict(zip(row, ranks, strict=True))
    values, shares = np.asarray(list(highest)), np.asarray(list(highest.values()))
    below: Floats = np.interp(places, values, shares, left=0.0, right=1.0)
    return below

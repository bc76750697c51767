"""Histograms as they were counted since a start, what was added between two, and what is told.

Pure. Explicit and exponential buckets, and summaries, which have no buckets at all.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workers.intake.quantiles import Bucket, coarser, explicit, exponential, quantile, suffix

Counts = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values there were, their sum, and how they lie.

    `bounds` are those of explicit buckets, whose counts stand in `above` by their index; `scale`
    is that of exponential ones (None for explicit ones), `below` counts the negatives of these.
    """

    count: float
    total: float
    bounds: tuple[float, ...]
    above: Counts
    below: Counts
    scale: int | None = None
    zero: float = 0.0
    zero_bound: float = 0.0

    @classmethod
    def explicit(
        cls, count: float, total: float, bounds: tuple[float, ...], counts: tuple[float, ...]
    ) -> "Histogram":
        """Return one with a count up to each bound and one beyond the last."""
        return cls(count, total, bounds, dict(enumerate(counts)), {})

    @classmethod
    def exponential(
        cls,
        count: float,
        total: float,
        scale: int,
        zero: tuple[float, float],
        buckets: tuple[Counts, Counts],
    ) -> "Histogram":
        """Return one with exponential buckets; `zero` is the count about 0 and how far it goes."""
        return cls(count, total, (), *buckets, scale, *zero)

    @property
    def finite(self) -> bool:
        """Whether count and sum are numbers that later ones can be compared with."""
        return math.isfinite(self.count) and math.isfinite(self.total)

    def fell(self, last: "Histogram") -> bool:
        """Tell whether this one cannot have come of an earlier one by counting on."""
        if self.bounds != last.bounds or (self.scale is None) is not (last.scale is None):
            return True
        if self.count < last.count or (self.scale or 0) > (last.scale or 0):
            return True
        return self.zero_bound < last.zero_bound

    def at_scale(self, scale: int | None) -> "Histogram":
        """Return it with exponential buckets as coarse as a scale's."""
        if scale is None or self.scale is None or scale >= self.scale:
            return self
        steps = self.scale - scale
        return Histogram(
            self.count,
            self.total,
            self.bounds,
            coarser(self.above, steps),
            coarser(self.below, steps),
            scale,
            self.zero,
            self.zero_bound,
        )

    def buckets(self, low: float | None = None, high: float | None = None) -> list[Bucket]:
        """Return its buckets in rising order; `low` and `high` are the extremes where known."""
        if self.scale is None:
            if not self.above or (not self.bounds and (low is None or high is None)):
                return []
            counts = [self.above.get(i, 0.0) for i in range(len(self.bounds) + 1)]
            return explicit(self.bounds, counts, low, high)
        return exponential(self.scale, self.zero, self.zero_bound, self.above, self.below)


def added(now: Histogram, last: Histogram | None) -> Histogram:
    """Return what was counted between two; all of `now` when there is no last one."""
    if last is None:
        return now
    last = last.at_scale(now.scale)
    return Histogram(
        now.count - last.count,
        now.total - last.total,
        now.bounds,
        _less(now.above, last.above),
        _less(now.below, last.below),
        now.scale,
        max(0.0, now.zero - last.zero),
        now.zero_bound,
    )


def _less(now: Counts, last: Counts) -> dict[int, float]:
    return {index: max(0.0, count - last.get(index, 0.0)) for index, count in now.items()}


def described(
    histogram: Histogram,
    quantiles: Iterable[float],
    extremes: tuple[float | None, float | None] = (None, None),
    *,
    with_sum: bool = True,
) -> list[tuple[str, float]]:
    """Return what is told of a histogram: pairs of what the metric's name ends with, and a value.

    Mean and quantiles only where there were values; quantiles never lie outside of the extremes.
    """
    told = [(".count", float(histogram.count))]
    if with_sum:
        told.append((".sum", histogram.total))
    if histogram.count <= 0:
        return told
    if with_sum:
        told.append((".mean", histogram.total / histogram.count))
    low, high = extremes
    buckets = histogram.buckets(low, high)
    for q in quantiles:
        value = quantile(buckets, q)
        if value is not None:
            told.append((suffix(q), _between(value, low, high)))
    return told


def _between(value: float, low: float | None, high: float | None) -> float:
    value = value if low is None else max(value, low)
    return value if high is None else min(value, high)

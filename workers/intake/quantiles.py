"""Quantiles estimated from histograms: of explicit buckets, and of exponential ones. Pure.

Within an explicit bucket values are taken to lie evenly (as Prometheus' histogram_quantile does);
the error is at most the width of the bucket. Within an exponential bucket they are taken to lie
evenly on a logarithmic axis (OpenTelemetry's data model, exponential histograms): with base b the
relative error is at most b - 1, 0.5 % at scale 7, 9 % at scale 3, 41 % at scale 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_POWER = 1023.0
"""Beyond 2 to this power there is no float."""
LEAST_SCALE = -64
"""All floats lie in a bucket or two at this scale; senders may claim lower ones."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Values between two bounds; `geometric` where they lie evenly on a logarithmic axis."""

    low: float
    high: float
    count: float
    geometric: bool = False

    def at(self, share: float) -> float:
        """Return the value below which a share of the bucket lies."""
        if self.geometric:
            return math.copysign(abs(self.low) ** (1 - share) * abs(self.high) ** share, self.low)
        return self.low + (self.high - self.low) * share


def quantile(buckets: Sequence[Bucket], q: float) -> float | None:
    """Return the q-quantile (0 to 1) of values in buckets in rising order; None when empty."""
    rank = q * sum(bucket.count for bucket in buckets)
    passed, last = 0.0, None
    for bucket in buckets:
        if bucket.count <= 0:
            continue
        last = bucket
        if passed + bucket.count >= rank:
            return bucket.at((rank - passed) / bucket.count)
        passed += bucket.count
    return None if last is None else last.high


def explicit(
    bounds: Sequence[float],
    counts: Sequence[float],
    low: float | None = None,
    high: float | None = None,
) -> list[Bucket]:
    """Return the buckets of `counts` values up to each of the rising `bounds` and beyond the last.

    `low` and `high` are the least and the greatest value if they are known. The first bucket
    begins at 0 where its bound is positive, and the last one has no width, else.
    """
    if not bounds:
        edge = 0.0 if low is None else low
        return [Bucket(edge, edge if high is None else high, sum(counts))]
    first = min(0.0, bounds[0]) if low is None else min(low, bounds[0])
    last = bounds[-1] if high is None else max(high, bounds[-1])
    edges = [first, *bounds, last]
    return [
        Bucket(_finite(a), _finite(b), n) for a, b, n in zip(edges, edges[1:], counts, strict=False)
    ]


def _finite(bound: float) -> float:
    return max(-1.7e308, min(1.7e308, bound))


def exponential(
    scale: int,
    zero: float,
    zero_bound: float,
    above: Mapping[int, float],
    below: Mapping[int, float],
) -> list[Bucket]:
    """Return the buckets of an exponential histogram, negative ones first.

    Bucket i of `above` counts values in (b^i, b^(i+1)], b = 2^(2^-scale); `below` their negatives.
    """
    found = [
        Bucket(-_power(scale, i + 1), -_power(scale, i), n, geometric=True)
        for i, n in sorted(below.items(), reverse=True)
    ]
    if zero:
        found.append(Bucket(-zero_bound if below else 0.0, zero_bound, zero))
    return found + [
        Bucket(_power(scale, i), _power(scale, i + 1), n, geometric=True)
        for i, n in sorted(above.items())
    ]


def _power(scale: int, index: int) -> float:
    power = index * 2.0 ** -max(scale, LEAST_SCALE)
    return float(2.0 ** max(-MAX_POWER, min(MAX_POWER, power)))


def coarser(counts: Mapping[int, float], steps: int) -> dict[int, float]:
    """Return exponential buckets at a scale that is lower by `steps`: 2^steps become one."""
    if steps <= 0:
        return dict(counts)
    merged: dict[int, float] = {}
    for index, count in counts.items():
        merged[index >> steps] = merged.get(index >> steps, 0) + count
    return merged


def suffix(q: float) -> str:
    """Return what the name of a metric ends with for a quantile: 0.99 gives .p99."""
    return f".p{q * 100:.6g}"

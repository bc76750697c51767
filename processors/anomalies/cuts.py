"""Compiled: how much a point displaces in trees of random cuts, of a sample of points before it.

Guha et al., "Robust random cut forest based anomaly detection on streams", ICML 2016. A tree cuts
the bounding box of its points, a dimension as likely as it is long, until each is alone. The
collusive displacement of a point is the largest ratio, on its way down, of the points cut off to
those that stay with it. That way depends on the sample and the cuts alone, so that nothing of a
tree is kept: each is cut anew along the way of the point that is judged, from numbers that are the
same each time.
"""

import numpy as np

from processors.anomalies.kernels import Floats, Ints, Whole
from schemas.compiling import compiled, helper

TREES = 24
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@helper
def _share(number: Whole) -> float:
    """Return a number from 0 to 1 that looks like chance and follows from another (SplitMix64)."""
    mixed = (np.uint64(number) + np.uint64(1)) * _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX
    mixed ^= mixed >> np.uint64(31)
    return float(mixed >> np.uint64(11)) / 9007199254740992.0


@helper
def _cut(points: Floats, kept: Ints, count: Whole, point: Floats, seed: Whole) -> tuple[int, float]:
    """Return the dimension and place of a cut through some points and one more; -1 if all agree."""
    dims = len(point)
    low, high = np.empty(dims), np.empty(dims)
    total = 0.0
    for dim in range(dims):
        low[dim] = high[dim] = point[dim]
        for at in range(count):
            low[dim] = min(low[dim], points[kept[at], dim])
            high[dim] = max(high[dim], points[kept[at], dim])
        total += high[dim] - low[dim]
    if not total > 0.0:
        return -1, 0.0
    rest = _share(2 * seed) * total
    for dim in range(dims):
        length = high[dim] - low[dim]
        if rest < length or dim == dims - 1:
            return dim, low[dim] + _share(2 * seed + 1) * length
        rest -= length
    return -1, 0.0


@compiled("float64(float64[:,::1], float64[::1])")
def displacement(points: Floats, point: Floats) -> float:
    """Return the mean collusive displacement of a point among others, (points, dimensions)."""
    total = 0.0
    kept = np.empty(len(points), np.int64)
    for tree in range(TREES):
        count, most, depth = len(points), 0.0, 0
        for at in range(count):
            kept[at] = at
        while count > 0 and depth < 64:
            dim, place = _cut(points, kept, count, point, 64 * tree + depth)
            if dim < 0:
                break
            stay, below = 0, point[dim] <= place
            for at in range(count):
                if (points[kept[at], dim] <= place) == below:
                    kept[stay] = kept[at]
                    stay += 1
            most = max(most, (count - stay) / (stay + 1.0))
            count, depth = stay, depth + 1
        total += most
    return total / TREES

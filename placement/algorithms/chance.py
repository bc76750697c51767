"""Numbers that look random and follow from a seed alone: SplitMix64 over counters. Pure.

Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
"""

import numpy as np

from placement.cluster.columns import Floats, Ints

_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 1 << 64


def mixed(seed: int, first: int, count: int) -> Floats:
    """Return `count` numbers in [0, 1), those from place `first` on of the sequence of a seed."""
    start = np.uint64((seed * 0xBF58476D1CE4E5B9 + (first + 1) * _GOLDEN) % _WORD)
    z = start + np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN)  # wraps round
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    found: Floats = (z >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return found


def shuffled(seed: int, count: int) -> Ints:
    """Return the numbers below `count` in an order that follows from the seed."""
    order: Ints = np.argsort(mixed(seed, 0, count), kind="stable").astype(np.int64)
    return order

"""Chance from a seed: the n-th number of a named stream, whatever was asked before. Pure.

The numbers are those of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), whose n-th output needs no
earlier one: work keeps its own service time however an order mixes it.
"""

from zlib import crc32

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_UNIT = 2.0**-53


class Stream:
    """Numbers in (0, 1), uniform; equal seeds and names give equal numbers."""

    __slots__ = ("_origin",)

    def __init__(self, seed: int, name: str) -> None:
        self._origin = _mixed(seed + (crc32(name.encode()) << 32))

    def at(self, index: int) -> float:
        """Return the number of an index, from 0."""
        return ((_mixed(self._origin + (index + 1) * _GAMMA) >> 11) + 0.5) * _UNIT


def _mixed(value: int) -> int:
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)

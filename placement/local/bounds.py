"""What the worker of a node may take: what is placed there asks for it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.decisions import PlacementDecided


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many cores a worker may run on, and how much memory it may hold, MiB."""

    cores: int
    memory_mib: int


def bounds_of(placements: Iterable[PlacementDecided], node: str, overhead_mib: int) -> Bounds:
    """Return the bounds of a node's worker: what its copies were given, together.

    Cores are whole ones and at least one; `overhead_mib` is what a worker holds without models.
    """
    there = [one for placed in placements for one in placed.assignments if one.node == node]
    milli = sum(max(one.cpu_milli, 0) for one in there)
    memory = sum(max(one.memory_mib, 0) for one in there)
    return Bounds(max(1, -(-milli // 1000)), memory + overhead_mib)


def share_out(count: int, machine: Sequence[int], others: Iterable[Sequence[int]]) -> list[int]:
    """Return so many of a machine's cores, those first on which the fewest others are held."""
    taken = dict.fromkeys(machine, 0)
    for cores in others:
        for core in cores:
            taken[core] = taken.get(core, 0) + 1
    return sorted(sorted(machine, key=lambda core: (taken[core], core))[:count])

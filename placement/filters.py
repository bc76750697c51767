"""Which nodes a replica can run on, and what rules the others out.

Every filter is a hard constraint. They are asked in a fixed order, and a node counts for the first
one that rules it out. A perfect fit is a fit.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from placement.model import Demand
from placement.table import Floats, Ints, Mask, Table
from schemas.decisions import NearMiss, Rejection

MOST_MISSES = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """One filter on all nodes: who passes, what is needed, what each node has of it."""

    constraint: str
    passes: Mask
    needed: float
    available: Floats


@dataclass(frozen=True, slots=True)
class Screening:
    """All filters together.

    `fits` says who passes all of them, `first` which filter rules a node out (its position in
    `verdicts`, -1 for none).
    """

    fits: Mask
    first: Ints
    verdicts: tuple[Verdict, ...]

    def rejections(self) -> tuple[Rejection, ...]:
        """Return how many nodes each constraint ruled out, most first."""
        counted = [
            Rejection(constraint=verdict.constraint, nodes=int((self.first == position).sum()))
            for position, verdict in enumerate(self.verdicts)
        ]
        return tuple(
            sorted((r for r in counted if r.nodes), key=lambda r: (-r.nodes, r.constraint))
        )

    def near_misses(self, table: Table) -> tuple[NearMiss, ...]:
        """Return at most ten rejected nodes, by how little of what is needed they lack."""
        misses = []
        for row in np.flatnonzero(self.first >= 0):
            verdict = self.verdicts[self.first[row]]
            available = float(verdict.available[row])
            lack = (verdict.needed - available) / verdict.needed
            misses.append((lack, table.nodes[row].name, verdict, available))
        misses.sort(key=lambda miss: miss[:2])
        return tuple(
            NearMiss(
                node=name,
                constraint=verdict.constraint,
                needed=verdict.needed,
                available=available,
            )
            for _, name, verdict, available in misses[:MOST_MISSES]
        )


def screen(table: Table, demand: Demand, taken: Collection[int] = ()) -> Screening:
    """Apply every filter; `taken` are rows that hold a replica of the service already."""
    verdicts = (
        _yes_or_no("health", table.ready),
        _yes_or_no("taint", ~table.tainted),
        _yes_or_no("architecture", table.architecture_accepted(demand)),
        _yes_or_no("variant", np.full(len(table.nodes), demand.variant() is not None)),
        _yes_or_no("accelerator", _has_accelerator(table, demand)),
        _yes_or_no("one-replica-per-node", _not_taken(table, taken)),
        _enough("cpu", demand.cpu_milli, table.cpu_free),
        _cores(table, demand),
        _enough("memory", demand.memory_mib, table.memory_free),
        _gpu(table, demand),
    )
    first = np.full(len(table.nodes), -1, np.int64)
    for position in range(len(verdicts) - 1, -1, -1):
        first[~verdicts[position].passes] = position
    return Screening(first < 0, first, verdicts)


def _has_accelerator(table: Table, demand: Demand) -> Mask:
    if not demand.gpu_milli:
        return np.ones(len(table.nodes), np.bool_)
    found: Mask = np.logical_or.reduce(table.gpu_accepted(demand), axis=1)
    return found


def _not_taken(table: Table, taken: Collection[int]) -> Mask:
    passes = np.ones(len(table.nodes), np.bool_)
    passes[list(taken)] = False
    return passes


def _cores(table: Table, demand: Demand) -> Verdict:
    """Match demands to cores, highest to freest; nodes that report no cores pass."""
    size = len(demand.cores)
    if not size:
        return _yes_or_no("cpu-per-core", np.ones(len(table.nodes), np.bool_))
    width = max(size, table.core_free.shape[1])
    room = np.full((len(table.nodes), width), -1, np.int64)
    room[:, : table.core_free.shape[1]] = table.core_free
    worst = (np.array(demand.cores) - room[:, :size]).max(axis=1)
    needed = float(max(demand.cores))
    passes = (worst <= 0) | ~table.core_known
    return Verdict("cpu-per-core", passes, max(1.0, needed), needed - worst.astype(np.float64))


def _gpu(table: Table, demand: Demand) -> Verdict:
    if not demand.gpu_milli:
        return _yes_or_no("gpu", np.ones(len(table.nodes), np.bool_))
    free = np.where(table.gpu_accepted(demand), table.gpu_free, 0).max(axis=1, initial=0)
    return _enough("gpu", demand.gpu_milli, free)


def _yes_or_no(constraint: str, passes: Mask) -> Verdict:
    return Verdict(constraint, passes, 1.0, passes.astype(np.float64))


def _enough(constraint: str, needed: int, available: Ints) -> Verdict:
    return Verdict(
        constraint, available >= needed, max(1.0, float(needed)), available.astype(np.float64)
    )

"""Which nodes a copy can run on, and what rules the others out. Pure.

Every filter is a hard constraint. They are asked in a fixed order, and a node counts for the first
one that rules it out. A perfect fit is a fit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from placement.choosing.chooser import Filter
from placement.choosing.relations import Verdict, relations
from placement.cluster.columns import Columns, Floats, Ints, Mask
from placement.cluster.copies import Cluster
from placement.cluster.needs import Demand, Need
from schemas.decisions import NearMiss, Rejection

MOST_MISSES = 10


@dataclass(frozen=True, slots=True)
class Screening:
    """All filters together.

    `fits` says who passes all of them, `first` which one rules a node out (its position in
    `verdicts`, -1 for none).
    """

    fits: Mask
    first: Ints
    verdicts: tuple[Verdict, ...]

    def rejections(self) -> tuple[Rejection, ...]:
        """Return how many nodes each constraint ruled out, most first."""
        counts = np.bincount(self.first + 1, minlength=len(self.verdicts) + 1)[1:].tolist()
        found: dict[str, int] = {}
        for verdict, nodes in zip(self.verdicts, counts, strict=True):
            if nodes:
                found[verdict.constraint] = found.get(verdict.constraint, 0) + nodes
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Rejection(constraint=name, nodes=nodes) for name, nodes in ordered)

    def near_misses(self, columns: Columns) -> tuple[NearMiss, ...]:
        """Return at most ten rejected nodes, by how little of what is needed they lack."""
        rows = np.flatnonzero(self.first >= 0)
        lack = np.empty(len(rows))
        for position, verdict in enumerate(self.verdicts):
            here = self.first[rows] == position
            available = _available(verdict)[rows[here]]
            lack[here] = abs(verdict.needed - available) / verdict.needed
        nearest = rows[np.argsort(lack, kind="stable")[:MOST_MISSES]]
        return tuple(self._miss(columns, row) for row in nearest.tolist())

    def _miss(self, columns: Columns, row: int) -> NearMiss:
        verdict = self.verdicts[self.first[row]]
        return NearMiss(
            node=columns.machines[row].name,
            constraint=verdict.constraint,
            needed=verdict.needed,
            available=verdict.at(row),
        )


def screen(
    cluster: Cluster,
    demand: Demand,
    need: Need | None,
    others: Mapping[str, Filter] | None = None,
) -> Screening:
    """Apply every filter to one more copy of a service; `need` None: there is no way to run it."""
    verdicts = tuple(_verdicts(cluster, demand, need, others or {}))
    first = np.full(len(cluster.columns), -1, np.int64)
    for position in range(len(verdicts) - 1, -1, -1):
        first[~verdicts[position].passes] = position
    return Screening(first < 0, first, verdicts)


def _verdicts(
    cluster: Cluster, demand: Demand, need: Need | None, others: Mapping[str, Filter]
) -> Iterator[Verdict]:
    columns = cluster.columns
    yield Verdict("health", columns.ready)
    yield Verdict("report", columns.open)
    if demand.defects:
        yield Verdict("registration", np.zeros(len(columns), np.bool_))
    if need is None:
        yield Verdict("variant", np.zeros(len(columns), np.bool_))
        return
    for constraint, passes in columns.sorts.each(need):
        yield Verdict(constraint, passes)
    for name, passing in others.items():
        yield Verdict(f"plugin {name}", passing(columns, need))
    if need.gpus:
        there = columns.gpus_of(need)
        yield Verdict("accelerator", there >= need.gpus, need.gpus, there)
    yield from relations(cluster, demand, need)
    yield from _amounts(columns, need)
    if need.gpus:
        yield from _gpus(columns, need)


def _amounts(columns: Columns, need: Need) -> Iterator[Verdict]:
    free = columns.free
    yield _enough("cpu", need.cpu_milli + need.surplus[0], free[:, 0])
    if need.cores:
        lacking = columns.cores_lacking(need, slice(None))
        most = max(need.cores[0], 1)
        yield Verdict("cpu-per-core", lacking <= 0, most, most - lacking)
    yield _enough("memory", need.memory_mib + need.surplus[1], free[:, 1])
    for name, amount in need.extra:
        column = columns.place_of.get(name)
        there = np.zeros(len(columns), np.int64) if column is None else free[:, column]
        yield _enough(name, amount, there)


def _gpus(columns: Columns, need: Need) -> Iterator[Verdict]:
    """Look at the GPUs that are left of those which will do: as many as are needed must."""
    able = columns.of_model(need, slice(None))
    for constraint, needed, free in (
        ("gpu-memory", need.gpu_memory_mib, columns.gpu_memory),
        ("gpu", need.gpu_milli, columns.gpu_free),
    ):
        if needed or constraint == "gpu":
            worst = _at_place(np.where(able, free, -1), need.gpus)
            yield Verdict(constraint, worst >= needed, max(needed, 1), np.maximum(worst, 0))
            able &= free >= needed


def _at_place(values: Ints, place: int) -> Ints:
    """Return the largest value of each row, or the second, ...; -1 where there are not so many."""
    if place > values.shape[1]:
        return np.full(len(values), -1)
    if place > 1:
        return -np.partition(-values, place - 1, axis=1)[:, place - 1]
    largest = values[:, 0]
    for column in range(1, values.shape[1]):
        largest = np.maximum(largest, values[:, column])
    return largest


def _enough(constraint: str, needed: int, available: Ints) -> Verdict:
    return Verdict(constraint, available >= needed, max(1.0, float(needed)), available)


def _available(verdict: Verdict) -> Floats | Ints:
    if verdict.available is None:
        return verdict.passes.astype(np.float64)
    return verdict.available

"""Filter, score, assign: where the replicas of services run, given where they run already.

Sticky: a replica that may stay stays, so that nothing moves without need. Replicas on nodes that
are draining or unknown stay until another node takes them over; those on nodes that failed or are
gone are lost. No node is ever over-committed: in no dimension does what is placed exceed the
capacity, and nothing new is placed into room that others use.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from placement.filters import Screening, screen
from placement.fragmentation import gradient
from placement.model import DRAINING, READY, UNKNOWN, Demand, NodeView
from placement.occupancy import Occupancy
from placement.scores import ALGORITHMS, Weights, score
from placement.table import Table, assignment
from schemas.decisions import Assignment, NearMiss, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A service, the copies wanted of it, and where it runs now."""

    demand: Demand
    replicas: int
    present: tuple[Assignment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a service is to run; `fitting` nodes passed all filters when it was last placed.

    Rejections and near misses tell why replicas are missing; `score` is the mean over the nodes
    that were chosen now.
    """

    service: str
    replicas: int
    assignments: tuple[Assignment, ...]
    score: float = 0.0
    fitting: int = 0
    rejections: tuple[Rejection, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()

    @property
    def status(self) -> str:
        """Return placed, partial, unplaceable or retired."""
        if not self.replicas:
            return "retired"
        if len(self.assignments) >= self.replicas:
            return "placed"
        return "partial" if self.assignments else "unplaceable"


@dataclass(slots=True)
class _Open:
    """A service while it is planned: replicas that stay for sure, and those to be taken over."""

    want: Want
    kept: list[Assignment] = field(default_factory=list)
    soft: list[Assignment] = field(default_factory=list)
    chosen: list[float] = field(default_factory=list)
    screening: Screening | None = None


def plan(
    wants: Iterable[Want],
    nodes: Sequence[NodeView],
    algorithm: str = "weighted",
    occupied: Occupancy | None = None,
    workload: tuple[Demand, ...] = (),
) -> dict[str, Plan]:
    """Return a plan per service that is wanted; `occupied` is what all others take.

    Deterministic: services by priority, then by size, largest first, then by name; ties between
    nodes go to the first by name. `workload` is the mix that fragmentation is judged by (default:
    the demands given). Unknown algorithms plan as `weighted`.
    """
    table = Table(nodes)
    if occupied is not None:
        table.occupy(occupied)
    weights = ALGORITHMS.get(algorithm, ALGORITHMS["weighted"])
    ordered = sorted(wants, key=_order)
    mix = workload or tuple(want.demand for want in ordered)
    opened = [_Open(want) for want in ordered]
    for item in opened:
        _keep(table, item)
    for item in opened:
        _fill(table, item, weights, mix)
    return {item.want.demand.service: _close(table, item) for item in opened}


def _order(want: Want) -> tuple[int, int, int, int, str]:
    need = want.demand
    return (-need.priority, -need.gpu_milli, -need.cpu_milli, -need.memory_mib, need.service)


def _keep(table: Table, item: _Open) -> None:
    """Reserve what stays; of more replicas than wanted, those on unsound nodes go first."""
    demand = item.want.demand
    stays: list[tuple[int, str, Assignment]] = []
    for present in item.want.present:
        row = table.row.get(present.node)
        if row is None or table.nodes[row].health not in (READY, DRAINING, UNKNOWN):
            continue
        stays.append((int(table.nodes[row].health != READY), present.node, present))
    stays.sort(key=lambda entry: entry[:2])
    limit = item.want.replicas
    for unsound, node, present in stays:
        row = table.row[node]
        slot = table.slot_of(row, present.gpu_index) if demand.gpu_milli else None
        if len(item.kept) + len(item.soft) >= limit or not table.may_stay(row, demand, slot):
            continue
        table.reserve(row, demand, slot)
        (item.soft if unsound else item.kept).append(assignment(table, row, demand, slot))


def _fill(table: Table, item: _Open, weights: Weights, mix: tuple[Demand, ...]) -> None:
    """Place what is missing, one replica after another, on the node that scores best."""
    demand = item.want.demand
    while len(item.kept) < item.want.replicas:
        taken = [table.row[a.node] for a in (*item.kept, *item.soft)]
        item.screening = screen(table, demand, taken)
        if not item.screening.fits.any():
            break
        scores = np.where(item.screening.fits, score(table, demand, weights, taken, mix), -np.inf)
        row = int(scores.argmax())
        slot = _slot(table, row, demand, weights, mix)
        table.reserve(row, demand, slot)
        item.kept.append(assignment(table, row, demand, slot))
        item.chosen.append(float(scores[row]))


def _slot(
    table: Table, row: int, demand: Demand, weights: Weights, mix: tuple[Demand, ...]
) -> int | None:
    """Return the GPU to use: where it fragments least, else the fullest that fits."""
    if not demand.gpu_milli:
        return None
    if weights.fragmentation:
        return int(gradient(table, demand, mix).slot[row])
    free = np.where(table.gpu_fits(demand)[row], table.gpu_free[row], np.iinfo(np.int64).max)
    return int(free.argmin())


def _close(table: Table, item: _Open) -> Plan:
    missing = item.want.replicas - len(item.kept)
    kept = [*item.kept, *item.soft[:missing]]
    screening = item.screening
    short = missing > 0 and screening is not None
    return Plan(
        service=item.want.demand.service,
        replicas=item.want.replicas,
        assignments=tuple(sorted(kept, key=lambda a: a.node)),
        score=sum(item.chosen) / len(item.chosen) if item.chosen else 0.0,
        fitting=int(screening.fits.sum()) if screening is not None else 0,
        rejections=screening.rejections() if screening is not None else (),
        near_misses=screening.near_misses(table) if short and screening is not None else (),
    )

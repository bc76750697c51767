"""Where a copy may go for the sake of other copies: apart, together, near, with room for its data.

Each constraint is a verdict on all N nodes. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from placement.cluster.columns import Floats, Ints, Mask
from placement.cluster.copies import Cluster
from placement.cluster.needs import UPLINK, Demand, Need

ONE_PER_NODE = "one-replica-per-node"
_THOUSAND = 1000.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One constraint on all nodes: who meets it, what is needed, what each node has of it.

    `available` None: 1 where it is met, else 0.
    """

    constraint: str
    passes: Mask
    needed: float = 1.0
    available: Floats | Ints | None = None

    def at(self, row: int) -> float:
        """Return what a node has."""
        return float((self.passes if self.available is None else self.available)[row])


def barred(cluster: Cluster, demand: Demand, need: Need) -> Mask:
    """Return, N, where the copies that run forbid one more copy."""
    found = np.zeros(len(cluster.columns), np.bool_)
    for verdict in relations(cluster, demand, need):
        found |= ~verdict.passes
    return found


def relations(cluster: Cluster, demand: Demand, need: Need) -> Iterator[Verdict]:
    """Yield the constraints that one more copy of a service has to meet."""
    if left := [r for node in demand.avoid if (r := cluster.columns.row.get(node)) is not None]:
        yield Verdict("avoided", _all_but(cluster, left))
    rows = cluster.rows_of(demand.service)
    if rows and demand.max_per_node:
        most = demand.max_per_node
        full = [row for row in set(rows) if cluster.count(row, demand.service) >= most]
        yield Verdict(ONE_PER_NODE if most == 1 else "max-per-node", _all_but(cluster, full))
    if rows and demand.max_per_zone:
        yield Verdict("max-per-zone", _zones(cluster, rows) < demand.max_per_zone)
    if others := sorted({*demand.anti_affinity, *cluster.repelling(demand.service)}):
        near = [row for other in others for row in cluster.rows_of(other)]
        yield Verdict("anti-affinity", _all_but(cluster, near))
    for other in demand.affinity:
        yield Verdict("affinity", _with(cluster, demand, need, other))
    yield from _latency(cluster, demand)
    yield from _bandwidth(cluster, demand)


def _all_but(cluster: Cluster, rows: list[int]) -> Mask:
    passes = np.ones(len(cluster.columns), np.bool_)
    passes[rows] = False
    return passes


def _zones(cluster: Cluster, rows: list[int]) -> Ints:
    """Return, N, how many of some copies are in the zone of each node."""
    counts = np.zeros(len(cluster.columns), np.int64)
    for row in rows:
        counts += cluster.columns.sorts.zone_of(row)
    return counts


def _with(cluster: Cluster, demand: Demand, need: Need, other: str) -> Mask:
    """Return where another service runs; of those that need one another the first goes ahead.

    It goes where there is CPU, memory and the rest, GPUs apart, for both.
    """
    columns = cluster.columns
    rows = [row for row in cluster.rows_of(other) if columns.open[row]]
    if not rows and _leads_to(cluster, other, demand.service):
        options = cluster.known[other].options
        if not options:
            return np.zeros(len(columns), np.bool_)
        both = together(need, options[0].need)
        return columns.accepted(options[0].need) & columns.fitting(both)
    passes = np.zeros(len(columns), np.bool_)
    passes[cluster.rows_of(other)] = True
    return passes


def _leads_to(cluster: Cluster, service: str, goal: str) -> bool:
    """Return whether a service must, itself or by others, run with another one."""
    seen, left = {service}, [service]
    while left:
        demand = cluster.known.get(left.pop())
        for other in demand.affinity if demand is not None else ():
            if other == goal:
                return True
            if other not in seen:
                seen.add(other)
                left.append(other)
    return False


def together(need: Need, other: Need) -> Need:
    """Return what two copies take together, GPUs and cores apart."""
    extra = dict(need.extra)
    for name, amount in other.extra:
        extra[name] = extra.get(name, 0) + amount
    return replace(
        need,
        cpu_milli=need.cpu_milli + other.cpu_milli,
        memory_mib=need.memory_mib + other.memory_mib,
        extra=tuple(sorted(extra.items())),
        gpus=0,
        gpu_milli=0,
        gpu_memory_mib=0,
        cores=(),
    )


def _latency(cluster: Cluster, demand: Demand) -> Iterator[Verdict]:
    between = cluster.network.latency
    for near in demand.neighbours:
        rows = set(cluster.rows_of(near.service))
        if rows and near.max_latency_us is not None:
            least = np.min([between(row) for row in rows], axis=0)
            yield _soon(least, near.max_latency_us)
    for caller, near in cluster.callers(demand.service):
        if near.max_latency_us is None:
            continue
        reached = cluster.rows_of(demand.service)
        for row in set(cluster.rows_of(caller.service)):
            there = cluster.nearest(row, reached)
            if there is None or cluster.network.between(row, there) > near.max_latency_us:
                yield _soon(between(row), near.max_latency_us)


def _soon(latency: Ints, most: int) -> Verdict:
    return Verdict("latency", latency <= most, most / _THOUSAND, latency / _THOUSAND)


def _bandwidth(cluster: Cluster, demand: Demand) -> Iterator[Verdict]:
    """Tell whether all that would flow has room: each way by itself, the node's uplink in all."""
    flows = list(_flows(cluster, demand))
    if not flows:
        return
    columns = cluster.columns
    needed = np.zeros(len(columns), np.int64)
    uplink = np.zeros(len(columns), np.int64)
    lacking = np.zeros(len(columns), np.int64)
    for row, where, kbps in flows:
        needed += kbps * where
        uplink += kbps * (where & cluster.network.by_uplink(row))
        lacking = np.maximum(lacking, np.where(where, kbps - cluster.network.left(row), 0))
    if uplink.any():
        column = columns.place_of.get(UPLINK)
        free = columns.free[:, column] if column is not None else np.zeros_like(uplink)
        lacking = np.maximum(lacking, uplink - free)
    most = max(int(needed.max()), 1)
    yield Verdict("bandwidth", lacking <= 0, most / _THOUSAND, (most - lacking) / _THOUSAND)


def _flows(cluster: Cluster, demand: Demand) -> Iterator[tuple[int, Mask, int]]:
    """Yield a row, on which candidates a copy would exchange data with it, and how much."""
    network = cluster.network
    for near in demand.neighbours:
        rows = sorted(set(cluster.rows_of(near.service)))
        if rows and near.kbps:
            nearest = np.argmin([network.latency(row) for row in rows], axis=0)
            for place, row in enumerate(rows):
                yield row, nearest == place, near.kbps
    candidates = np.arange(len(cluster.columns))
    for caller, near in cluster.callers(demand.service):
        for copy in cluster.copies[caller.service].values() if near.kbps else ():
            now = cluster.flow(caller.service, copy.instance, demand.service)
            latency = network.latency(copy.row)
            turns = np.ones(len(latency), np.bool_)
            if now is not None:
                turns = (latency < latency[now]) | ((latency == latency[now]) & (candidates < now))
            yield copy.row, turns, near.kbps

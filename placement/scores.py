"""How good a node is for a replica, each score in 0 to 1, higher is better; arrays over all nodes.

`fit` is the share of the node's capacity that is in use once the replica is there, averaged over
CPU, memory and, where the service wants one, GPU: best fit prefers the fullest node that fits.
`balance` is 1 - the spread (largest less smallest) of those shares. `speed` is the node's speed
relative to the fastest. `spread` is 1 / (1 + replicas of the service in the node's zone).
`fragmentation` is the gradient of `placement.fragmentation`.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from placement.fragmentation import gradient
from placement.model import Demand
from placement.table import Floats, Ints, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each score counts; a negative weight turns its preference round."""

    fit: float = 0.0
    balance: float = 0.0
    speed: float = 0.0
    spread: float = 0.0
    fragmentation: float = 0.0


ALGORITHMS: dict[str, Weights] = {
    "weighted": Weights(fit=0.5, balance=0.1, speed=0.3, spread=0.1),
    "best_fit": Weights(fit=1.0),
    "worst_fit": Weights(fit=-1.0),
    "first_fit": Weights(),
    "balanced": Weights(balance=1.0),
    "fastest": Weights(speed=1.0),
    "fragmentation": Weights(fragmentation=1.0),
}
"""Algorithms by name; ties go to the first node by name."""


def score(
    table: Table,
    demand: Demand,
    weights: Weights,
    taken: Collection[int],
    workload: tuple[Demand, ...],
) -> Floats:
    """Return the weighted sum of the scores per node; `taken` are rows with a replica."""
    total = np.zeros(len(table.nodes), np.float64)
    if weights.fit or weights.balance:
        used = _used(table, demand)
        total += weights.fit * used.mean(axis=0)
        total += weights.balance * (1.0 - (used.max(axis=0) - used.min(axis=0)))
    if weights.speed:
        total += weights.speed * table.speed / max(float(table.speed.max(initial=0.0)), 1e-9)
    if weights.spread:
        total += weights.spread * _spread(table, taken)
    if weights.fragmentation:
        total += weights.fragmentation * gradient(table, demand, workload).best
    return total.round(9)


def _used(table: Table, demand: Demand) -> Floats:
    """Return the used share after placing, dimensions x N."""
    rows = [
        _share(table.cpu_free - demand.cpu_milli, table.cpu_capacity),
        _share(table.memory_free - demand.memory_mib, table.memory_capacity),
    ]
    if demand.gpu_milli:
        free = table.gpu_free.sum(axis=1) - demand.gpu_milli
        rows.append(_share(free, table.gpu_capacity))
    return np.stack(rows)


def _share(left: Ints, capacity: Ints) -> Floats:
    result: Floats = np.clip(1.0 - left / np.maximum(capacity, 1), 0.0, 1.0)
    return result


def _spread(table: Table, taken: Collection[int]) -> Floats:
    counts = np.zeros(len(table.nodes), np.float64)
    for row in taken:
        counts += table.zone == table.zone[row]
    return 1.0 / (1.0 + counts)

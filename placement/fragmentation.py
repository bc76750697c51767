"""Fragmentation of GPU shares, and how much a placement adds to it.

Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
Gradient Descent", USENIX ATC 2023. For a target workload of tasks m with frequency p_m, a node's
fragmentation is F = sum p_m F(m), where F(m) is all its idle GPU share when m cannot run there
(too little CPU, memory or GPU share, another GPU model, or m wants no GPU), else the idle shares
of those GPUs that are each too small for m. A placement's gradient is
sigmoid((F before - F after) / 1000). As in the published scheduler the score is cut to hundredths,
so that nodes that hardly differ tie.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from placement.model import Demand
from placement.table import Floats, Ints, Table

MOST_CLASSES = 32


@dataclass(frozen=True, slots=True)
class Gradient:
    """Per node, N: the best score, 0 to 1, and the GPU column it is reached with (-1 for none)."""

    best: Floats
    slot: Ints


def classes_of(workload: tuple[Demand, ...]) -> tuple[tuple[Demand, float], ...]:
    """Return the most frequent kinds of tasks of a workload, with their frequencies."""
    kinds = Counter(replace(d, service="", app="", priority=0, variants=()) for d in workload)
    common = sorted(kinds.items(), key=lambda item: (-item[1], repr(item[0])))[:MOST_CLASSES]
    total = sum(count for _, count in common)
    return tuple((kind, count / total) for kind, count in common)


def fragmentation(
    table: Table,
    cpu: Ints,
    memory: Ints,
    gpu: Ints,
    classes: tuple[tuple[Demand, float], ...],
) -> Floats:
    """Return F per node, thousandths of a GPU; `cpu`, `memory` (N) and `gpu` (N x G) are free."""
    idle = np.maximum(gpu, 0)
    every = idle.sum(axis=1)
    total = np.zeros(len(table.nodes), np.float64)
    for kind, frequency in classes:
        if not kind.gpu_milli:
            total += frequency * every
            continue
        large = (idle >= kind.gpu_milli) & table.gpu_accepted(kind)
        runs = (cpu >= kind.cpu_milli) & (memory >= kind.memory_mib) & large.any(axis=1)
        small = np.where(idle < kind.gpu_milli, idle, 0).sum(axis=1)
        total += frequency * np.where(runs, small, every)
    return total


def gradient(table: Table, demand: Demand, workload: tuple[Demand, ...]) -> Gradient:
    """Return how well each node, and which of its GPUs, takes a replica without fragmenting."""
    classes = classes_of(workload)
    cpu, memory, gpu = table.cpu_free, table.memory_free, table.gpu_free
    before = fragmentation(table, cpu, memory, gpu, classes)
    cpu, memory = cpu - demand.cpu_milli, memory - demand.memory_mib
    nowhere = np.full(len(table.nodes), -1, np.int64)
    if not demand.gpu_milli:
        return Gradient(_cut(before - fragmentation(table, cpu, memory, gpu, classes)), nowhere)
    best, slot = np.zeros(len(table.nodes), np.float64), nowhere
    fits = table.gpu_fits(demand)
    for column in range(gpu.shape[1]):
        less = gpu.copy()
        less[:, column] -= demand.gpu_milli
        gained = _cut(before - fragmentation(table, cpu, memory, less, classes))
        better = fits[:, column] & ((gained > best) | (slot < 0))
        best, slot = np.where(better, gained, best), np.where(better, column, slot)
    return Gradient(best, slot)


def _cut(difference: Floats) -> Floats:
    result: Floats = np.floor(100.0 / (1.0 + np.exp(-difference / 1000.0))) / 100.0
    return result

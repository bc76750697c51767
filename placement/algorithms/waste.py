"""Compiled: how much GPU share of a node is lost to the workload, and what a copy adds to that.

Two measures, both in thousandths of a GPU, of a node by itself:

*Fragmentation*: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
Fragmentation Gradient Descent", USENIX ATC 2023. For kinds of copies m with shares p_m, F is
sum p_m F(m), where F(m) is all idle GPU share when m cannot run there, or wants no GPU; else what
is idle on GPUs that are each too small for m.

*Waste*: what would still be idle after the workload has streamed past: fixed streams of kinds,
each taken where it fits on the tightest GPUs, until so many have not fitted; the mean over the
streams. Weir's own. Fragmentation looks one copy ahead, this as many as the node can take.

A cluster is (free, GPU free, GPU model), rows x columns, -1 for no GPU; a mix is (kinds, does,
shares, streams): CPU, memory, GPUs and share of each, by kind; which models do for it, the last
column for none; how frequent it is; and kinds by stream and place.
"""

from typing import Any

import numpy as np

from placement.algorithms.mix import Workload
from placement.cluster.columns import Floats, Ints, Mask
from schemas.compiling import compiled, helper

Whole = Any
"""A number; mypy tells int from np.int64, numba does not."""
Cluster = tuple[Ints, Ints, Ints]
_FULL = 1 << 60


@helper
def _fits(need: Ints, cpu: Whole, memory: Whole, gpu: Ints, model: Ints, does: Mask) -> Whole:
    """Return whether a kind runs beside what is there."""
    if cpu < need[0] or memory < need[1]:
        return False
    lacking = need[2]
    for slot in range(len(gpu)):
        if lacking <= 0:
            break
        if gpu[slot] >= need[3] and does[model[slot]]:
            lacking -= 1
    return lacking <= 0


@helper
def _take(need: Ints, gpu: Ints, model: Ints, does: Mask) -> None:
    """Take the tightest GPUs that fit; they are known to be there."""
    last = -1
    for _ in range(need[2]):
        best, least = -1, _FULL
        for slot in range(len(gpu)):
            left = gpu[slot]
            free = left >= need[3] and does[model[slot]] and (left * 64 + slot > last)
            if free and left < least:
                best, least = slot, left
        last = least * 64 + best
        gpu[best] -= need[3]


@helper
def _fragmentation(cpu: Whole, memory: Whole, gpu: Ints, model: Ints, mix: Workload) -> Whole:
    kinds, does, shares, _ = mix
    idle = 0
    for slot in range(len(gpu)):
        idle += max(gpu[slot], 0)
    total = 0.0
    for kind in range(len(kinds)):
        need = kinds[kind]
        lost = idle
        if need[2] > 0 and _fits(need, cpu, memory, gpu, model, does[kind]):
            lost = 0
            for slot in range(len(gpu)):
                if 0 < gpu[slot] < need[3]:
                    lost += gpu[slot]
        total += shares[kind] * lost
    return total


@helper
def _waste(
    cpu: Whole, memory: Whole, gpu: Ints, model: Ints, mix: Workload, misses: Whole
) -> Whole:
    kinds, does, _, streams = mix
    left = np.empty(len(gpu), np.int64)
    idle = total = 0
    for slot in range(len(gpu)):
        idle += max(gpu[slot], 0)
    for stream in range(len(streams)):
        left[:] = gpu
        now, cores, room, missed = idle, cpu, memory, 0
        for kind in streams[stream]:
            if now == 0 or missed >= misses:
                break
            need = kinds[kind]
            if not _fits(need, cores, room, left, model, does[kind]):
                missed += 1
                continue
            _take(need, left, model, does[kind])
            cores -= need[0]
            room -= need[1]
            now -= need[2] * need[3]
        total += now
    return total / len(streams)


@helper
def _lost(cpu: Whole, memory: Whole, gpu: Ints, model: Ints, mix: Workload, misses: Whole) -> Whole:
    if misses > 0:
        return _waste(cpu, memory, gpu, model, mix, misses)
    return _fragmentation(cpu, memory, gpu, model, mix)


@helper
def _again(row: Whole, slot: Whole, able: Mask, cluster: Cluster) -> Whole:
    """Return whether a GPU before this one is like it."""
    _, gpu, model = cluster
    for before in range(slot):
        same = gpu[row, before] == gpu[row, slot] and model[row, before] == model[row, slot]
        if same and able[before]:
            return True
    return False


_CLUSTER = "Tuple((int64[:,::1], int64[:,::1], int64[:,::1]))"
_MIX = "Tuple((int64[:,::1], boolean[:,::1], float64[::1], int64[:,::1]))"


@compiled(f"void(int64[::1], {_CLUSTER}, {_MIX}, int64, float64[::1])")
def losses(rows: Ints, cluster: Cluster, mix: Workload, misses: int, found: Floats) -> None:
    """Fill in what is lost on each of `rows`: waste up to so many misses, fragmentation with 0."""
    free, gpu, model = cluster
    for place in range(len(rows)):
        row = rows[place]
        found[place] = _lost(free[row, 0], free[row, 1], gpu[row], model[row], mix, misses)


@compiled(
    f"void(int64[::1], boolean[:,::1], {_CLUSTER}, int64[::1], {_MIX}, int64, "
    "float64[::1], int64[::1])"
)
def gains(
    rows: Ints,
    able: Mask,
    cluster: Cluster,
    need: Ints,
    mix: Workload,
    misses: int,
    best: Floats,
    slots: Ints,
) -> None:
    """Fill in, for each of `rows`, how much less is lost once a copy is there, and on which GPU.

    `best` holds what is lost before that, and then what is gained.
    `able` (rows x G) says which GPUs fit the copy, `need` is its CPU, memory, GPUs and share.
    Waste is counted up to so many misses, fragmentation with 0. A copy that shares a GPU goes to
    the one with the best result, others to the tightest (slot -1).
    """
    free, gpu, model = cluster
    after = np.empty(gpu.shape[1], np.int64)
    for place in range(len(rows)):
        row = rows[place]
        cpu, memory = free[row, 0], free[row, 1]
        before = best[place]
        best[place], slots[place] = -np.inf, -1
        shared = need[2] == 1
        for slot in range(gpu.shape[1] if shared else 1):
            if shared and (not able[place, slot] or _again(row, slot, able[place], cluster)):
                continue
            after[:] = gpu[row]
            if shared:
                after[slot] -= need[3]
            elif need[2] > 0:
                last = -1
                for _ in range(need[2]):
                    chosen, least = -1, _FULL
                    for other in range(gpu.shape[1]):
                        left = gpu[row, other]
                        if able[place, other] and left * 64 + other > last and left < least:
                            chosen, least = other, left
                    last = least * 64 + chosen
                    after[chosen] -= need[3]
            lost = _lost(cpu - need[0], memory - need[1], after, model[row], mix, misses)
            if before - lost > best[place]:
                best[place] = before - lost
                slots[place] = slot if shared else -1

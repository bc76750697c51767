"""Which cores a copy runs on: one for each of its demands, as tight as they come. Pure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
NO_CORE = -1
"""Stands for what is free of a core that is not there."""


def lacking(demands: Sequence[int], free: Ints) -> Ints:
    """Return, N, how much the core that lacks most lacks, of what is free (N x C); 0 at least.

    Demands stand highest first, and are matched with the cores from the freest on.
    """
    size = len(demands)
    room = np.full((len(free), max(size, free.shape[1])), NO_CORE, np.int64)
    room[:, : free.shape[1]] = free
    freest = -np.sort(-room, axis=1)[:, :size]
    found: Ints = (np.array(demands, np.int64) - freest).max(axis=1, initial=0)
    return found


def cores_for(
    demands: Sequence[int], free: Sequence[int], held: tuple[int, ...] = ()
) -> tuple[int, ...] | None:
    """Return a core for each demand, highest first: those held, or the least free that do.

    None where there are not enough; nothing where the cores are unknown.
    """
    if not demands or all(core == NO_CORE for core in free):
        return ()
    if len(set(held)) == len(demands) and all(
        0 <= core < len(free) and free[core] >= demand
        for core, demand in zip(held, demands, strict=True)
    ):
        return held
    left = sorted(range(len(free)), key=lambda core: (free[core], core))
    chosen = []
    for demand in demands:
        core = next((core for core in left if free[core] >= demand), None)
        if core is None or demand < 0:
            return None
        left.remove(core)
        chosen.append(core)
    return tuple(chosen)

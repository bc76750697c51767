"""Compiled: which machines have room for a copy, and how much of it would be left. Pure.

`rows` are those that are asked about, results stand in their order; -1 in `model` is no GPU, and
the last of `does` is False.
"""

from typing import Any

import numpy.typing as npt

from schemas.compiling import compiled

Array = npt.NDArray[Any]
Gpus = tuple[Array, Array, Array]


@compiled(
    "void(int64[::1], int64[:,::1], boolean[::1], int64[::1], "
    "Tuple((int64[:,::1], int64[:,::1], int64[:,::1])), UniTuple(int64, 3), boolean[::1], "
    "boolean[::1])"
)
def fits(
    rows: Array,
    free: Array,
    opened: Array,
    asked: Array,
    gpus: Gpus,
    each: tuple[int, int, int],
    does: Array,
    found: Array,
) -> None:
    """Fill in whether a copy has room: amounts `asked` of `free` (N x amounts), and GPUs.

    `gpus` are free share, free memory and model (N x G); `each` is how many are needed, and what
    of each; `does` says which models do.
    """
    share, memory, model = gpus
    count, milli, mib = each
    for place in range(len(rows)):
        row = rows[place]
        able = opened[row]
        for column in range(len(asked)):
            able = able and asked[column] <= free[row, column]
        lacking = count
        if able and lacking > 0:
            for slot in range(share.shape[1]):
                enough = share[row, slot] >= milli and memory[row, slot] >= mib
                if enough and does[model[row, slot]]:
                    lacking -= 1
        found[place] = able and lacking <= 0


@compiled(
    "void(int64[::1], int64[:,::1], int64[::1], UniTuple(int64, 3), UniTuple(int64, 3), "
    "float64[::1])"
)
def left(
    rows: Array,
    free: Array,
    idle: Array,
    asked: tuple[int, int, int],
    largest: tuple[int, int, int],
    found: Array,
) -> None:
    """Fill in the mean of what is left of CPU and GPU share (`idle`) as shares of the largest.

    Memory takes the place of GPU where the largest has none. `asked` and `largest` are CPU, memory
    and GPU share.
    """
    cores, memory, share = largest
    for place in range(len(rows)):
        row = rows[place]
        cpu = (free[row, 0] - asked[0]) / max(cores, 1)
        if share > 0:
            other = (idle[row] - asked[2]) / share
        else:
            other = (free[row, 1] - asked[1]) / max(memory, 1)
        found[place] = (cpu + other) / 2


_MEASURE = "Tuple((int64[:,::1], int64[:,::1], int64[:,::1]))"


@compiled(f"void(int64, {_MEASURE}, {_MEASURE}, {_MEASURE}, int64[::1])")
def refresh(row: int, amounts: Gpus, share: Gpus, memory: Gpus, idle: Array) -> None:
    """Work out what is free on a row: each is free, room, and what others use (N x columns)."""
    for free, room, outside in (amounts, share, memory):
        for column in range(free.shape[1]):
            free[row, column] = max(room[row, column] - outside[row, column], 0)
    total = 0
    for column in range(share[0].shape[1]):
        total += share[0][row, column]
    idle[row] = total

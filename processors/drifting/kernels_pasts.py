"""Compiled: events written behind the pasts of many series, as `Past.extend` does for one."""

from processors.drifting.kernels import Floats, Ints
from schemas.compiling import compiled

Columns = tuple[Ints, Ints, Ints, Ints, Ints, Floats, Floats, Ints, Ints, Floats]


@compiled(
    "void(Tuple((int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[:,::1], "
    "float64[:,::1], int64[:,::1], int64[:,:,::1], float64[:,:,::1])), "
    "int64[::1], int64[::1], int64[::1], float64[::1])"
)
def extend(pasts: Columns, numbers: Ints, times: Ints, offsets: Ints, values: Floats) -> None:
    """Append events in their order: the number of the series, time, offset, value of each.

    `pasts` are the columns of `Pasts` in their order there. A block that pushes out the oldest
    one kept adds it to the head. Sums are taken in the order of the events.
    """
    events, first, made, held, head_count, head, tail, tail_place, places, sums = pasts
    keep, block = len(places), tail.shape[1]
    for at in range(len(numbers)):
        number = numbers[at]
        cell = held[number]
        if cell == 0:
            tail_place[number, 0], tail_place[number, 1] = times[at], offsets[at]
        tail[number, cell] = values[at]
        events[number] += 1
        held[number] = (cell + 1) % block
        if cell + 1 < block:
            continue
        row = made[number] % keep
        if made[number] - keep >= first[number]:
            head[number, 0] += sums[row, number, 0]
            head[number, 1] += sums[row, number, 1]
            head_count[number] += block
            first[number] += 1
        places[row, number] = tail_place[number]
        total = squares = 0.0
        for value in tail[number]:
            total += value
            squares += value * value
        sums[row, number, 0], sums[row, number, 1] = total, squares
        made[number] += 1

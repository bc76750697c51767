"""The recent pasts of many series in columns, for those that nothing is suspected of.

A row of the table is what a `Past` is; what must be judged is taken out as one and put back.
Sums are taken in the order of the events, to the last bit as a `Past` takes them.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from processors.drifting.concepts import BLOCK, Floats, Moments, Past, PastState, sums_of

Ints = npt.NDArray[np.int64]
_FIRST = 16
T = TypeVar("T", np.int64, np.float64)


class Pasts:
    """Pasts by number; each keeps its newest `keep` blocks, and sums up what came before them.

    Block n of a series, counted from 0, stands in row n % keep; `_first` is the oldest kept. Rows
    are blocks, so that series of few events share few pages of memory.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._events: Ints = np.zeros(0, np.int64)
        self._first: Ints = np.zeros(0, np.int64)
        self._made: Ints = np.zeros(0, np.int64)
        self._held: Ints = np.zeros(0, np.int64)
        self._head_count: Ints = np.zeros(0, np.int64)
        self._head: Floats = np.zeros((0, 2))
        self._tail: Floats = np.zeros((0, BLOCK))
        self._tail_place: Ints = np.zeros((0, 2), np.int64)
        self._places: Ints = np.zeros((keep, 0, 2), np.int64)
        self._sums: Floats = np.zeros((keep, 0, 2))

    def reserve(self, numbers: int) -> None:
        """Have an empty past for each of so many numbers, but for those that have one."""
        while numbers > len(self._events):
            self._grow()

    def clear(self, number: int) -> None:
        """Give a number an empty past again."""
        for column in (self._events, self._first, self._made, self._held, self._head_count):
            column[number] = 0
        self._head[number] = 0.0

    def _grow(self) -> None:
        old = len(self._events)
        new = max(_FIRST, 2 * old)
        used = min(self._keep, int(self._made.max(initial=0)))
        self._events, self._first = widened(self._events, new), widened(self._first, new)
        self._made, self._held = widened(self._made, new), widened(self._held, new)
        self._head_count, self._head = widened(self._head_count, new), widened(self._head, new)
        self._tail, self._tail_place = widened(self._tail, new), widened(self._tail_place, new)
        places, sums = np.zeros((self._keep, new, 2), np.int64), np.zeros((self._keep, new, 2))
        places[:used, :old], sums[:used, :old] = self._places[:used], self._sums[:used]
        self._places, self._sums = places, sums

    def past(self, number: int) -> Past:
        """Return a past by itself; changes to it count when it is put back."""
        kept = self._kept(number)
        time, offset = self._tail_place[number].tolist()
        return Past(
            self._keep,
            self._head_of(number),
            list(map(tuple, self._places[kept, number].tolist())),
            list(map(tuple, self._sums[kept, number].tolist())),
            self._tail[number, : self._held[number]].tolist(),
            (time, offset),
            self.events(number),
        )

    def events(self, number: int) -> int:
        """Return how many events came since something was forgotten."""
        return int(self._events[number])

    def _kept(self, number: int) -> Ints:
        return np.arange(self._first[number], self._made[number]) % self._keep

    def _head_of(self, number: int) -> Moments:
        total, squares = self._head[number].tolist()
        return Moments(count=int(self._head_count[number]), total=total, squares=squares)

    def state(self, number: int) -> PastState:
        """Return a past as state."""
        kept, held = self._kept(number), int(self._held[number])
        time, offset = self._tail_place[number].tolist() if held else (0, 0)
        return PastState(
            head=self._head_of(number),
            places=self._places[kept, number].astype("<i8").tobytes(),
            sums=self._sums[kept, number].astype("<f8").tobytes(),
            tail=tuple(self._tail[number, :held].tolist()),
            tail_time=time,
            tail_offset=offset,
        )

    def take_over(self, number: int, state: PastState, events: int) -> None:
        """Put a past as it was saved in the place of the one that has this number."""
        places = list(map(tuple, np.frombuffer(state.places, "<i8").reshape(-1, 2).tolist()))
        sums = list(map(tuple, np.frombuffer(state.sums, "<f8").reshape(-1, 2).tolist()))
        last = state.tail_time, state.tail_offset
        self.put(number, Past(self._keep, state.head, places, sums, list(state.tail), last, events))

    def put(self, number: int, past: Past) -> None:
        """Put a past in the place of the one that has this number."""
        blocks, held = len(past.sums), len(past.tail)
        self._events[number] = past.events
        self._first[number], self._made[number] = 0, blocks
        self._head_count[number] = past.head.count
        self._head[number] = past.head.total, past.head.squares
        if blocks:
            self._places[:blocks, number] = past.places
            self._sums[:blocks, number] = past.sums
        self._held[number] = held
        self._tail[number, :held] = past.tail
        self._tail_place[number] = past.tail_place

    def extend(self, numbers: Ints, times: Ints, offsets: Ints, values: Floats) -> None:
        """Append events: numbers ascending, and for each its events in their order."""
        if not len(numbers):
            return
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        counts = np.diff(starts, append=len(numbers))
        most = (self._keep - 1) * BLOCK
        if counts.max() <= most:
            self._write(numbers[starts], counts, np.column_stack((times, offsets)), values)
            return
        rank = np.arange(len(numbers)) - np.repeat(starts, counts)
        for turn in range(int(rank.max()) // most + 1):
            part = rank // most == turn
            self.extend(numbers[part], times[part], offsets[part], values[part])

    def _write(self, numbers: Ints, counts: Ints, places: Ints, values: Floats) -> None:
        """Append events, the short way where they fill no block, as most do in small batches."""
        short = self._held[numbers] + counts < BLOCK
        if not short.any():
            self._extend(numbers, counts, places, values)
            return
        events = np.repeat(short, counts)
        self._lengthen(numbers[short], counts[short], places[events], values[events])
        if not short.all():
            long, events = ~short, ~events
            self._extend(numbers[long], counts[long], places[events], values[events])

    def _lengthen(self, numbers: Ints, counts: Ints, places: Ints, values: Floats) -> None:
        """Write events into tails that have room for them."""
        shift = self._held[numbers] - (np.cumsum(counts) - counts)
        cells = np.arange(len(values)) + np.repeat(shift, counts)
        owner, opening = np.repeat(numbers, counts), cells == 0
        self._tail[owner, cells] = values
        self._tail_place[owner[opening]] = places[opening]
        self._events[numbers] += counts
        self._held[numbers] += counts

    def _extend(self, numbers: Ints, counts: Ints, places: Ints, values: Floats) -> None:
        """Write events behind the tails, in blocks; keep the full ones, and the rest as tails."""
        held = self._held[numbers]
        ends = held + counts
        blocks = -(-ends // BLOCK)
        last = np.cumsum(blocks) - 1
        base = last + 1 - blocks
        shift = base * BLOCK + held - (np.cumsum(counts) - counts)
        cells = np.arange(len(values)) + np.repeat(shift, counts)
        matrix, begun = np.empty((last[-1] + 1, BLOCK)), np.empty((last[-1] + 1, 2), np.int64)
        matrix[base], begun[base] = self._tail[numbers], self._tail_place[numbers]
        matrix.reshape(-1)[cells] = values
        opening = np.flatnonzero(cells % BLOCK == 0)
        begun[cells[opening] // BLOCK] = places[opening]
        self._events[numbers] += counts
        self._held[numbers] = ends % BLOCK
        self._tail[numbers], self._tail_place[numbers] = matrix[last], begun[last]
        full = np.ones(len(matrix), np.bool_)
        full[last] = ends % BLOCK == 0
        if full.any():
            within = np.arange(len(matrix)) - np.repeat(base, blocks)
            owner = np.repeat(numbers, blocks)[full]
            self._append(owner, self._made[owner] + within[full], begun[full], matrix[full])
            self._made[numbers] += ends // BLOCK

    def _append(self, owner: Ints, ordinal: Ints, begun: Ints, matrix: Floats) -> None:
        row = ordinal % self._keep
        pushed = ordinal - self._keep >= self._first[owner]
        if pushed.any():
            out = owner[pushed]
            np.add.at(self._head, out, self._sums[row[pushed], out])
            np.add.at(self._head_count, out, BLOCK)
            np.add.at(self._first, out, 1)
        self._places[row, owner] = begun
        self._sums[row, owner] = sums_of(matrix)


def widened(column: npt.NDArray[T], rows: int) -> npt.NDArray[T]:
    """Return a copy with zeros behind it, so many rows in all."""
    wider = np.zeros((rows, *column.shape[1:]), column.dtype)
    wider[: len(column)] = column
    return wider

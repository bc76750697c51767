"""The recent pasts of many series in columns, for those that nothing is suspected of.

A row of the table is what a `Past` is; what must be judged is taken out as one and put back.
Sums are taken in the order of the events, to the last bit as a `Past` takes them.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from processors.drifting import kernels_pasts
from processors.drifting.concepts import BLOCK, Floats, Moments, Past, PastState

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
        """Append events in their order, each to the past of its number."""
        kernels_pasts.extend(self._columns(), numbers, times, offsets, values)

    def _columns(self) -> kernels_pasts.Columns:
        return (
            self._events,
            self._first,
            self._made,
            self._held,
            self._head_count,
            self._head,
            self._tail,
            self._tail_place,
            self._places,
            self._sums,
        )


def widened(column: npt.NDArray[T], rows: int) -> npt.NDArray[T]:
    """Return a copy with zeros behind it, so many rows in all."""
    wider = np.zeros((rows, *column.shape[1:]), column.dtype)
    wider[: len(column)] = column
    return wider

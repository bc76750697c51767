"""The open windows of all windowings that a partition has, and of those that were in force."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from processors.observing.closing import Closing
from processors.observing.ordered import Ordered
from processors.observing.panes import Late, Panes
from processors.observing.rows import Flags, Ids, Ints, Rows
from processors.observing.series import SeriesBook
from processors.observing.state import ShelfState
from processors.observing.windows import Windowing

Shelf = Panes | Ordered


@dataclass(frozen=True, slots=True)
class Missed:
    """Late rows of a windowing, newest when each came, and what they missed (of more rows)."""

    windowing: Windowing
    rows: Rows
    since: Ints
    late: Late


class Shelves:
    """Open windows by windowing. A series falls silent after `forget_ms`."""

    def __init__(self, book: SeriesBook, forget_ms: int) -> None:
        self._book = book
        self._forget_ms = forget_ms
        self._shelves: dict[Windowing, Shelf] = {}

    def define(self, windowings: Iterable[Windowing]) -> None:
        """Bring windowings into force, or what of them may change while windows are open."""
        for windowing in windowings:
            self._of(windowing).windowing = windowing

    def _of(self, windowing: Windowing) -> Shelf:
        shape = _shape(windowing)
        shelf = self._shelves.get(shape)
        if shelf is None:
            shelf = self._shelves[shape] = self._made(windowing)
        return shelf

    def _made(self, windowing: Windowing) -> Shelf:
        if windowing.on_time:
            return Panes(windowing)
        return Ordered(windowing, self._forget_ms, self._book.digest)

    def _shared(
        self, windowings: tuple[Windowing, ...], rows: Rows
    ) -> Iterator[tuple[Shelf, Flags]]:
        """Yield the windows of each windowing that has any of the rows, and which are theirs."""
        flags = self._book.flags(windowings)[:, rows.series]
        for number in np.flatnonzero(flags.any(axis=1)).tolist():
            yield self._of(windowings[number]), flags[number]

    def put(self, windowings: tuple[Windowing, ...], rows: Rows, running: Ints) -> Iterator[Missed]:
        """Take rows, with newest as it was when each came; yield the late ones."""
        if len(windowings) == 1:
            yield from _add(self._of(windowings[0]), rows, running)
            return
        for shelf, mine in self._shared(windowings, rows):
            if mine.all():
                yield from _add(shelf, rows, running)
            else:
                yield from _add(shelf, rows[mine], running[mine])

    def again(
        self,
        windowings: tuple[Windowing, ...],
        rows: Rows,
        running: Ints,
        newest: int,
        least: int,
    ) -> None:
        """Take rows that had been taken before; those by order from the offset `least` on."""
        for shelf, mine in self._shared(windowings, rows):
            keep = mine & (rows.offsets >= least) if isinstance(shelf, Ordered) else mine
            if keep.any():
                shelf.again(rows[keep], running[keep], newest)

    def resume(self, newest: int) -> None:
        """Go on from where newest stood, after the last call of `again`."""
        for shelf in self._shelves.values():
            shelf.resume(newest)

    def advance(self, before: int | None, running: Ints, offsets: Ints | None) -> list[Closing]:
        """Return what is due, by all windowings, while newest went on as `running` tells.

        Without offsets of rows it is the clock that moved it.
        """

        def cut(at: int) -> int | None:
            place = int(np.searchsorted(running, at))
            return None if offsets is None or place == len(offsets) else int(offsets[place])

        due: list[Closing] = []
        newest = int(running[-1])
        for shelf in self._shelves.values():
            after, early = before, shelf.windowing.early_ms
            for place in _crossings(before, running, early) if early else ():
                reached = int(running[place])
                due += shelf.close(after, reached, cut)
                gone = None if offsets is None else int(offsets[place])
                due += shelf.early(reached // early * early, reached, gone)
                after = reached
            due += shelf.close(after, newest, cut)
        return due

    def due(self, newest: int) -> Iterator[int]:
        """Yield when windows close or are told early, in event time, should no event come."""
        for shelf in self._shelves.values():
            at, early = shelf.due(), shelf.windowing.early_ms
            if at is not None:
                yield at
            if early and shelf.news():
                yield (newest // early + 1) * early

    @property
    def by_order(self) -> bool:
        """Whether any windows are by order."""
        return any(isinstance(shelf, Ordered) for shelf in self._shelves.values())

    def oldest(self, *, by_order: bool) -> int | None:
        """Return the lowest offset in windows by order, or in the others."""
        found = [
            shelf.oldest()
            for shelf in self._shelves.values()
            if isinstance(shelf, Ordered) is by_order
        ]
        return min((first for first in found if first is not None), default=None)

    def held(self) -> int:
        """Return how many rows are held."""
        return sum(shelf.held() for shelf in self._shelves.values())

    def used(self) -> Iterator[Ids]:
        """Yield the series that windows know."""
        for shelf in self._shelves.values():
            yield from shelf.used()

    def renumber(self, ids: Ids) -> None:
        """Number series anew."""
        for shelf in self._shelves.values():
            shelf.renumber(ids)

    def keep(self, windowings: Iterable[Windowing]) -> None:
        """Drop windowings other than these that hold nothing any more."""
        kept = {id(self._of(windowing)) for windowing in windowings}
        self._shelves = {
            shape: shelf
            for shape, shelf in self._shelves.items()
            if id(shelf) in kept or shelf.held()
        }

    def packed(self, defined: Collection[Windowing]) -> tuple[ShelfState, ...]:
        """Return as state what neither the log tells nor `define`, given these windowings."""
        states = (
            ShelfState(windowing=shelf.windowing, told=shelf.told, progress=shelf.packed())
            for _, shelf in sorted(self._shelves.items(), key=lambda one: _order(one[0]))
        )
        known = set(defined)
        return tuple(s for s in states if s.told or s.progress or s.windowing not in known)

    def unpack(self, states: Iterable[ShelfState]) -> None:
        """Take over state."""
        for state in states:
            shelf = self._of(state.windowing)
            shelf.windowing, shelf.told = state.windowing, state.told
            shelf.unpack(state.progress)


@lru_cache(maxsize=4_096)
def _shape(windowing: Windowing) -> Windowing:
    """Return what tells its windows from those of others."""
    return replace(windowing, functions=(), early_ms=0, send_late=False)


@lru_cache(maxsize=4_096)
def _order(shape: Windowing) -> str:
    return repr(shape)


def _add(shelf: Shelf, rows: Rows, running: Ints) -> Iterator[Missed]:
    late = shelf.add(rows, running)
    if late is not None:
        yield Missed(shelf.windowing, rows[late.rows], running[late.rows], late)


def _crossings(before: int | None, running: Ints, early_ms: int) -> list[int]:
    """Return the rows at which newest reaches or passes a multiple of `early_ms`."""
    passed = running // early_ms
    start = passed[0] if before is None else before // early_ms
    previous = np.concatenate(([start], passed[:-1]))
    crossings: list[int] = np.flatnonzero(passed != previous).tolist()
    return crossings

"""What observe keeps over a restart: little, since the log still holds what open windows hold."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from processors.observing.lateness import LateEntry, nothing_late
from processors.observing.rows import Ints
from processors.observing.series import FIELDS, SeriesBook
from processors.observing.windows import Windowing
from schemas.closed import DefinitionHeld
from schemas.columns import metrics

_MOST_MARKS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """The windowings in force from an offset on."""

    first: int
    windowings: tuple[Windowing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfState:
    """What one windowing was told early up to, and where series were last cut (`Ordered.packed`).

    `told` is an offset for windows on a grid of time, else an event time.
    """

    windowing: Windowing
    told: int
    progress: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveState:
    """What the log does not tell: watermark, clock of the last event, eras, late counts.

    `marks` are pairs of an offset and the newest event time before it. Windows by order are
    rebuilt from the first on; at the others the clock had moved it. `ahead` is the next offset.
    `held` are the definitions whose rows are told, and since when.
    """

    newest: int | None
    seen_ms: int
    topic: str
    partition: int
    eras: tuple[Era, ...]
    refused: tuple[str, ...]
    late: tuple[LateEntry, ...]
    shelves: tuple[ShelfState, ...] = ()
    marks: tuple[int, ...] = ()
    ahead: int = 0
    held: tuple[DefinitionHeld, ...] = ()


class Marks:
    """Offsets at which the newest event time before them is known, in order.

    Those at which the clock had moved it are all kept while they may be needed: what was late
    can be told from the log with them.
    """

    def __init__(self, pairs: Sequence[int] = ()) -> None:
        places = list(zip(pairs[::2], pairs[1::2], strict=True))
        self._marks = places[:1]
        self._moved = places[1:]

    def put(self, offset: int, newest: int) -> None:
        """Note newest as it is before an offset; of too many every other one is kept."""
        self._marks.append((offset, newest))
        if len(self._marks) > _MOST_MARKS:
            self._marks = [*self._marks[:-1:2], self._marks[-1]]

    @property
    def crowded(self) -> bool:
        """Whether it is time to call `forget`."""
        return len(self._marks) >= _MOST_MARKS

    def moved(self, offset: int, newest: int) -> None:
        """Note that the clock has moved newest before an offset."""
        if self._moved and self._moved[-1][0] == offset:
            self._moved.pop()
        self._moved.append((offset, newest))

    def first(self, oldest: int | None) -> int:
        """Return the offset of the last mark at or before an offset, None for the very last."""
        return self._marks[self._place(oldest)][0] if self._marks else 0

    def _place(self, oldest: int | None) -> int:
        if oldest is None:
            return -1
        return max(0, bisect_right(self._marks, oldest, key=lambda mark: mark[0]) - 1)

    def since(self, oldest: int | None) -> tuple[int, ...]:
        """Return, as pairs, the mark of an offset and where the clock moved newest after it."""
        if not self._marks:
            return ()
        base = self._marks[self._place(oldest)]
        moved = [mark for mark in self._moved if mark[0] > base[0]]
        return tuple(number for mark in (base, *moved) for number in mark)

    def forget(self, oldest: int | None) -> None:
        """Drop what no rebuild from an offset on needs."""
        first = self.first(oldest)
        self._marks = [mark for mark in self._marks if mark[0] >= first]
        self._moved = [mark for mark in self._moved if mark[0] > first]


def running_of(times: Ints, offsets: Ints, marks: Sequence[int], newest: int) -> Ints:
    """Return newest as it was when each row came, once more.

    `marks` are pairs as of `Marks.since`; `newest` is what the rows before had made of it.
    """
    reached = np.where(offsets >= marks[0], times, newest)
    for offset, moved in zip(marks[::2], marks[1::2], strict=True):
        place = int(np.searchsorted(offsets, offset))
        if place < len(reached):
            reached[place] = max(int(reached[place]), moved)
    return np.maximum(np.maximum.accumulate(reached), newest)


def packed(entries: pl.DataFrame, book: SeriesBook) -> tuple[LateEntry, ...]:
    """Return late entries as state, in an order of their own."""
    found = []
    for row in entries.iter_rows(named=True):
        names: dict[str, Any] = dict(zip(FIELDS, book.names(row.pop("series")), strict=True))
        found.append(LateEntry(**names, **row))
    return tuple(sorted(found, key=_order))


def _order(entry: LateEntry) -> tuple[object, ...]:
    names = [getattr(entry, name) for name in FIELDS]
    return (entry.deadline, entry.since, entry.window, *names)


def unpacked(entries: Iterable[LateEntry], book: SeriesBook, newest: int) -> pl.DataFrame:
    """Return state as late entries."""
    empty = nothing_late()
    rows = [
        {name: getattr(entry, name) for name in (*FIELDS, *empty.columns[1:])} for entry in entries
    ]
    if not rows:
        return empty
    frame = pl.DataFrame(rows, orient="row")
    blank = frame.select(
        *FIELDS,
        pl.lit(0).alias("event_time"),
        pl.lit(0.0).alias("value"),
        pl.lit(0).alias("_offset"),
    )
    coded, series = metrics(blank)
    ids = book.ids(series, newest)[coded["_series"].to_numpy()]
    return frame.with_columns(pl.Series("series", ids)).select(
        pl.col(name).cast(dtype) for name, dtype in empty.schema.items()
    )

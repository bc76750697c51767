"""Rows of closed windows for the metrics that are defined by expressions, told by observe.

An application's series stand in several partitions, so no instance of observe can compute what is
defined over them. Each tells the rows of the series that a definition looks at when their window
closes, and `define` puts them together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl

from processors.defined import Definition, tellable
from processors.defined_rows import looks_at, meeting
from processors.expressions_tree import Name, Node, walk
from processors.observe_series import FIELDS, Names, SeriesBook
from processors.windows import HOPPING, TUMBLING, Windowing
from processors.windows_closing import CLOSED, SENT, Closing
from processors.windows_rows import Flags, Ids, Ints, Rows, joined
from schemas.closed import ClosedSeries, ClosedWindow, DefinitionHeld, WindowsClosed
from schemas.identity import stable_id
from schemas.processing import Partition
from schemas.registrations import MetricDefined

MOST_ROWS = 20_000
"""Rows of one event: 36 bytes each, and their request ids where those are asked for."""
EXPORTED = SENT + 1
_MOST_KNOWN = 200_000


@dataclass(slots=True)
class _Part:
    """What one closing gives to an event."""

    windows: list[ClosedWindow] = field(default_factory=list)
    window_of: list[Ints] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)


class Exporter:
    """Knows which rows definitions look at, and tells them."""

    def __init__(self, held: tuple[DefinitionHeld, ...] = ()) -> None:
        self.held = held
        self._source: Mapping[str, MetricDefined] | None = None
        self._definitions: tuple[Definition, ...] = ()
        self._conditions: list[tuple[str, str, Node | None]] = []
        self._known: dict[tuple[str, bool], dict[Names, bool]] = {}
        self._asked = False
        self._requests: list[tuple[Ints, pl.Series]] = []

    def define(self, definitions: Mapping[str, MetricDefined], newest: int | None) -> None:
        """Take over what the catalogue says; `newest` is the newest event time so far."""
        if definitions is self._source:
            return
        self._source = definitions
        self._definitions = tellable(definitions)
        known = {one.definition: one.since for one in self.held}
        ids = [one.source.event_id for one in self._definitions]
        self.held = tuple(
            DefinitionHeld(definition=i, since=known.get(i, newest or 0)) for i in ids
        )
        self._conditions = [
            (one.source.app, one.source.window, looks_at(one.expression))
            for one in self._definitions
        ]
        self._asked = any(_asks_requests(one) for one in self._definitions)
        self._known = {}

    def take(self, frame: pl.DataFrame) -> None:
        """Remember the request ids of rows, where a definition asks for them."""
        if self._asked:
            self._requests.append((frame["_offset"].to_numpy(), frame["request_id"]))

    def forget(self, oldest: int | None) -> None:
        """Forget the request ids of rows below an offset; of all where it is None."""
        self._requests = [
            chunk for chunk in self._requests if oldest is not None and chunk[0][-1] >= oldest
        ]

    def told(
        self, closings: Sequence[Closing], book: SeriesBook, source: Partition, now_ms: int
    ) -> list[tuple[int, list[WindowsClosed]]]:
        """Return, by the instant of closing, the rows of closed windows that are looked at."""
        if not self._definitions:
            return []
        closed = sorted((one for one in closings if one.rank == CLOSED), key=lambda one: one.at)
        return [
            (at, self._events(at, list(group), book, source, now_ms))
            for at, group in groupby(closed, key=lambda one: one.at)
        ]

    def _events(
        self, at: int, closings: list[Closing], book: SeriesBook, source: Partition, now_ms: int
    ) -> list[WindowsClosed]:
        part = _Part()
        for closing in sorted(closings, key=lambda one: one.windowing.name):
            self._add(part, closing, book)
        rows = joined(part.rows)
        windows = np.concatenate(part.window_of) if part.window_of else np.empty(0, np.int64)
        found = []
        for number, first in enumerate(range(0, max(1, len(rows)), MOST_ROWS)):
            span = slice(first, first + MOST_ROWS)
            columns = self._columns(part, rows[span], windows[span], book)
            found.append(
                WindowsClosed(
                    event_id=stable_id("observe", "closed", *source, at, number),
                    topic=source[0],
                    partition=source[1],
                    until=at,
                    last=first + MOST_ROWS >= len(rows),
                    definitions=self.held,
                    emitted_at=now_ms,
                    **columns,
                )
            )
        return found

    def _add(self, part: _Part, closing: Closing, book: SeriesBook) -> None:
        """Put the rows of a closing that are looked at into a part."""
        shared = closing.windowing.kind in (TUMBLING, HOPPING)
        wanted = self._wanted(closing.windowing, shared, closing.series, book)
        if not wanted.any():
            return
        first = len(part.windows)
        count = np.diff(closing.starts, append=len(closing.rows))
        groups = np.zeros(len(closing), np.int64) if shared else np.arange(len(closing))
        spans = [0] if shared else range(len(closing))
        part.windows += [
            ClosedWindow(
                name=closing.windowing.name,
                start=int(closing.begins[g]),
                end=int(closing.ends[g]),
                series=-1 if shared else int(closing.series[g]),
            )
            for g in spans
        ]
        chosen = np.repeat(wanted, count)
        part.rows.append(closing.rows[chosen])
        part.window_of.append(np.repeat(groups + first, count)[chosen])

    def _wanted(self, windowing: Windowing, shared: bool, series: Ids, book: SeriesBook) -> Flags:
        conditions = [
            (app, condition)
            for app, window, condition in self._conditions
            if window == windowing.name or (shared and not window)
        ]
        if not conditions:
            return np.zeros(len(series), np.bool_)
        known = self._known.setdefault((windowing.name, shared), {})
        names = [book.names(number) for number in series.tolist()]
        unknown = list({one for one in names if one not in known})
        if len(known) > _MOST_KNOWN:
            known.clear()
            unknown = list(set(names))
        if unknown:
            known |= _looked_at(conditions, unknown)
        return np.array([known[one] for one in names], np.bool_)

    def _columns(self, part: _Part, rows: Rows, windows: Ints, book: SeriesBook) -> dict[str, Any]:
        numbers, series_of = np.unique(rows.series, return_inverse=True)
        kept, window_of = np.unique(windows, return_inverse=True)
        place = {int(number): index for index, number in enumerate(numbers)}
        chosen = [part.windows[number] for number in kept.tolist()]
        return {
            "rows": len(rows),
            "windows": tuple(
                one if one.series < 0 else _renumbered(one, place[one.series]) for one in chosen
            ),
            "series": tuple(
                ClosedSeries(**dict(zip(FIELDS, book.names(number), strict=True)))
                for number in numbers.tolist()
            ),
            "window_of": window_of.astype("<u4").tobytes(),
            "series_of": series_of.astype("<u4").tobytes(),
            "event_times": rows.times.astype("<i8").tobytes(),
            "values": rows.values.astype("<f8").tobytes(),
            "offsets": rows.offsets.astype("<i8").tobytes(),
            "request_ids": self._ids(rows.offsets) if self._asked else (),
        }

    def _ids(self, offsets: Ints) -> tuple[str, ...]:
        found = np.full(len(offsets), "", dtype=object)
        for known, requests in self._requests:
            places = np.minimum(np.searchsorted(known, offsets), len(known) - 1)
            there = np.flatnonzero(known[places] == offsets)
            found[there] = requests.gather(places[there]).fill_null("").to_list()
        return tuple(found.tolist())


def _renumbered(window: ClosedWindow, series: int) -> ClosedWindow:
    return ClosedWindow(name=window.name, start=window.start, end=window.end, series=series)


def _looked_at(
    conditions: Sequence[tuple[str, Node | None]], names: Sequence[Names]
) -> dict[Names, bool]:
    frame = pl.DataFrame(names, schema=dict.fromkeys(FIELDS, pl.String), orient="row")
    some = np.zeros(len(names), np.bool_)
    for app, condition in dict.fromkeys(conditions):
        here = meeting(condition, frame).to_numpy()
        some |= here if not app else here & (frame["app"] == app).to_numpy()
    return dict(zip(names, some.tolist(), strict=True))


def _asks_requests(definition: Definition) -> bool:
    if definition.expression.plugins:
        return True
    nodes = walk(definition.expression.tree)
    return any(isinstance(node, Name) and node.name == "request_id" for node in nodes)

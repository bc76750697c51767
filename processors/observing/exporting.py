"""Rows of closed windows for the metrics that are defined by expressions, told by observe.

An application's series stand in several partitions, so no instance of observe can compute what is
defined over them. Each tells the rows of the series that a definition looks at when their window
closes, and `define` puts them together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl

from processors.defining.defined import Definition, tellable
from processors.defining.rows import looks_at, meeting
from processors.expressions.tree import Name, Node, walk
from processors.observing.closing import CLOSED, SENT, Closing
from processors.observing.rows import Flags, Ids, Ints, Rows, joined
from processors.observing.series import FIELDS, Names, SeriesBook
from processors.observing.windows import HOPPING, TUMBLING, Windowing
from schemas.closed import WIDTHS, ClosedSeries, ClosedWindow, DefinitionHeld, WindowsClosed
from schemas.identity import stable_id
from schemas.processing import Partition
from schemas.registrations import MetricDefined
from schemas.topics import topic_named

MOST_ROWS = 20_000
MOST_BYTES = topic_named("weir.closed").max_bytes // 2
"""Bytes of one event, about; what a single row has more is within the other half."""
EXPORTED = SENT + 1
_MOST_KNOWN = 200_000
_WINDOW_BYTES = 40
"""Of a window as Avro, its name apart: four numbers and a length, at most."""


@dataclass(slots=True)
class _Part:
    """What the closings of one instant give to events; `costs` are the bytes that rows take."""

    windows: list[ClosedWindow] = field(default_factory=list)
    window_of: list[Ints] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    costs: list[Ints] = field(default_factory=list)


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
        since = 0 if newest is None else newest + 1
        known = {one.definition: one.since for one in self.held}
        ids = [one.source.event_id for one in self._definitions]
        self.held = tuple(DefinitionHeld(definition=i, since=known.get(i, since)) for i in ids)
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
        windows, costs = _together(part.window_of), _together(part.costs)
        ids = self._ids(rows.offsets) if self._asked else ()
        if ids:
            costs += np.array([len(one.encode()) for one in ids])
        return [
            WindowsClosed(
                event_id=stable_id("observe", "closed", *source, at, number),
                topic=source[0],
                partition=source[1],
                until=at,
                last=span.stop >= len(rows),
                definitions=self.held,
                emitted_at=now_ms,
                request_ids=ids[span],
                **_columns(part, rows[span], windows[span], book),
            )
            for number, span in enumerate(_spans(costs))
        ]

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
                anchor=-1 if closing.anchors is None else int(closing.anchors[g]),
            )
            for g in spans
        ]
        chosen = np.repeat(wanted, count)
        part.rows.append(closing.rows[chosen])
        part.window_of.append(np.repeat(groups + first, count)[chosen])
        part.costs.append(_costs(closing, np.flatnonzero(wanted), count[wanted], book))

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

    def _ids(self, offsets: Ints) -> tuple[str, ...]:
        found = np.full(len(offsets), "", dtype=object)
        for known, requests in self._requests:
            places = np.minimum(np.searchsorted(known, offsets), len(known) - 1)
            there = np.flatnonzero(known[places] == offsets)
            found[there] = requests.gather(places[there]).fill_null("").to_list()
        return tuple(found.tolist())


def _costs(closing: Closing, groups: Ints, count: Ints, book: SeriesBook) -> Ints:
    """Return the bytes that rows take; the first of a series and window has theirs as well."""
    costs = np.full(int(count.sum()), sum(WIDTHS.values()), np.int64)
    window = len(closing.windowing.name.encode()) + _WINDOW_BYTES
    series = closing.series[groups].tolist()
    costs[np.cumsum(count) - count] += [window + len(book.raw(number)) for number in series]
    return costs


def _together(parts: list[Ints]) -> Ints:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _spans(costs: Ints) -> list[slice]:
    """Return how rows are cut into events: one at least, each with one row at least, if any."""
    reached, spans, first = np.cumsum(costs), list[slice](), 0
    while first < len(costs) or not spans:
        before = int(reached[first - 1]) if first else 0
        end = int(np.searchsorted(reached, before + MOST_BYTES, side="right"))
        spans.append(slice(first, min(max(end, first + 1), first + MOST_ROWS)))
        first = spans[-1].stop
    return spans


def _columns(part: _Part, rows: Rows, windows: Ints, book: SeriesBook) -> dict[str, Any]:
    numbers, series_of = np.unique(rows.series, return_inverse=True)
    kept, window_of = np.unique(windows, return_inverse=True)
    place = {int(number): index for index, number in enumerate(numbers)}
    chosen = [part.windows[number] for number in kept.tolist()]
    return {
        "rows": len(rows),
        "windows": tuple(
            one if one.series < 0 else replace(one, series=place[one.series]) for one in chosen
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
    }


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

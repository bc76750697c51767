"""What observe says, in order: observations, late events, and actions about what is in neither."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from processors.observing import lateness
from processors.observing.closing import CLOSED, EXPIRED, SENT, Closing, together
from processors.observing.exporting import EXPORTED, Exporter
from processors.observing.observations import observations
from processors.observing.series import FIELDS, SeriesBook
from processors.observing.shelves import Missed
from schemas.identity import stable_id
from schemas.observing import LateMetric
from schemas.packed import Packed
from schemas.processing import Columns, Output, Partition
from schemas.records import SourceRange
from schemas.topics import SERIES

FEW_ROWS = 4_096
"""Closings of more rows are written each by itself: nothing would be gained, and rows copied."""
_Key = tuple[int, int, tuple[Any, ...]]
"""An instant of event time, a rank, and what tells apart those of one instant and rank."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A late event that is sent on, and newest when it came."""

    at: int
    event: LateMetric


def tell(
    closings: Sequence[Closing],
    late: Sequence[Sent],
    pending: pl.DataFrame,
    book: SeriesBook,
    *,
    source: Partition,
    newest: int,
    now_ms: int,
    exporter: Exporter,
) -> tuple[list[Output | Packed], pl.DataFrame]:
    """Return all that is due by `newest` in the order of its instants, and the pending late counts.

    So what is told does not depend on where batches end.
    """
    closings = sorted(closings, key=_place)
    closed = [one for one in closings if one.rank == CLOSED]
    settled = _settled(pending, closed, newest)
    told: list[tuple[_Key, Sequence[Output | Packed]]] = []
    for alike in _alike(closings, settled.counts):
        at, whole = 0, together([closing for closing, _ in alike])
        counts: dict[int, int] = {}
        for closing, late_counts in alike:
            counts |= {at + place: count for place, count in late_counts.items()}
            at += len(closing)
        written, at = observations(whole, book, counts, source, now_ms), 0
        for closing, _ in alike:
            told.append((_place(closing), written[at : at + len(closing)]))
            at += len(closing)
    for entry in settled.expired:
        names = book.names(entry["series"])
        key = (entry["deadline"], EXPIRED, (entry["window"], *names))
        told.append((key, [lateness.told(entry, names, now_ms)]))
    for one in late:
        place = (one.event.sources[0].first, one.event.window)
        told.append(((one.at, SENT, place), [one.event]))
    for at, events in exporter.told(closings, book, source, now_ms):
        told.append(((at, EXPORTED, ()), events))
    told.sort(key=lambda one: one[0])
    return [event for _, events in told for event in events], settled.pending


def _alike(
    closings: Sequence[Closing], counts: Mapping[int, int]
) -> Iterable[list[tuple[Closing, dict[int, int]]]]:
    """Return closings with the late events that their windows count, by the window's number.

    Those of one list can be written together: some small windows cost as much as one. `counts` is
    by the number of the window among all that have closed.
    """
    found: dict[object, list[tuple[Closing, dict[int, int]]]] = {}
    number = 0
    for place, closing in enumerate(closings):
        own = {}
        if closing.rank == CLOSED:
            span = range(number, number + len(closing)) if counts else ()
            own = {at - number: counts[at] for at in span if at in counts}
            number += len(closing)
        few = len(closing.rows) <= FEW_ROWS and closing.anchors is None
        joins = few and closing.rank == CLOSED and not closing.windowing.early_ms
        found.setdefault(closing.windowing if joins else place, []).append((closing, own))
    return found.values()


def _place(closing: Closing) -> _Key:
    place = (closing.windowing.name, int(closing.ends[0]), int(closing.begins[0]))
    return (closing.at, closing.rank, place)


def _settled(pending: pl.DataFrame, closed: Sequence[Closing], newest: int) -> lateness.Settled:
    if pending.is_empty():
        return lateness.Settled({}, [], pending)
    nothing = np.empty(0, np.int64)
    series = np.concatenate([nothing, *(one.series for one in closed)])
    closes = np.concatenate([nothing, *(np.full(len(one), one.at) for one in closed)])
    names = [one.windowing.name for one in closed for _ in range(len(one))]
    return lateness.settle(pending, lateness.closings_of(series, names, closes), newest)


def sent(missed: Missed, book: SeriesBook, batch: Columns) -> list[Sent]:
    """Return late rows as events."""
    windowing, rows, since, late = missed.windowing, missed.rows, missed.since, missed.late
    ends, closes = late.ends[late.rows], late.closes[late.rows]
    places = np.searchsorted(batch.frame["_offset"].to_numpy(), rows.offsets)
    requests = batch.frame["request_id"].gather(places).to_list()
    found = []
    for row, (number, request) in enumerate(zip(rows.series.tolist(), requests, strict=True)):
        names, offset = book.names(number), int(rows.offsets[row])
        source = SourceRange(
            topic=batch.topic,
            partition=batch.partition,
            first=offset,
            last=offset,
            series="/".join(names[: len(SERIES)]),
        )
        event = LateMetric(
            event_id=stable_id(
                "late", batch.topic, batch.partition, offset, windowing.name, int(ends[row])
            ),
            event_time=int(rows.times[row]),
            **dict(zip(FIELDS, names, strict=True)),
            value=float(rows.values[row]),
            request_id=request,
            window=windowing.name,
            window_end=int(ends[row]),
            late_ms=int(since[row] - closes[row]),
            emitted_at=batch.now_ms,
            sources=(source,),
        )
        found.append(Sent(int(since[row]), event))
    return found

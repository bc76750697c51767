"""Metrics to observations: exact statistics per series over windows of event time.

The watermark of a partition is the newest event time that it has shown, row by row; an idle
partition's advances with the clock. Open windows are arrays, which a restart reads again from the
log; the snapshot holds the rest. Which windows there are, and what is late, says
`processors.observing.windows`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from processors.observing import lateness, windows
from processors.observing.closing import Closing
from processors.observing.exporting import Exporter
from processors.observing.rows import Ids, Ints, Rows
from processors.observing.series import SeriesBook, rows_of
from processors.observing.shelves import Shelves
from processors.observing.state import (
    Era,
    Marks,
    ObserveState,
    packed,
    running_of,
    unpacked,
)
from processors.observing.telling import Sent, sent, tell
from processors.params import identity, require
from processors.refusals import refusal
from schemas.closed import WindowsClosed
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import LateMetric, Observation
from schemas.packed import Packed, Told
from schemas.processing import Columns, Output, Partition, Spec
from schemas.registrations import MetricDefined, WindowDefined


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveParams:
    """How to observe, in ms.

    `size_ms` and `allowed_lateness_ms` hold where no WindowDefined applies. A partition is idle
    `idle_ms` after its last event; a timer that fires more than `away_ms` too late tells that the
    host was away, not that the partition is idle. Late events wait one to two `hold_ms` of event
    time for an observation that counts them. A series that was silent for `forget_ms` of event
    time is forgotten. A partition with `most_rows` rows in open windows (28 bytes each) or
    `most_series` series (about 700) is `full`.
    """

    size_ms: int = 2_000
    allowed_lateness_ms: int = 500
    idle_ms: int = 1_000
    away_ms: int = 5_000
    hold_ms: int = 60_000
    forget_ms: int = 600_000
    most_rows: int = 8_000_000
    most_series: int = 1_000_000


class Observe:
    """Observes the series of one partition of weir.metrics."""

    def __init__(self, params: ObserveParams) -> None:
        self._params = params
        self._default = windows.tumbling("default", params.size_ms, params.allowed_lateness_ms)
        self._definitions: Mapping[str, WindowDefined] | None = None
        self._begin(())

    def _begin(self, eras: tuple[Era, ...]) -> None:
        self._book = SeriesBook()
        self._shelves = Shelves(self._book, self._params.forget_ms)
        self._late = lateness.nothing_late()
        self._newest: int | None = None
        self._seen_ms = 0
        self._source: Partition = ("", 0)
        self._eras = eras
        self._refused: tuple[str, ...] = ()
        self._marks = Marks()
        self._restored: tuple[int, ...] = ()
        self._again = 0
        self._ahead = 0
        self._resuming = False
        self._exporter = Exporter()

    def process(self, batch: Columns) -> Sequence[Output]:
        """Put rows into windows and return the observations of those that close."""
        self._resume()
        if batch.frame.is_empty():
            return self._tick(batch)
        self._source = (batch.topic, batch.partition)
        refusals = self._define(batch)
        self._exporter.take(batch.frame)
        before = self._newest
        rows = rows_of(batch, self._book, before)
        running = np.maximum.accumulate(rows.times)
        if before is not None:
            running = np.maximum(running, before)
        self._newest = int(running[-1])
        late = self._put(rows, running, batch)
        self._mark(int(rows.offsets[0]), int(running[0]) if before is None else before)
        self._ahead = int(rows.offsets[-1]) + 1
        self._seen_ms = batch.now_ms
        closings = self._shelves.advance(before, running, rows.offsets)
        return Told([*refusals, *self._tell(closings, late, batch.now_ms)])

    @property
    def full(self) -> bool:
        """Whether no more events should come until windows have closed."""
        held = self._shelves.held()
        return held >= self._params.most_rows or len(self._book) >= self._params.most_series

    def wake_at(self) -> int | None:
        """Return when the next window closes by the clock, should no event come."""
        self._resume()
        if self._newest is None:
            return None
        due = list(self._shelves.due(self._newest))
        if not self._late.is_empty():
            due.append(int(self._late["deadline"].min()))  # type: ignore[arg-type]  # an Int64 column
        if len(self._book) >= self._params.most_series:
            due.append(self._book.sweep_at(self._params.forget_ms))
        if not due:
            return None
        return self._seen_ms + max(self._params.idle_ms, min(due) - self._newest)

    def snapshot(self) -> bytes:
        """Return the state without open windows."""
        return pack_state(
            ObserveState(
                newest=self._newest,
                seen_ms=self._seen_ms,
                topic=self._source[0],
                partition=self._source[1],
                eras=self._eras,
                refused=self._refused,
                late=packed(self._late, self._book),
                shelves=self._shelves.packed(self._eras[-1].windowings if self._eras else ()),
                marks=self._marks.since(self._shelves.oldest(by_order=True)),
                ahead=self._ahead,
                held=self._exporter.held,
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; its open windows come with `rebuild`."""
        state = unpack_state(data, ObserveState)
        self._begin(state.eras)
        self._newest, self._seen_ms = state.newest, state.seen_ms
        self._source = (state.topic, state.partition)
        self._refused = state.refused
        self._late = unpacked(state.late, self._book, state.newest or 0)
        self._shelves.define(state.eras[-1].windowings if state.eras else ())
        self._shelves.unpack(state.shelves)
        self._marks, self._ahead = Marks(state.marks), state.ahead
        self._restored = state.marks
        self._again = state.marks[1] if state.marks else 0
        self._definitions = None
        self._exporter = Exporter(state.held)
        self._resuming = True

    def _resume(self) -> None:
        if self._resuming and self._newest is not None:
            self._shelves.resume(self._newest)
        self._resuming = False

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return the lowest offset in an open window."""
        oldest = self._oldest()
        return {} if oldest is None else {self._source: oldest}

    def rebuild(self, batch: Columns) -> None:
        """Put rows into the windows that were open, and forget those of closed ones."""
        if self._newest is None or batch.frame.is_empty():
            return
        self._exporter.define(batch.catalogue.of(MetricDefined), self._newest)
        self._exporter.take(batch.frame)
        rows = rows_of(batch, self._book, self._newest)
        running = rows.times
        if self._restored:
            running = running_of(rows.times, rows.offsets, self._restored, self._again)
            self._again = int(running[-1])
        least = self._restored[0] if self._restored else 0
        ends = [*(era.first for era in self._eras[1:]), None]
        for era, end in zip(self._eras, ends, strict=True):
            low = int(np.searchsorted(rows.offsets, era.first))
            high = len(rows) if end is None else int(np.searchsorted(rows.offsets, end))
            if low < high:
                part, since = rows[low:high], running[low:high]
                self._shelves.again(era.windowings, part, since, self._newest, least)

    def _define(self, batch: Columns) -> list[Output]:
        self._exporter.define(batch.catalogue.of(MetricDefined), self._newest)
        definitions = batch.catalogue.of(WindowDefined)
        if definitions is self._definitions:
            return []
        self._definitions = definitions
        resolved = windows.resolve(definitions, self._default)
        if not self._eras or self._eras[-1].windowings != resolved.windowings:
            first = int(batch.frame["_offset"][0]) if self._eras else 0
            self._eras = (*self._eras, Era(first=first, windowings=resolved.windowings))
        self._shelves.define(resolved.windowings)
        known, self._refused = (
            self._refused,
            tuple(refused.definition.event_id for refused in resolved.refused),
        )
        return [
            refusal("observe", refused.definition, refused.reason, batch.now_ms)
            for refused in resolved.refused
            if refused.definition.event_id not in known
        ]

    def _put(self, rows: Rows, running: Ints, batch: Columns) -> list[Sent]:
        found: list[Sent] = []
        for missed in self._shelves.put(self._eras[-1].windowings, rows, running):
            name, since = missed.windowing.name, missed.since
            hold_ms = self._params.hold_ms
            entries = lateness.entries_of(missed.rows.series, name, since, hold_ms)
            self._late = pl.concat([self._late, entries])
            if missed.windowing.send_late:
                found += sent(missed, self._book, batch)
        return found

    def _tick(self, batch: Columns) -> Sequence[Output]:
        wake, before = self.wake_at(), self._newest
        if wake is None or before is None or batch.now_ms < wake:
            return []
        self._exporter.define(batch.catalogue.of(MetricDefined), before)
        if batch.now_ms <= wake + self._params.away_ms:
            self._newest = before + batch.now_ms - self._seen_ms
            if self._shelves.by_order:
                self._marks.moved(self._ahead, self._newest)
        self._seen_ms = batch.now_ms
        closings = self._shelves.advance(before, np.array([self._newest]), None)
        told = self._tell(closings, [], batch.now_ms)
        self._forget(before if self._newest is None else self._newest)
        return Told(told)

    def _tell(
        self, closings: list[Closing], late: list[Sent], now_ms: int
    ) -> list[Output | Packed]:
        newest = self._newest
        overdue = not self._late.is_empty() and bool((self._late["deadline"] <= newest).any())
        if newest is None or not (closings or late or overdue):
            return []
        told, self._late = tell(
            closings,
            late,
            self._late,
            self._book,
            source=self._source,
            newest=newest,
            now_ms=now_ms,
            exporter=self._exporter,
        )
        if closings:
            self._forget(newest)
        return told

    def _forget(self, newest: int) -> None:
        """Forget series, windowings and marks that nothing needs any more."""
        self._forget_eras()
        self._exporter.forget(self._oldest())
        most = self._params.most_series
        ids = self._book.sweep(newest, self._params.forget_ms, self._used(), most)
        if ids is not None:
            self._shelves.renumber(ids)
            numbers = pl.Series("series", ids[self._late["series"].to_numpy()], dtype=pl.UInt32)
            self._late = self._late.with_columns(numbers)

    def _used(self) -> Iterator[Ids]:
        yield self._late["series"].to_numpy()
        yield from self._shelves.used()

    def _mark(self, offset: int, newest: int) -> None:
        if self._shelves.by_order:
            self._marks.put(offset, newest)
            if self._marks.crowded:
                self._marks.forget(self._shelves.oldest(by_order=True))

    def _oldest(self) -> int | None:
        first = self._shelves.oldest(by_order=False)
        ordered = self._shelves.oldest(by_order=True)
        if ordered is None:
            return first
        ordered = self._marks.first(ordered)
        return ordered if first is None else min(first, ordered)

    def _forget_eras(self) -> None:
        if len(self._eras) == 1:
            return
        oldest = self._oldest()
        last = self._eras[-1].first if oldest is None else oldest
        keep = max(i for i, era in enumerate(self._eras) if era.first <= last)
        self._eras = self._eras[keep:]
        self._shelves.keep(one for era in self._eras for one in era.windowings)


def spec(params: ObserveParams | None = None) -> Spec:
    """Return how hosts run observe.

    Raises InvalidParameters.
    """
    chosen = params or ObserveParams()
    require(chosen, size_ms=1, allowed_lateness_ms=0, idle_ms=1, away_ms=1, hold_ms=1)
    require(chosen, forget_ms=1_000, most_rows=1, most_series=1)
    return Spec(
        name="observe",
        prompt=True,
        inputs=("weir.metrics",),
        outputs=(Observation, ActionTaken, LateMetric, WindowsClosed),
        build=lambda _partition: Observe(chosen),
        parameters=identity(chosen),
        format=3,
        columnar=True,
        catalogue=(WindowDefined, MetricDefined),
        state=ObserveState,
        portable=True,
    )

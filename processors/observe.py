"""Metrics to observations: exact statistics per series over tumbling event-time windows.

The watermark of a partition is the newest event time that it has shown, row by row; an idle
partition's advances with the clock. Open windows are frames, which a restart reads again from
the log; the snapshot holds the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from processors import lateness, summaries, windows
from processors.params import identity, require
from processors.windows import WINDOW, Windowing
from schemas.codec import pack_state, unpack_state
from schemas.columns import whole
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.processing import Columns, Output, Partition, Spec
from schemas.registrations import WindowDefined
from schemas.topics import SERIES

_ROW = (*SERIES, "value", "unit", "_offset")
_WindowKey = tuple[int, int, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveParams:
    """How to observe, in ms.

    `size_ms` and `allowed_lateness_ms` hold where no WindowDefined applies. A partition is idle
    `idle_ms` after its last event; a timer that fires more than `away_ms` too late tells that the
    host was away, not that the partition is idle. Late events wait one to two `hold_ms` of event
    time for an observation that counts them.
    """

    size_ms: int = 2_000
    allowed_lateness_ms: int = 500
    idle_ms: int = 1_000
    away_ms: int = 5_000
    hold_ms: int = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """The windowings in force from an offset on."""

    first: int
    windowings: tuple[Windowing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveState:
    """What the log does not tell: watermark, clock of the last event, eras, late counts."""

    newest: int | None
    seen_ms: int
    topic: str
    partition: int
    eras: tuple[Era, ...]
    refused: tuple[str, ...]
    late: tuple[lateness.LateEntry, ...]


class Observe:
    """Observes the series of one partition of weir.metrics."""

    def __init__(self, params: ObserveParams) -> None:
        self._params = params
        self._default = Windowing(
            name="default", size_ms=params.size_ms, lateness_ms=params.allowed_lateness_ms
        )
        self._open: dict[_WindowKey, list[pl.DataFrame]] = {}
        self._late = lateness.nothing_late()
        self._newest: int | None = None
        self._seen_ms = 0
        self._source: Partition = ("", 0)
        self._eras: tuple[Era, ...] = ()
        self._refused: tuple[str, ...] = ()
        self._definitions: Mapping[str, WindowDefined] | None = None

    def process(self, batch: Columns) -> Sequence[Output]:
        """Put rows into windows and return the observations of those that close."""
        if batch.frame.is_empty():
            return self._tick(batch)
        self._source = (batch.topic, batch.partition)
        refusals = self._define(batch)
        self._take(windows.assign(_whole(batch), self._eras[-1].windowings))
        self._seen_ms = batch.now_ms
        return [*refusals, *self._close(batch.now_ms)]

    def wake_at(self) -> int | None:
        """Return when the next window closes by the clock, should no event come."""
        due = [key[0] for key in self._open]
        if not self._late.is_empty():
            due.append(int(self._late["deadline"].min()))  # type: ignore[arg-type]  # an Int64 column
        if self._newest is None or not due:
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
                late=lateness.packed(self._late),
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; its open windows come with `rebuild`."""
        state = unpack_state(data, ObserveState)
        self._open = {}
        self._newest, self._seen_ms = state.newest, state.seen_ms
        self._source = (state.topic, state.partition)
        self._eras, self._refused = state.eras, state.refused
        self._late = lateness.unpacked(state.late)
        self._definitions = None

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return the lowest offset in an open window."""
        oldest = self._oldest()
        return {} if oldest is None else {self._source: oldest}

    def rebuild(self, batch: Columns) -> None:
        """Put rows into the windows that were open, and forget those of closed ones."""
        if self._newest is None or batch.frame.is_empty():
            return
        frame = _whole(batch)
        ends = [*(era.first for era in self._eras[1:]), None]
        for era, end in zip(self._eras, ends, strict=True):
            inside = pl.col("_offset") >= era.first
            if end is not None:
                inside &= pl.col("_offset") < end
            rows = windows.assign(frame.filter(inside), era.windowings)
            self._store(rows.filter(pl.col("_close") > self._newest))

    def _define(self, batch: Columns) -> list[Output]:
        definitions = batch.catalogue.of(WindowDefined)
        if definitions is self._definitions:
            return []
        self._definitions = definitions
        resolved = windows.resolve(definitions, self._default)
        if not self._eras or self._eras[-1].windowings != resolved.windowings:
            first = int(batch.frame["_offset"][0]) if self._eras else 0
            self._eras = (*self._eras, Era(first=first, windowings=resolved.windowings))
        known, self._refused = (
            self._refused,
            tuple(refused.definition.event_id for refused in resolved.refused),
        )
        return [
            _refusal(refused, batch.now_ms)
            for refused in resolved.refused
            if refused.definition.event_id not in known
        ]

    def _take(self, rows: pl.DataFrame) -> None:
        before = self._newest
        running = pl.col("event_time").cum_max()
        if before is not None:
            running = pl.max_horizontal(running, pl.lit(before))
        rows = rows.with_columns(running.alias("_newest"))
        self._newest = int(rows["_newest"][-1])
        late = pl.col("_newest") >= pl.col("_close")
        if rows.select(late.any()).item():
            found = lateness.entries_of(rows.filter(late), self._params.hold_ms)
            self._late = pl.concat([self._late, found])
            rows = rows.filter(~late)
        self._store(rows)

    def _store(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        parts = rows.partition_by(WINDOW, as_dict=True, maintain_order=True)
        for key, part in parts.items():
            close, end, start, name = key
            self._open.setdefault((close, end, start, name), []).append(part.select(_ROW))

    def _tick(self, batch: Columns) -> Sequence[Output]:
        wake = self.wake_at()
        if wake is None or self._newest is None or batch.now_ms < wake:
            return []
        if batch.now_ms <= wake + self._params.away_ms:
            self._newest += batch.now_ms - self._seen_ms
        self._seen_ms = batch.now_ms
        return self._close(batch.now_ms)

    def _close(self, now_ms: int) -> list[Output]:
        newest = self._newest
        closed = sorted(key for key in self._open if newest is not None and key[0] <= newest)
        if newest is None or not (closed or self._overdue(newest)):
            return []
        rows = [self._labelled(key, self._open.pop(key)) for key in closed]
        summary = summaries.summarise(pl.concat(rows) if rows else _no_rows())
        settled = lateness.Settled({}, [], self._late)
        if not self._late.is_empty():
            settled = lateness.settle(self._late, summary, newest)
            self._late = settled.pending
        self._forget_eras()
        return self._ordered(summary, settled, now_ms)

    def _ordered(
        self, summary: pl.DataFrame, settled: lateness.Settled, now_ms: int
    ) -> list[Output]:
        topic, partition = self._source
        told: list[tuple[int, int, Observation | ActionTaken]] = []
        for number, row in enumerate(summary.iter_rows(named=True)):
            late = settled.counts.get(number, 0)
            seen = summaries.observation(row, late, topic, partition, now_ms)
            told.append((row["_close"], 0, seen))
        told.extend(
            (entry["deadline"], 1, lateness.told(entry, now_ms)) for entry in settled.expired
        )
        return [event for _, _, event in sorted(told, key=lambda item: item[:2])]

    def _labelled(self, key: _WindowKey, chunks: list[pl.DataFrame]) -> pl.DataFrame:
        literals = [
            pl.lit(value, dtype=pl.String if isinstance(value, str) else pl.Int64).alias(name)
            for name, value in zip(WINDOW, key, strict=True)
        ]
        return pl.concat(chunks).with_columns(literals)

    def _overdue(self, newest: int) -> bool:
        return bool((self._late["deadline"] <= newest).any())

    def _oldest(self) -> int | None:
        firsts = [chunk["_offset"][0] for chunks in self._open.values() for chunk in chunks[:1]]
        return min(firsts, default=None)

    def _forget_eras(self) -> None:
        oldest = self._oldest()
        last = self._eras[-1].first if oldest is None else oldest
        keep = max(i for i, era in enumerate(self._eras) if era.first <= last)
        self._eras = self._eras[keep:]


def _whole(batch: Columns) -> pl.DataFrame:
    return batch.frame if batch.series is None else whole(batch.frame, batch.series)


def _no_rows() -> pl.DataFrame:
    text = dict.fromkeys((*SERIES, "unit", "_name"), pl.String)
    whole = dict.fromkeys(("_offset", "_close", "_end", "_start"), pl.Int64)
    return pl.DataFrame(schema=text | whole | {"value": pl.Float64})


def _refusal(refused: windows.Refused, now_ms: int) -> ActionTaken:
    definition = refused.definition
    return ActionTaken(
        event_id=stable_id("observe", "definition.refused", definition.event_id),
        target=definition.name,
        kind="definition.refused",
        status="refused",
        policy="",
        reason=f"window definition {definition.name}: {refused.reason}",
        taken_at=now_ms,
    )


def spec(params: ObserveParams | None = None) -> Spec:
    """Return how hosts run observe.

    Raises InvalidParameters.
    """
    chosen = params or ObserveParams()
    require(chosen, size_ms=1, allowed_lateness_ms=0, idle_ms=1, away_ms=1, hold_ms=1)
    return Spec(
        name="observe",
        inputs=("weir.metrics",),
        outputs=(Observation, ActionTaken),
        build=lambda _partition: Observe(chosen),
        parameters=identity(chosen),
        columnar=True,
        catalogue=(WindowDefined,),
        state=ObserveState,
        portable=True,
    )

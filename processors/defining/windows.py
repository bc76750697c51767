"""Closed windows whose rows come from several partitions, and the rows that are here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from processors.defining.rows import Rows
from processors.defining.sources import Source
from processors.expressions.typed import SERIES_COLUMNS
from schemas.closed import ClosedWindow, WindowsClosed
from schemas.processing import Partition

Key = tuple[str, int, int, tuple[str, ...]]
"""Name, start and end of a window; where it belongs to one series, its fields and its anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowState:
    """A window that is waited for, or kept (`revision` from 0) for rows that come late.

    `series` is as in Key; `fresh` says that rows came which it was not computed with.
    """

    name: str
    start: int
    end: int
    closes: int
    first_ms: int
    revision: int
    series: tuple[str, ...] = ()
    fresh: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DefineState:
    """What the log does not tell: who was heard, which windows were computed, what was told."""

    born_ms: int | None = None
    topic: str = ""
    partition: int = 0
    sources: tuple[Source, ...] = ()
    windows: tuple[WindowState, ...] = ()
    forgotten: int | None = None
    refused: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of one event: its offset, its partition, rows by window, how many, and series."""

    offset: int
    topic: str
    partition: int
    frame: pl.DataFrame
    counts: tuple[int, ...]
    series: pl.DataFrame


@dataclass(slots=True)
class Window:
    """A window and where its rows are: chunks, and its number in each; `fresh` since computed."""

    state: WindowState
    places: list[tuple[Chunk, int]] = field(default_factory=list)
    fresh: bool = False

    @property
    def done(self) -> bool:
        """Whether it was computed."""
        return self.state.revision >= 0

    def givers(self) -> set[Partition]:
        """Return the partitions that its rows come from."""
        return {(chunk.topic, chunk.partition) for chunk, _ in self.places}

    def rows(self) -> int:
        """Return how many rows it has."""
        return sum(chunk.counts[number] for chunk, number in self.places)


def chunk_of(event: WindowsClosed, offset: int) -> Chunk:
    """Return the rows of an event as frames."""
    requests = event.request_ids or ("",) * event.rows
    frame = pl.DataFrame(
        {
            "value": np.frombuffer(event.values, "<f8"),
            "event_time": np.frombuffer(event.event_times, "<i8"),
            "request_id": pl.Series(requests, dtype=pl.String),
            "_offset": np.frombuffer(event.offsets, "<i8"),
            "_series": np.frombuffer(event.series_of, "<u4"),
            "_window": np.frombuffer(event.window_of, "<u4"),
        }
    ).with_columns(pl.col("request_id").replace({"": None}))
    rows = [tuple(getattr(one, name) for name in SERIES_COLUMNS) for one in event.series]
    series = pl.DataFrame(rows, schema=dict.fromkeys(SERIES_COLUMNS, pl.String), orient="row")
    counts = np.bincount(frame["_window"].to_numpy(), minlength=len(event.windows))
    return Chunk(offset, event.topic, event.partition, frame, tuple(counts.tolist()), series)


def key_of(window: ClosedWindow, event: WindowsClosed) -> Key:
    """Return what identifies a window of an event."""
    series: tuple[str, ...] = ()
    if window.series >= 0:
        one = event.series[window.series]
        fields = tuple(getattr(one, name) for name in SERIES_COLUMNS)
        series = fields if window.anchor < 0 else (*fields, str(window.anchor))
    return (window.name, window.start, window.end, series)


def rows_of(windows: Sequence[Window], app: str) -> Rows:
    """Return the rows of windows, numbered in their order; those of an app, if one is given."""
    wanted: dict[int, dict[int, int]] = {}
    chunks: dict[int, Chunk] = {}
    for number, window in enumerate(windows):
        for chunk, place in window.places:
            chunks[chunk.offset] = chunk
            wanted.setdefault(chunk.offset, {})[place] = number
    ordered = sorted(chunks.values(), key=lambda one: (one.topic, one.partition, one.offset))
    frames, series, height = [], [], 0
    for chunk in ordered:
        frames.append(_chosen(chunk, wanted[chunk.offset], app, height))
        series.append(chunk.series.with_columns(pl.lit(chunk.partition).alias("_partition")))
        height += chunk.series.height
    seconds = [(one.state.end - one.state.start) / 1000 for one in windows]
    lengths = pl.DataFrame({"seconds": seconds}, schema={"seconds": pl.Float64})
    return Rows(pl.concat(frames), pl.concat(series), lengths)


def _chosen(chunk: Chunk, numbers: Mapping[int, int], app: str, height: int) -> pl.DataFrame:
    frame = chunk.frame.filter(pl.col("_window").is_in(list(numbers)))
    if app:
        here = (chunk.series["app"] == app).gather(frame["_series"])
        frame = frame.filter(here)
    renumbered = frame["_window"].replace_strict(
        list(numbers), list(numbers.values()), return_dtype=pl.UInt32
    )
    return frame.with_columns(renumbered, (pl.col("_series") + height).cast(pl.UInt32))


def forgettable(windows: Iterable[Window], most_rows: int) -> list[Window]:
    """Return the oldest computed windows, so many that the rest has at most `most_rows` rows."""
    done = sorted((one for one in windows if one.done), key=lambda one: one.state.closes)
    total = sum(one.rows() for one in done)
    found = []
    for one in done:
        if total <= most_rows:
            break
        total -= one.rows()
        found.append(one)
    return found

"""Which window an event belongs to: definitions of the catalogue, and their assignment to rows.

A window [start, end) of a definition closes as soon as the newest event time that its partition
has seen reaches `close` = end + allowed lateness; an instant after which nothing enters it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from schemas.registrations import WindowDefined

TUMBLING = "tumbling"
MAX_SIZE_MS = 86_400_000
WINDOW = ("_close", "_end", "_start", "_name")
"""Columns that `assign` adds, in the order in which windows are emitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowing:
    """How the series of an app and a metric are cut; an empty app or metric means any. In ms."""

    name: str
    app: str = ""
    metric: str = ""
    size_ms: int
    lateness_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A definition that cannot be applied, and why."""

    definition: WindowDefined
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The windowings in force, most specific first (the last applies to all), and the refused."""

    windowings: tuple[Windowing, ...]
    refused: tuple[Refused, ...]


def resolve(definitions: Mapping[str, WindowDefined], default: Windowing) -> Resolved:
    """Return what definitions by name amount to; of two for the same series the first name wins."""
    taken: dict[tuple[str, str], Windowing] = {}
    refused: list[Refused] = []
    for name, definition in sorted(definitions.items()):
        place = (definition.app, definition.metric)
        reason = _objection(definition)
        if not reason and place in taken:
            reason = f"{taken[place].name} already defines the window of these series"
        if reason:
            refused.append(Refused(definition, reason))
            continue
        taken[place] = Windowing(
            name=name,
            app=definition.app,
            metric=definition.metric,
            size_ms=definition.size_ms,
            lateness_ms=definition.allowed_lateness_ms,
        )
    taken.setdefault(("", ""), default)
    ranked = sorted(taken.values(), key=lambda w: (w.app == "", w.metric == "", w.name))
    return Resolved(tuple(ranked), tuple(refused))


def _objection(definition: WindowDefined) -> str:
    if definition.kind != TUMBLING:
        return f"windows of kind {definition.kind!r} are not supported; known: {TUMBLING}"
    if not 0 < definition.size_ms <= MAX_SIZE_MS:
        return f"size_ms is {definition.size_ms}; it must be within 1 and {MAX_SIZE_MS}"
    if not 0 <= definition.allowed_lateness_ms <= MAX_SIZE_MS:
        lateness = definition.allowed_lateness_ms
        return f"allowed_lateness_ms is {lateness}; it must be within 0 and {MAX_SIZE_MS}"
    return ""


def assign(frame: pl.DataFrame, windowings: Sequence[Windowing]) -> pl.DataFrame:
    """Return the frame (app, metric, event_time) with the columns of WINDOW, order kept.

    `windowings` as in Resolved: the first that applies to a row is its own.
    """
    if len(windowings) == 1:
        only = windowings[0]
        return _cut(frame, pl.lit(only.size_ms), pl.lit(only.lateness_ms), pl.lit(only.name))
    pairs = frame.select("app", "metric").unique()
    chosen = [_first(windowings, app, metric) for app, metric in pairs.iter_rows()]
    table = pairs.with_columns(
        pl.Series("_size", [w.size_ms for w in chosen], dtype=pl.Int64),
        pl.Series("_lateness", [w.lateness_ms for w in chosen], dtype=pl.Int64),
        pl.Series("_name", [w.name for w in chosen], dtype=pl.String),
    )
    joined = frame.join(table, on=["app", "metric"], how="left", maintain_order="left")
    cut = _cut(joined, pl.col("_size"), pl.col("_lateness"), pl.col("_name"))
    return cut.drop("_size", "_lateness")


def _first(windowings: Sequence[Windowing], app: str, metric: str) -> Windowing:
    return next(w for w in windowings if w.app in ("", app) and w.metric in ("", metric))


def _cut(frame: pl.DataFrame, size: pl.Expr, lateness: pl.Expr, name: pl.Expr) -> pl.DataFrame:
    start = pl.col("event_time").floordiv(size) * size
    return frame.with_columns(
        (start + size + lateness).alias("_close"),
        (start + size).alias("_end"),
        start.alias("_start"),
        name.alias("_name"),
    )

"""Events that came after their window had closed: counted until an observation takes the count.

A late event is noted at an instant, the newest event time seen when it came. The next window of
its series and definition that closes after that instant takes the count, unless the entry's
deadline comes first; then the count is told as an action, so that none is lost in silence.
Instants are event times, so where a batch ends plays no part.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from processors.observing.rows import Ids, Ints
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.topics import SERIES

_SCHEMA = {
    "series": pl.UInt32,
    "window": pl.String,
    "since": pl.Int64,
    "deadline": pl.Int64,
    "late": pl.Int64,
}
_PLACE = ["series", "window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LateEntry:
    """Late events of one series and definition that no observation has counted yet."""

    app: str
    stage: str
    service: str
    instance: str
    node: str
    metric: str
    since: int
    deadline: int
    late: int
    unit: str = ""
    window: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What closings make of entries: counts per closing (row number), the expired, the rest."""

    counts: dict[int, int]
    expired: list[dict[str, Any]]
    pending: pl.DataFrame


def nothing_late() -> pl.DataFrame:
    """Return a frame without entries."""
    return pl.DataFrame(schema=_SCHEMA)


def entries_of(series: Ids, window: str, since: Ints, hold_ms: int) -> pl.DataFrame:
    """Return entries for late rows: their series, and the instants at which they came.

    Deadlines lie on a grid of `hold_ms`, between one and two of them after the instant.
    """
    rows = pl.DataFrame({"series": series, "since": since}).group_by("series", "since").len("late")
    deadline = (pl.col("since").floordiv(hold_ms) + 2) * hold_ms
    wide = rows.with_columns(pl.lit(window).alias("window"), deadline.alias("deadline"))
    return wide.select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())


def closings_of(series: Ids, windows: Iterable[str], closes: Ints) -> pl.DataFrame:
    """Return closings in the order in which they are told."""
    columns = {"series": series.astype(np.uint32), "window": list(windows), "_close": closes}
    schema = {"series": pl.UInt32, "window": pl.String, "_close": pl.Int64}
    return pl.DataFrame(columns, schema=schema)


def settle(entries: pl.DataFrame, closings: pl.DataFrame, newest: int) -> Settled:
    """Give entries to the closings that follow them.

    `newest` is the instant up to which time has come.
    """
    numbered = closings.with_row_index("_number")
    firsts = numbered.unique([*_PLACE, "_close"], keep="first", maintain_order=True)
    joined = entries.sort("since").join_asof(
        firsts.sort("_close"),
        left_on="since",
        right_on="_close",
        by=_PLACE,
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    taken = (pl.col("_close") < pl.col("deadline")).fill_null(value=False)
    counted = joined.filter(taken).group_by("_number").agg(pl.col("late").sum())
    grouped = joined.filter(~taken).group_by([*_PLACE, "deadline"])
    rest = grouped.agg(pl.col("since").max(), pl.col("late").sum()).select(list(_SCHEMA))
    gone = pl.col("deadline") <= newest
    return Settled(dict(counted.iter_rows()), rest.filter(gone).to_dicts(), rest.filter(~gone))


def told(entry: dict[str, Any], names: tuple[str, ...], now_ms: int) -> ActionTaken:
    """Return the action that tells of late events that no observation took.

    `names` are the fields of the series and its unit.
    """
    series = "/".join(names[: len(SERIES)])
    window, count = entry["window"], entry["late"]
    return ActionTaken(
        event_id=stable_id("observe", "late", *names, window, entry["deadline"]),
        target=names[0],
        kind="metrics.late",
        status="done",
        policy="",
        reason=f"{count} events of {series} came after their window ({window}) had closed, and no "
        "window of the series closed since; they are in no observation",
        parameters=(
            KeyValue(key="series", value=series),
            KeyValue(key="window", value=window),
            KeyValue(key="count", value=str(count)),
        ),
        taken_at=now_ms,
    )

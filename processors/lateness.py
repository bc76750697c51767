"""Events that came after their window had closed: counted until an observation takes the count.

A late event is noted at an instant, the newest event time seen when it came. The next window of
its series that closes after that instant takes the count, unless the entry's deadline comes
first; then the count is told as an action, so that none is lost in silence. Instants are event
times, so where a batch ends plays no part.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from processors.summaries import series_of
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.topics import SERIES

_SCHEMA = dict.fromkeys(SERIES, pl.String) | {
    "since": pl.Int64,
    "deadline": pl.Int64,
    "late": pl.Int64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LateEntry:
    """Late events of one series (its key) that no observation has counted yet."""

    app: str
    stage: str
    service: str
    instance: str
    node: str
    metric: str
    since: int
    deadline: int
    late: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What closings make of entries: counts per closing (row number), the expired, the rest."""

    counts: dict[int, int]
    expired: list[dict[str, Any]]
    pending: pl.DataFrame


def nothing_late() -> pl.DataFrame:
    """Return a frame without entries."""
    return pl.DataFrame(schema=_SCHEMA)


def entries_of(rows: pl.DataFrame, hold_ms: int) -> pl.DataFrame:
    """Return entries for late rows (SERIES and `_newest`, the instant at which each came).

    Deadlines lie on a grid of `hold_ms`, between one and two of them after the instant.
    """
    deadline = (pl.col("_newest").floordiv(hold_ms) + 2) * hold_ms
    keyed = rows.select(*SERIES, pl.col("_newest").alias("since"), deadline.alias("deadline"))
    grouped = keyed.group_by([*SERIES, "since", "deadline"], maintain_order=True)
    return grouped.agg(pl.len().cast(pl.Int64).alias("late"))


def settle(entries: pl.DataFrame, closings: pl.DataFrame, newest: int) -> Settled:
    """Give entries to the closings (SERIES and `_close`, ordered) that follow them.

    `newest` is the instant up to which time has come.
    """
    numbered = closings.select(*SERIES, "_close").with_row_index("_number")
    firsts = numbered.unique([*SERIES, "_close"], keep="first", maintain_order=True)
    joined = entries.sort("since").join_asof(
        firsts.sort("_close"),
        left_on="since",
        right_on="_close",
        by=list(SERIES),
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    taken = (pl.col("_close") < pl.col("deadline")).fill_null(value=False)
    counted = joined.filter(taken).group_by("_number").agg(pl.col("late").sum())
    grouped = joined.filter(~taken).group_by([*SERIES, "deadline"])
    rest = grouped.agg(pl.col("since").max(), pl.col("late").sum())
    rest = rest.select(list(_SCHEMA)).sort(["deadline", *SERIES])
    gone = pl.col("deadline") <= newest
    return Settled(dict(counted.iter_rows()), rest.filter(gone).to_dicts(), rest.filter(~gone))


def told(entry: dict[str, Any], now_ms: int) -> ActionTaken:
    """Return the action that tells of late events that no observation took."""
    series = series_of(entry)
    return ActionTaken(
        event_id=stable_id("observe", "late", series, entry["deadline"]),
        target=entry["app"],
        kind="metrics.late",
        status="done",
        policy="",
        reason=f"{entry['late']} events of {series} came after their window had closed, and no "
        "window of the series closed since; they are in no observation",
        parameters=(
            KeyValue(key="series", value=series),
            KeyValue(key="count", value=str(entry["late"])),
        ),
        taken_at=now_ms,
    )


def packed(entries: pl.DataFrame) -> tuple[LateEntry, ...]:
    """Return entries as state."""
    return tuple(LateEntry(**row) for row in entries.iter_rows(named=True))


def unpacked(entries: tuple[LateEntry, ...]) -> pl.DataFrame:
    """Return state as entries."""
    rows = [{name: getattr(entry, name) for name in _SCHEMA} for entry in entries]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")

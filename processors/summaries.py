"""Rows of closed windows to observations: one exact summary per window and series."""

from typing import Any

import polars as pl

from processors.windows import WINDOW
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.records import SourceRange
from schemas.topics import SERIES

_QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
_VALUE = pl.col("value")
_STATISTICS = (
    pl.len().cast(pl.Int64).alias("count"),
    _VALUE.mean().alias("mean"),
    _VALUE.std(ddof=0).alias("std"),
    _VALUE.min().alias("min"),
    _VALUE.max().alias("max"),
    *(
        _VALUE.quantile(share, interpolation="linear").alias(name)
        for name, share in _QUANTILES.items()
    ),
    pl.col("unit").first(),
    pl.col("_offset").min().alias("first"),
    pl.col("_offset").max().alias("last"),
)


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per window and series, ordered by WINDOW and SERIES.

    Quantiles are exact, with linear interpolation (Hyndman and Fan's type 7, numpy's default);
    the standard deviation is that of the population.
    """
    keys = [*WINDOW, *SERIES]
    return rows.group_by(keys).agg(_STATISTICS).sort(keys)


def series_of(row: dict[str, Any]) -> str:
    """Return the key of a row's series: its fields joined by '/'."""
    return "/".join(row[name] for name in SERIES)


def observation(
    row: dict[str, Any], late: int, topic: str, partition: int, now_ms: int
) -> Observation:
    """Return the event of a row of `summarise`, with the late events counted in it."""
    key = tuple(row[name] for name in SERIES)
    source = SourceRange(
        topic=topic,
        partition=partition,
        first=row["first"],
        last=row["last"],
        series="/".join(key),
    )
    return Observation(
        event_id=stable_id("observe", *key, row["_name"], row["_start"], row["_end"]),
        **{name: row[name] for name in (*SERIES, "unit", "count", "mean", "std", "min", "max")},
        **{name: row[name] for name in _QUANTILES},
        window=row["_name"],
        window_start=row["_start"],
        window_end=row["_end"],
        late_count=late,
        emitted_at=now_ms,
        sources=(source,),
    )

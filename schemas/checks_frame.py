"""The same checks over a frame: its unusable rows are found by columns, and told one by one."""

from dataclasses import dataclass

import polars as pl

from schemas import introspect
from schemas.base import Event
from schemas.checks import MAX_AHEAD_MS, check
from schemas.closed import WindowsClosed
from schemas.errors import InvalidEvent
from schemas.inference import InferenceRequest
from schemas.observing import MetricReport
from schemas.topics import home_of


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of a frame that is unusable: its `_row`, and why."""

    row: int
    error: InvalidEvent


def check_frame(frame: pl.DataFrame, event: type[Event]) -> tuple[pl.DataFrame, list[Refused]]:
    """Split a frame (with `_row` and `_timestamp`) into the usable rows and the refused ones."""
    suspects = frame.filter(_suspicious(event))
    build = introspect.from_plain(event)
    refused: list[Refused] = []
    for row in suspects.iter_rows(named=True):
        plain = {name: value for name, value in row.items() if not name.startswith("_")}
        try:
            check(build(plain), row["_timestamp"])
        except InvalidEvent as error:
            refused.append(Refused(row["_row"], error))
    if not refused:
        return frame, []
    return frame.filter(~pl.col("_row").is_in([bad.row for bad in refused])), refused


def _suspicious(event: type[Event]) -> pl.Expr:
    """Return what holds for every row that `check` could refuse, and for few others."""
    home = home_of(event)
    conditions = [pl.col(home.key[0]) == ""]
    if home.time is not None:
        conditions.append(pl.col(home.time) > pl.col("_timestamp") + MAX_AHEAD_MS)
    if event is MetricReport:
        conditions += [~pl.col("value").is_finite(), pl.col("metric") == ""]
    elif event in (InferenceRequest, WindowsClosed):
        conditions.append(pl.lit(value=True))
    return pl.any_horizontal(conditions)

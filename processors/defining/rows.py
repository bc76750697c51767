"""Rows of closed windows, and what all expressions over them share: their computed columns.

Rows of many windows stand in one frame, with the number of their window and of their series. What
depends on the series alone (`metric == "error"`) is computed once per series and looked up for
each row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from processors.expressions.columns import Computed, finite, of_series, where
from processors.expressions.expression import Compiled
from processors.expressions.tree import Binary, Call, Name, Node
from processors.expressions.typed import SECONDS


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of closed windows.

    `frame` has value (Float64), event_time (Int64 ms), request_id (String), `_offset`, `_series`
    and `_window` (UInt32), rows of `series` and `windows`. `series` has the strings of a series
    and `_partition`, where its rows stood; `windows` has `seconds`, their length.
    """

    frame: pl.DataFrame
    series: pl.DataFrame
    windows: pl.DataFrame


def looks_at(expression: Compiled) -> Node | None:
    """Return a condition on the series that all rows meet which a value depends on; None: all."""
    found: Node | None = None
    for call in expression.aggregates:
        condition = None if call.where is None else _necessary(call.where)
        if condition is None:
            return None
        found = condition if found is None else Binary("or", found, condition, call.place)
    return found


def _necessary(node: Node) -> Node | None:
    """Return what must be true of a row's series where a condition is; None: nothing."""
    if of_series(node):
        return node
    if not isinstance(node, Binary) or node.operator not in ("and", "or"):
        return None
    left, right = _necessary(node.left), _necessary(node.right)
    if left is not None and right is not None:
        return Binary(node.operator, left, right, node.place)
    return (left or right) if node.operator == "and" else None


def meeting(condition: Node | None, series: pl.DataFrame) -> pl.Series:
    """Return which rows of `series` meet a condition of `looks_at`."""
    if condition is None:
        return pl.Series([True]).new_from_index(0, series.height)
    return Computed(series.height, _leaf_of(series)).true(condition)


def needed(rows: Rows, masks: Sequence[pl.Series]) -> Rows:
    """Return the rows of series that any of some masks takes, in event-time order."""
    some = pl.Series([False]).new_from_index(0, rows.series.height)
    for mask in masks:
        some = some | mask
    frame = rows.frame
    if not some.all():
        frame = frame.filter(some.gather(frame["_series"]))
    return Rows(frame.sort("event_time", "_offset", maintain_order=True), rows.series, rows.windows)


def _leaf_of(series: pl.DataFrame) -> Callable[[Node], pl.Series | None]:
    return lambda node: series[node.name] if isinstance(node, Name) else None


class Shared:
    """Computed columns of rows, each once."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._seconds = rows.windows["seconds"].cast(pl.Float64)
        self._by_series = Computed(rows.series.height, _leaf_of(rows.series))
        self._by_row = Computed(rows.frame.height, self._leaf)
        self._filtered: dict[tuple[bool, Node, Node | None], pl.Series] = {}

    def _leaf(self, node: Node) -> pl.Series | None:
        frame = self.rows.frame
        if of_series(node):
            return self._by_series.of(node).gather(frame["_series"])
        if not isinstance(node, Name):
            return None
        if node.name == SECONDS:
            return self.seconds(frame["_window"])
        values = frame[node.name]
        return finite(values.cast(pl.Float64)) if values.dtype.is_numeric() else values

    def seconds(self, windows: pl.Series) -> pl.Series:
        """Return the lengths of windows by their numbers."""
        return self._seconds.gather(windows)

    def true(self, condition: Node | None) -> pl.Series | None:
        """Return which rows a filter takes; None: all."""
        return None if condition is None else self._by_row.true(condition)

    def filtered(self, call: Call) -> pl.Series:
        """Return the argument of an aggregate, null where its filter is not true.

        That of a ratio is 1 where its condition is true, else 0.
        """
        is_ratio, argument = call.name == "ratio", call.arguments[0]
        key = (is_ratio, argument, call.where)
        if key not in self._filtered:
            values = self._by_row.of(argument)
            if is_ratio:
                values = values.fill_null(value=False).cast(pl.Float64)
            self._filtered[key] = where(values, self.true(call.where))
        return self._filtered[key]

"""Rows by window and by some fields of their series: aggregates, and where the rows stood."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from processors.defining.rows import Shared
from processors.expressions.columns import Computed, finite
from processors.expressions.tree import Call, Literal, Name, Node, Value
from processors.expressions.typed import AGGREGATES, SERIES_COLUMNS

Called = Callable[[str, pl.DataFrame, tuple[Value, ...]], float | None]
"""Computes a plug-in: its name, the rows that it takes, its parameters."""

_SIMPLE: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "ratio": lambda column: column.mean(),
    "sum": lambda column: column.sum(),
    "avg": lambda column: column.mean(),
    "min": lambda column: column.min(),
    "max": lambda column: column.max(),
    "std": lambda column: column.std(ddof=0),
    "var": lambda column: column.var(ddof=0),
    "first": lambda column: column.drop_nulls().first(),
    "last": lambda column: column.drop_nulls().last(),
    "distinct": lambda column: column.drop_nulls().n_unique().cast(pl.Float64),
}


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a window: its number, how many rows, and (partition, first, last) of those."""

    row: int
    window: int
    fields: tuple[str, ...]
    count: int
    sources: tuple[tuple[int, int, int], ...]


class Grouping:
    """Groups of rows, in the order of window and fields.

    A group's key is the number of its window times the number of groups, and its own number.
    """

    def __init__(
        self,
        shared: Shared,
        fields: tuple[str, ...],
        calls: Sequence[Call],
        called: Called | None = None,
    ) -> None:
        self._shared = shared
        self._called = called
        series = shared.rows.series
        self._fields = series.select(fields).unique().sort(fields) if fields else None
        self._many = 1 if self._fields is None else self._fields.height
        self._codes = self._coded(series, fields)
        self._keys = self._keyed(shared.rows.frame["_window"], shared.rows.frame["_series"])
        self._columns = {call: f"_{number}" for number, call in enumerate(calls)}
        self._table = self._aggregated([call for call in calls if call.name in AGGREGATES])
        self._space = Computed(self._table.height, self._leaf)
        self._placed = self._places()
        self._known: dict[Node | None, list[Group]] = {}

    def _coded(self, series: pl.DataFrame, fields: tuple[str, ...]) -> pl.Series:
        if self._fields is None:
            return pl.Series([0], dtype=pl.Int64).new_from_index(0, series.height)
        numbered = self._fields.with_row_index("_code")
        joined = series.select(fields).join(
            numbered, on=list(fields), how="left", maintain_order="left"
        )
        return joined["_code"].cast(pl.Int64)

    def _keyed(self, windows: pl.Series, series: pl.Series) -> pl.Series:
        return windows.cast(pl.Int64) * self._many + self._codes.gather(series)

    def _aggregated(self, calls: Sequence[Call]) -> pl.DataFrame:
        columns: dict[str, pl.Series] = {"_key": self._keys}
        made = []
        for call in calls:
            name = self._columns[call]
            if call.name in ("count", "rate"):
                chosen = self._shared.true(call.where)
                counted = pl.len() if chosen is None else pl.col(name).sum()
                made.append(counted.cast(pl.Float64).alias(name))
            else:
                chosen = self._shared.filtered(call)
                made.append(_of(call, pl.col(name)).alias(name))
            if chosen is not None:
                columns[name] = chosen
        table = pl.DataFrame(columns).group_by("_key", maintain_order=True).agg(made).sort("_key")
        return table.with_columns((pl.col("_key") // self._many).cast(pl.UInt32).alias("_window"))

    def _places(self) -> pl.DataFrame:
        """Return rows, first and last offset by key, series and partition."""
        frame = self._shared.rows.frame.select("_series", "_offset").with_columns(
            self._keys.alias("_key")
        )
        found = frame.group_by("_key", "_series").agg(
            pl.len().cast(pl.Int64).alias("count"),
            pl.col("_offset").min().alias("first"),
            pl.col("_offset").max().alias("last"),
        )
        partitions = self._shared.rows.series["_partition"].gather(found["_series"])
        return found.with_columns(partitions.alias("_partition"))

    def _leaf(self, node: Node) -> pl.Series | None:
        if isinstance(node, Name):
            return self._shared.seconds(self._table["_window"])
        if not isinstance(node, Call) or node not in self._columns:
            return None
        if node.name not in AGGREGATES:
            return self._plugged(node)
        values = self._table[self._columns[node]]
        if node.name == "rate":
            values = values / self._shared.seconds(self._table["_window"])
        return finite(values)

    def _plugged(self, call: Call) -> pl.Series:
        if self._called is None:
            raise TypeError(f"no plug-ins were given for {call.name}")  # a bug
        rows, series = self._shared.rows.frame, self._shared.rows.series
        frame = rows.select("value", "event_time", "request_id").hstack(
            series.select(SERIES_COLUMNS)[rows["_series"]]
        )
        frame = frame.with_columns(self._keys.alias("_key"))
        chosen = self._shared.true(call.where)
        frame = frame if chosen is None else frame.filter(chosen)
        given = tuple(a.value for a in call.arguments if isinstance(a, Literal))
        parts = frame.partition_by("_key", as_dict=True, include_key=False, maintain_order=True)
        values = [
            None if (key,) not in parts else self._called(call.name, parts[(key,)], given)
            for key in self._table["_key"]
        ]
        return finite(pl.Series(values, dtype=pl.Float64))

    def groups(self, condition: Node | None, series: pl.Series) -> list[Group]:
        """Return the groups that have rows of the series that meet a condition."""
        if condition not in self._known:
            self._known[condition] = self._standing(series)
        return self._known[condition]

    def _standing(self, series: pl.Series) -> list[Group]:
        placed = self._placed.filter(series.gather(self._placed["_series"]))
        parts = placed.group_by("_key", "_partition").agg(
            pl.col("count").sum(), pl.col("first").min(), pl.col("last").max()
        )
        ranges: dict[int, list[tuple[int, int, int]]] = {}
        counts: dict[int, int] = {}
        for key, partition, count, first, last in parts.sort("_key", "_partition").iter_rows():
            ranges.setdefault(key, []).append((partition, first, last))
            counts[key] = counts.get(key, 0) + count
        rows = {key: row for row, key in enumerate(self._table["_key"])}
        return [
            Group(rows[key], key // self._many, self._named(key), counts[key], tuple(found))
            for key, found in ranges.items()
        ]

    def _named(self, key: int) -> tuple[str, ...]:
        return () if self._fields is None else self._fields.row(key % self._many)

    def values(self, tree: Node) -> list[float | None]:
        """Return the values of an expression by the rows of groups."""
        return finite(self._space.of(tree)).to_list()


def _of(call: Call, column: pl.Expr) -> pl.Expr:
    if call.name != "quantile":
        return _SIMPLE[call.name](column)
    rank = call.arguments[1]
    share = float(rank.value) if isinstance(rank, Literal) else 0.5
    return column.quantile(share, interpolation="linear")

"""A batch of windows in columns against the rules: series, compiled judgement, what is told."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from processors.errors import PluginError
from processors.rules import kernels as k
from processors.rules.book import Call
from processors.rules.meaning import METRIC, STATISTICS, Key
from processors.rules.table import Table
from processors.rules.telling import Said, Telling
from processors.rules.verdicts import full, kind_failed
from schemas.catalogue import Catalogue
from schemas.processing import Output

KEYS = ("app", "stage", "service", "instance", "node", "metric", "window")
COLUMNS = (*KEYS, "event_id", "final", "window_start", "window_end", *STATISTICS)
"""Columns of a frame of observations that are looked at."""
_MOST_TOLD = 4_096
_MOST_UNCALLED = 100_000
"""Series that call for nothing and are known to: their names may never end."""
UNCALLED = -1
_Sized = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much room there is, how many older windows in a row mean another clock, a gap's length.

    `where` names the partition.
    """

    room: int
    back: int
    stale_ms: int
    where: str


class Judging:
    """Judges batches on a table; `failed` are kinds of others that are told, `full` whether is."""

    def __init__(
        self, limits: Limits, table: Table, telling: Telling, failed: Sequence[str], *, full: bool
    ) -> None:
        self._limits = limits
        self._table = table
        self._telling = telling
        self._uncalled: set[Key] = set()
        self.failed = tuple(failed)
        self.full = full

    def judge(self, frame: pl.DataFrame, catalogue: Catalogue, now_ms: int) -> list[Output]:
        """Return what follows from observations, in their order."""
        wanted = pl.col("final") & pl.col("metric").is_in(self._table.book.metrics)
        frame = frame.filter(wanted) if self._table.book.rules else frame.clear()
        if frame.is_empty():
            return []
        outputs = self._make_room(now_ms)  # rules may have become more
        numbers, new = self._numbers(frame)
        cost = sum(self._table.book.cost(call.rule) for calls in new.values() for call in calls)
        if self._table.cost + cost > self._limits.room:
            return [*outputs, *self._one_by_one(frame, catalogue, now_ms)]
        if new:
            for key, calls in new.items():
                self._table.begin(key, calls)
            numbers, _ = self._numbers(frame)
        called = numbers != UNCALLED
        if not called.all():
            frame, numbers = frame.filter(called), numbers[called]
        return [*outputs, *self._judge(frame, numbers, catalogue, now_ms)]

    def _make_room(self, now_ms: int) -> list[Output]:
        """Forget the longest unused series while there are more pairs than there is room for."""
        outputs: list[Output] = []
        while self._table.cost > self._limits.room and len(self._table.series) > 1:
            if not self.full:
                self.full = True
                outputs.append(full(self._limits.where, self._limits.room, now_ms))
            gone = self._table.end(self._table.oldest())
            outputs += self._telling.forgotten(gone, "no longer judged, for lack of room", now_ms)
        return outputs

    def _numbers(self, frame: pl.DataFrame) -> tuple[_Sized, dict[Key, list[Call]]]:
        """Return the series of each row, UNCALLED for none, and the new ones with their calls."""
        keys = frame.select(KEYS).unique(maintain_order=True)
        new: dict[Key, list[Call]] = {}
        found = []
        for key in keys.iter_rows():
            number = self._table.numbers.get(key, UNCALLED)
            if number == UNCALLED and (calls := self._calls(key)):
                new[key] = calls
            found.append(number)
        coded = keys.with_columns(pl.Series("_number", found, dtype=pl.Int64))
        joined = frame.select(KEYS).join(coded, on=KEYS, how="left", maintain_order="left")
        return joined["_number"].to_numpy(), new

    def _calls(self, key: Key) -> list[Call]:
        if key in self._uncalled:
            return []
        calls = self._table.book.calls(key)
        if not calls:
            if len(self._uncalled) >= _MOST_UNCALLED:
                self._uncalled.clear()
            self._uncalled.add(key)
        return calls

    def _one_by_one(self, frame: pl.DataFrame, catalogue: Catalogue, now_ms: int) -> list[Output]:
        """Judge row by row where series must be forgotten to make room for others."""
        outputs: list[Output] = []
        for at, key in enumerate(frame.select(KEYS).iter_rows()):
            number = self._table.numbers.get(key, UNCALLED)
            if number == UNCALLED and (calls := self._calls(key)):
                number = self._table.begin(key, calls)
                outputs += self._make_room(now_ms)
            if number != UNCALLED:
                numbers = np.array([number], np.int64)
                outputs += self._judge(frame[at : at + 1], numbers, catalogue, now_ms)
        return outputs

    def _judge(
        self, frame: pl.DataFrame, numbers: _Sized, catalogue: Catalogue, now_ms: int
    ) -> list[Output]:
        table = self._table
        rows = np.empty((len(numbers), 4), np.int64)
        rows[:, k.SERIES] = numbers
        rows[:, k.START] = frame["window_start"].to_numpy()
        rows[:, k.STOP] = frame["window_end"].to_numpy()
        table.used[numbers] = table.clock + 1 + np.arange(len(numbers))
        table.clock += len(numbers)
        kept = np.zeros(len(numbers), np.int64)
        k.follow(rows, table.last, table.older, kept, self._limits.back, self._limits.stale_ms)
        if not kept.all():
            frame, rows = frame.filter(kept != 0), rows[kept != 0]
        values = frame.select(pl.col(STATISTICS).cast(pl.Float64)).to_numpy()
        statistics = np.ascontiguousarray(values)
        given, outputs = self._given(rows, statistics, now_ms)
        causes = _Causes(table, rows, frame["event_id"])
        capacity = max(_MOST_TOLD, 4 * table.entries.shape[1])
        told, told_values = np.empty((capacity, 6), np.int64), np.empty(capacity)
        progress = np.zeros(3, np.int64)
        while progress[k.NEXT] < len(rows):
            k.judge(
                rows,
                statistics,
                given,
                table.entries,
                table.book.whole,
                table.book.real,
                table.whole,
                table.values,
                table.memory,
                table.book.widths,
                told,
                told_values,
                progress,
                now_ms,
            )
            told_now = int(progress[k.TOLD])
            each = zip(told[:told_now].tolist(), told_values[:told_now].tolist(), strict=True)
            for (row, number, what, count, severity, began), value in each:
                said = Said(
                    number,
                    what,
                    value,
                    severity,
                    began,
                    int(rows[row, k.STOP]),
                    causes.of(row, number, count),
                )
                outputs.append(self._telling.turned(said, catalogue, now_ms))
        causes.rest()
        return outputs

    def _given(
        self, rows: k.Ints, statistics: k.Floats, now_ms: int
    ) -> tuple[k.Floats, list[Output]]:
        """Return the values of rules whose kind is of others, as compiled code needs them."""
        if not self._table.book.given:
            return np.empty(0), []
        outputs: list[Output] = []
        values = []
        for row, numbers in zip(rows.tolist(), statistics, strict=True):
            for number, rule in self._asked(row[k.SERIES]):
                try:
                    values.append(self._value(number, rule, row, numbers))
                except PluginError as error:
                    values.append(math.nan)
                    kind = self._table.book.rules[rule].kind
                    if kind not in self.failed:
                        self.failed += (kind,)
                        outputs.append(kind_failed(kind, str(error), now_ms))
        return np.array(values, np.float64), outputs

    def _asked(self, series: int) -> Iterator[tuple[int, int]]:
        """Yield the pairs of a series, and their rules, whose kind is of others."""
        for entry in self._table.entries[series].tolist():
            if entry < 0:
                return
            rule = int(self._table.whole[entry >> 2, k.RULE])
            if self._table.book.whole[rule, k.KIND] == k.IS_GIVEN:
                yield entry >> 2, rule

    def _value(self, number: int, rule: int, row: list[int], numbers: k.Floats) -> float:
        book, place = self._table.book, int(self._table.whole[number, k.MEMORY])
        memory = self._table.memory[place : place + int(book.widths[rule])]
        if row[k.ANEW] == k.BACK:
            memory[:] = 0.0
        kind, statistic = book.kinds[rule], float(numbers[book.whole[rule, k.STATISTIC]])
        if kind is None or not math.isfinite(statistic):
            return math.nan
        span_ms = book.rules[rule].span_ms
        return kind.value(memory, statistic, span_ms, row[k.START], row[k.STOP])


class _Causes:
    """The windows of a batch as they come to be remembered by their series, row by row."""

    def __init__(self, table: Table, rows: k.Ints, ids: pl.Series) -> None:
        self._table = table
        self._series = rows[:, k.SERIES].tolist()
        self._ends = rows[:, k.STOP].tolist()
        self._ids = ids.to_list()
        self._next = 0

    def of(self, row: int, number: int, count: int) -> tuple[str, ...]:
        """Return the ids of the last windows that a pair was judged by, up to a row.

        Those of the other side of a ratio are not known where it was forgotten for lack of room.
        """
        self._remember(row + 1)
        pair, end = self._table.pairs[number], self._ends[row]
        rule = self._table.book.rules[pair.rule]
        keys = [self._table.series[self._series[row]].key]
        if rule.over_metric and rule.over_metric != rule.metric:
            names = (rule.metric, rule.over_metric)
            keys = [(*pair.key[:METRIC], metric, pair.key[-1]) for metric in names]
        found: list[str] = []
        known = (self._table.numbers[key] for key in keys if key in self._table.numbers)
        for side in known:
            seen = self._table.series[side].seen
            found += [event_id for at, event_id in seen if at <= end][-max(count, 1) :]
        return tuple(found)

    def rest(self) -> None:
        """Remember the windows after the last row that was asked for."""
        self._remember(len(self._ids))

    def _remember(self, until: int) -> None:
        series = self._table.series
        for at in range(self._next, until):
            series[self._series[at]].seen.append((self._ends[at], self._ids[at]))
        self._next = max(self._next, until)

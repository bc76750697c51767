"""Observations to verdicts, first tier of quality: rules that operators define.

A verdict on a series is raised after `for_windows` bad windows in a row, and withdrawn after
`clear_windows` windows in a row on the good side of the clear threshold. It is told again when it
grows worse, and when it was silenced and no longer is. Windows are judged in the order of their
ends; older ones are passed over, unless so many come in a row that the clock must have been set
back. Values that are no finite numbers are passed over. What makes a rule bad stands in `meaning`,
how windows are judged in `kernels`, what silences a verdict in `silencing`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processors.params import identity, require
from processors.refusals import refusal
from processors.rules import meaning
from processors.rules.absences import Absences
from processors.rules.book import Book
from processors.rules.judging import Judging, Limits
from processors.rules.kinds import Kind
from processors.rules.state import PairState, QualityState
from processors.rules.table import Table
from processors.rules.telling import Telling
from processors.rules.verdicts import ended
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import QualityEvaluated
from schemas.partitioning import partition_of
from schemas.processing import Columns, Home, Output, Spec
from schemas.quality import RuleDefined, SilenceDefined
from schemas.records import KeyValue
from schemas.registrations import InstanceReported, NodeReported
from schemas.topics import PARTITIONS

_EMPTY = QualityState(looked=0, wake=0, series=(), pairs=(), refused=(), failed=(), full=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityParams:
    """How many pairs of rule and series are judged at once, and the times of the clock, ms.

    Beyond `max_judged`, some 8 MB of state, the longest unused series is forgotten; a pair that
    remembers numbers (rate, ratio of two metrics, burn) counts once more for each 32. `back`
    windows older than the newest, in a row, mean that the clock was set back; after a gap of
    `stale_ms` windows in a row are counted anew. Every `look_ms` it looks for silences that ended;
    when that comes `away_ms` late the host was away, and absence is counted anew. What is absent is
    forgotten after `forget_ms`.
    """

    max_judged: int = 10_000
    back: int = 60
    stale_ms: int = 3_600_000
    look_ms: int = 5_000
    away_ms: int = 30_000
    forget_ms: int = 86_400_000


class Quality:
    """Judges the observations of one partition of `partitions` by the rules of the catalogue."""

    def __init__(
        self, params: QualityParams, kinds: Mapping[str, Kind], partition: int, partitions: int
    ) -> None:
        self._params = params
        self._kinds = kinds
        self._partition = partition
        self._partitions = partitions
        self._take_over(_EMPTY)

    def _take_over(self, state: QualityState) -> None:
        self._kept: QualityState | None = state
        self._defined: Mapping[str, RuleDefined] | None = None
        self._looked, self._refused = state.looked, state.refused
        self._work(Table(Book({}, {}), 0), state)

    def _work(self, table: Table, state: QualityState) -> None:
        params = self._params
        limits = Limits(
            room=params.max_judged,
            back=params.back,
            stale_ms=params.stale_ms,
            where=str(self._partition),
        )
        self._table = table
        self._telling = Telling(table)
        self._judging = Judging(limits, table, self._telling, state.failed, full=state.full)
        self._absences = Absences(self._params.forget_ms, table, self._telling)

    def process(self, batch: Columns) -> Sequence[Output]:
        """Return the verdicts that change; early observations are not judged."""
        now_ms = batch.now_ms
        if batch.frame.is_empty():
            return self._look(batch)
        if not self._looked or now_ms < self._looked:
            self._looked = now_ms
        outputs = self._define(batch)
        outputs += self._judging.judge(batch.frame, batch.catalogue, now_ms)
        return outputs

    def wake_at(self) -> int | None:
        """Return when absence is told, or silences are looked at; 0 for at once."""
        if self._kept is not None:
            return self._kept.wake
        due = self._absences.due()
        look = self._looked + self._params.look_ms
        return look if due is None else min(look, due)

    def snapshot(self) -> bytes:
        """Return all that is remembered."""
        return pack_state(self._state())

    def restore(self, data: bytes) -> None:
        """Take over what was remembered."""
        self._take_over(unpack_state(data, QualityState))

    def _state(self) -> QualityState:
        if self._kept is not None:
            return self._kept
        return QualityState(
            looked=self._looked,
            wake=self.wake_at() or 0,
            series=tuple(self._table.series_state()),
            pairs=tuple(self._table.pairs_state()),
            refused=self._refused,
            failed=self._judging.failed,
            full=self._judging.full,
        )

    def _look(self, batch: Columns) -> list[Output]:
        now_ms, due = batch.now_ms, self.wake_at() or 0
        if now_ms < due:
            return []
        outputs = self._define(batch)
        self._looked = now_ms
        if due and now_ms - due > self._params.away_ms:
            self._absences.begin_anew(now_ms)
        outputs += self._absences.told(batch.catalogue, now_ms)
        outputs += self._telling.told_again(batch.catalogue, now_ms)
        return outputs

    def _define(self, batch: Columns) -> list[Output]:
        """Take in the rules when they have changed; what is remembered of the others stays."""
        defined = batch.catalogue.of(RuleDefined)
        if defined is self._defined and self._kept is None:
            return []
        state = self._state()
        refused = meaning.objections(defined, self._kinds)
        rules = {name: rule for name, rule in defined.items() if name not in refused}
        table = Table(Book(rules, self._kinds), batch.now_ms, state.pairs)
        for one in state.series:
            if calls := table.book.calls(one.key):
                table.take(one, calls)
        for rule in table.book.absent:
            self._expect(table, rule)
        self._kept, self._defined = None, defined
        self._work(table, state)
        known, self._refused = self._refused, tuple(defined[name].event_id for name in refused)
        outputs: list[Output] = []
        for name, reason in refused.items():
            if defined[name].event_id not in known:
                metric = KeyValue(key="metric", value=defined[name].metric)
                outputs.append(refusal("quality", defined[name], reason, batch.now_ms, metric))
        return [*outputs, *_withdrawn(table.left(), batch.now_ms)]

    def _expect(self, table: Table, rule: int) -> None:
        asked = table.book.rules[rule]
        if asked.app and partition_of(asked.app, self._partitions) == self._partition:
            key = (asked.app, asked.stage, asked.service, asked.instance, asked.node)
            table.expect(rule, (*key, asked.metric, asked.window))


def _withdrawn(left: Sequence[PairState], now_ms: int) -> Iterator[Output]:
    """Yield the ends of the verdicts of rules that are gone or were defined anew."""
    for one in left:
        if one.raised:
            yield ended(one, "rule withdrawn", now_ms)


def _share(states: Sequence[QualityState], partition: int, home: Home) -> QualityState:
    def mine(name: str) -> tuple[Any, ...]:
        every = (one for state in states for one in getattr(state, name))
        return tuple(one for one in every if home(one.key[0]) == partition)

    return QualityState(
        looked=max(state.looked for state in states),
        wake=min(state.wake for state in states),
        series=mine("series"),
        pairs=mine("pairs"),
        refused=tuple(dict.fromkeys(name for state in states for name in state.refused)),
        failed=tuple(dict.fromkeys(name for state in states for name in state.failed)),
        full=False,
    )


def spec(
    params: QualityParams | None = None,
    *,
    plugins: Mapping[str, Kind] | None = None,
    partitions: int = PARTITIONS,
) -> Spec:
    """Return how hosts run quality, first tier, with the kinds of rules of others.

    Raises InvalidParameters.
    """
    chosen, others = params or QualityParams(), dict(plugins or {})
    require(chosen, max_judged=1, back=1, stale_ms=1, look_ms=1, away_ms=1, forget_ms=1)
    return Spec(
        name="quality",
        prompt=True,
        inputs=("weir.observations",),
        outputs=(QualityEvaluated, ActionTaken),
        build=lambda partition: Quality(chosen, others, partition, partitions),
        parameters=identity(chosen),
        format=2,
        columnar=True,
        state=QualityState,
        share=_share,
        portable=True,
        sized=lambda count: spec(chosen, plugins=others, partitions=count),
        catalogue=(RuleDefined, SilenceDefined, NodeReported, InstanceReported),
    )

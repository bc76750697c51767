"""Observations to verdicts on contracts: is what was promised being kept, and who falls short.

Every clause is judged over the span of its `window_ms` that ends where a window of its metric
ends, `settle_ms` after the first observation of that window arrived, so that those of other
partitions are in. It is violated after `spell` broken judgements in a row and cleared after as
many that hold. Spans with fewer than the clause's `min_count` events are not judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from processors.contracts.clauses import (
    MAX_WINDOW_MS,
    contributions,
    judge,
    metrics_of,
    reasons_against,
)
from processors.contracts.evidence import Evidence, EvidenceState, arrived, evidence_of
from processors.contracts.standings import Standing, standing_of, turned, verdict
from processors.params import identity, require
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import ContractViolated, Observation
from schemas.partitioning import partition_of
from schemas.processing import Batch, Home, Output, Partition, Spec
from schemas.registrations import Clause, ContractRegistered, MetricDefined
from schemas.topics import PARTITIONS

INPUT = "weir.observations"
_Contracts = dict[str, list[ContractRegistered]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractParams:
    """When clauses are judged, in ms of the host's clock, and after how many judgements they turn.

    The catalogue is looked through every `check_ms`; an app that reports nothing for `idle_ms`
    is forgotten until it does again.
    """

    settle_ms: int = 500
    spell: int = 2
    check_ms: int = 1_000
    idle_ms: int = 600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A judgement to come: of the clauses on a metric, over spans that end at `end`."""

    at_ms: int
    end: int
    app: str
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractState:
    """All but the observations, which the log holds."""

    next_check: int
    partition: int
    refused: tuple[str, ...]
    evidence: tuple[EvidenceState, ...]
    due: tuple[Due, ...]
    standings: tuple[Standing, ...]


class Contracts:
    """Judges the contracts of the apps of one partition."""

    def __init__(
        self, params: ContractParams, partition: int, partitions: int = PARTITIONS
    ) -> None:
        self._params = params
        self._partitions = partitions
        self._partition = partition
        self._input = partition
        self._next_check = 0
        self._refused: tuple[str, ...] = ()
        self._evidence: dict[str, Evidence] = {}
        self._due: list[Due] = []
        self._standings: dict[tuple[str, str], Standing] = {}
        self._seen: tuple[object, object] = (None, None)
        self._contracts: _Contracts = {}
        self._objections: dict[str, list[str]] = {}

    def process(self, batch: Batch) -> Sequence[Output]:
        """Judge what is due, look through the catalogue, then take in observations."""
        if not batch.records and batch.now_ms < self.wake_at():
            return []
        self._look(batch)
        outputs: list[Output] = [*self._judge_due(batch.now_ms)]
        if batch.now_ms >= self._next_check:
            outputs.extend(self._check(batch))
        for record in batch.records:
            if isinstance(record.event, Observation):
                self._input = record.partition
                self._take(record.event, record.offset, batch.now_ms)
        return outputs

    def wake_at(self) -> int:
        """Return when the next judgement or the next look at the catalogue is due."""
        return min([self._next_check, *(due.at_ms for due in self._due)])

    def snapshot(self) -> bytes:
        """Return the state without observations."""
        evidence = sorted(self._evidence.items())
        return pack_state(
            ContractState(
                next_check=self._next_check,
                partition=self._input,
                refused=self._refused,
                evidence=tuple(one.state(app) for app, one in evidence),
                due=tuple(self._due),
                standings=tuple(self._standings.values()),
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; its observations come with `rebuild`."""
        state = unpack_state(data, ContractState)
        self._next_check, self._input = state.next_check, state.partition
        self._refused = state.refused
        self._evidence = {one.app: evidence_of(one) for one in state.evidence}
        self._due = list(state.due)
        self._standings = {(one.contract_id, one.clause.name): one for one in state.standings}
        self._seen = (None, None)

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return the lowest offset that a span to come may need."""
        offsets = [one.oldest() for one in self._evidence.values()]
        found = [offset for offset in offsets if offset is not None]
        return {(INPUT, self._input): min(found)} if found else {}

    def rebuild(self, batch: Batch) -> None:
        """Keep the observations that were kept."""
        for record in batch.records:
            event = record.event
            if isinstance(event, Observation) and event.app in self._evidence:
                self._evidence[event.app].add_again(event, record.offset)

    def _look(self, batch: Batch) -> None:
        """Sort the contracts of the catalogue by app when they have changed."""
        contracts = batch.catalogue.of(ContractRegistered)
        metrics = batch.catalogue.of(MetricDefined)
        if contracts is self._seen[0] and metrics is self._seen[1]:
            return
        self._seen = (contracts, metrics)
        defined = sorted({one.metric for one in metrics.values()})
        self._contracts, self._objections = {}, {}
        for name, contract in sorted(contracts.items()):
            reasons = reasons_against(contract, defined)
            if reasons:
                self._objections[name] = reasons
            else:
                self._contracts.setdefault(contract.app, []).append(contract)
        for app, evidence in self._evidence.items():
            evidence.want(self._wanted(app))

    def _wanted(self, app: str) -> set[str]:
        return {metric for one in self._contracts.get(app, ()) for metric in metrics_of(one)}

    def _take(self, seen: Observation, offset: int, now_ms: int) -> None:
        if seen.metric not in self._wanted(seen.app):
            return
        evidence = self._evidence.setdefault(seen.app, Evidence())
        evidence.seen_ms = now_ms
        if not evidence.add(seen, offset, MAX_WINDOW_MS):
            return
        known = any(
            due.app == seen.app and due.metric == seen.metric and due.end == seen.window_end
            for due in self._due
        )
        if not known:
            at = now_ms + self._params.settle_ms
            self._due.append(Due(at_ms=at, end=seen.window_end, app=seen.app, metric=seen.metric))

    def _judge_due(self, now_ms: int) -> Iterator[Output]:
        ready = [due for due in self._due if due.at_ms <= now_ms]
        if not ready:
            return
        self._due = [due for due in self._due if due.at_ms > now_ms]
        for due in sorted(ready, key=lambda d: (d.at_ms, d.end, d.app, d.metric)):
            for contract in self._contracts.get(due.app, ()):
                if not _in_force(contract, due.end):
                    continue
                for clause in contract.clauses:
                    if clause.metric == due.metric:
                        yield from self._judge(contract, clause, due.end, now_ms)
        self._forget()

    def _judge(
        self, contract: ContractRegistered, clause: Clause, end: int, now_ms: int
    ) -> Iterator[Output]:
        span = self._evidence[contract.app].within(end, clause.window_ms)
        judged = judge(clause, span)
        key = (contract.event_id, clause.name)
        standing = self._standings.get(key) or standing_of(contract, clause)
        if judged is None or end <= standing.last_end:
            return
        after = turned(standing, judged, end, self._params.spell)
        self._standings[key] = after
        if after.violated == standing.violated:
            return
        parts = contributions(clause, judged.observed, span) if after.violated else ()
        causes = tuple(window.event_id for window in judged.windows)
        yield verdict(after, end, parts, causes, now_ms)

    def _forget(self) -> None:
        """Drop the observations that no span to come can reach."""
        for app, evidence in self._evidence.items():
            ends = [due.end for due in self._due if due.app == app]
            spans = [c.window_ms for one in self._contracts.get(app, ()) for c in one.clauses]
            evidence.forget(min([*ends, evidence.newest]) - max(spans, default=0))

    def _check(self, batch: Batch) -> Iterator[Output]:
        """Tell of contracts that cannot be judged, and end what belongs to those that are gone."""
        now_ms = batch.now_ms
        self._next_check = now_ms + self._params.check_ms
        contracts = batch.catalogue.of(ContractRegistered)
        known, told = self._refused, []
        for name, reasons in self._objections.items():
            contract = contracts[name]
            if partition_of(contract.app, self._partitions) != self._partition:
                continue
            told.append(contract.event_id)
            if contract.event_id not in known:
                yield _refusal(contract, reasons, now_ms)
        self._refused = tuple(told)
        alive = {
            one.event_id
            for group in self._contracts.values()
            for one in group
            if _in_force(one, now_ms)
        }
        for key, standing in list(self._standings.items()):
            if standing.contract_id not in alive:
                del self._standings[key]
                if standing.violated:
                    ended = replace(standing, violated=False)
                    yield verdict(ended, standing.last_end, (), (), now_ms)
        idle = now_ms - self._params.idle_ms
        for app in [app for app, one in self._evidence.items() if one.seen_ms <= idle]:
            del self._evidence[app]


def _in_force(contract: ContractRegistered, at_ms: int) -> bool:
    begun = contract.valid_from is None or contract.valid_from <= at_ms
    return begun and (contract.valid_until is None or at_ms < contract.valid_until)


def _refusal(contract: ContractRegistered, reasons: Sequence[str], now_ms: int) -> ActionTaken:
    return ActionTaken(
        event_id=stable_id("contract", "refused", contract.event_id, contract.version),
        target=contract.contract,
        kind="contract.refused",
        status="refused",
        policy="",
        reason=f"contract {contract.contract} of {contract.app}: " + "; ".join(reasons),
        taken_at=now_ms,
    )


def _share(states: Sequence[ContractState], partition: int, home: Home) -> ContractState:
    """Of an app that moves, the offsets of its evidence begin anew."""

    def mine(one: EvidenceState | Due | Standing) -> bool:
        return home(one.app) == partition

    kept = {one.app for s in states if s.partition == partition for one in s.evidence}
    evidence = (one for s in states for one in s.evidence if mine(one))
    return ContractState(
        next_check=max(s.next_check for s in states),
        partition=partition,
        refused=tuple(dict.fromkeys(name for s in states for name in s.refused)),
        evidence=tuple(one if one.app in kept else arrived(one) for one in evidence),
        due=tuple(one for s in states for one in s.due if mine(one)),
        standings=tuple(one for s in states for one in s.standings if mine(one)),
    )


def spec(params: ContractParams | None = None, partitions: int = PARTITIONS) -> Spec:
    """Return how hosts run contract on so many partitions.

    Raises InvalidParameters.
    """
    chosen = params or ContractParams()
    require(chosen, settle_ms=1, spell=1, check_ms=1, idle_ms=1)
    return Spec(
        name="contract",
        inputs=(INPUT,),
        outputs=(ContractViolated, ActionTaken),
        build=lambda partition: Contracts(chosen, partition, partitions),
        parameters=identity(chosen),
        catalogue=(ContractRegistered, MetricDefined),
        state=ContractState,
        sized=lambda count: spec(params, count),
        share=_share,
        portable=True,
    )

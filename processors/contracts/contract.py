"""Observations to verdicts on contracts: is what was promised being kept, and who falls short.

Every clause is judged over the span of its `window_ms` that ends where a window of its metric
ends, `settle_ms` after the first observation of that window arrived, so that those of other
partitions are in; a span is judged at most `STEPS` times within its own length. A clause is
violated after `spell` broken judgements in a row and cleared after as many that hold. Spans with
fewer than the clause's `min_count` events are not judged, and windows that end more than an hour
after the host's clock are not believed.

A new version of a contract takes over how those of its clauses stand that promise the same;
others begin anew, and their spells end. How contracts stand is told when it changes, at most every
`check_ms`, and every `tell_ms`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from processors.contracts.checks import MAX_WINDOW_MS, limits_of
from processors.contracts.clauses import metric_of
from processors.contracts.evidence import Evidence, evidence_of
from processors.contracts.registered import Registered, in_force
from processors.contracts.shares import contributions
from processors.contracts.spans import Spans
from processors.contracts.standings import Standing, standing_of, turned, verdict
from processors.contracts.state import ContractParams, ContractState, Due, shared
from processors.contracts.telling import Told, event_of, is_due, told_of
from processors.params import identity, require
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import ContractStanding, ContractViolated, Observation
from schemas.partitioning import partition_of
from schemas.processing import Batch, Output, Partition, Spec
from schemas.registrations import Clause, ContractRegistered, MetricDefined
from schemas.topics import PARTITIONS

INPUT = "weir.observations"
STEPS = 20
MAX_CAUSES = 64
"""A verdict names so many of the observations that it rests on, the newest."""
_Key = tuple[str, str]
"""Contract and clause."""
_DueKey = tuple[str, str, int]
"""App, metric and window end."""


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
        self._registered = Registered()
        self._evidence: dict[str, Evidence] = {}
        self._due: dict[_DueKey, Due] = {}
        self._standings: dict[_Key, Standing] = {}
        self._told: dict[str, Told] = {}
        self._seen: tuple[object, object] = (None, None)

    def process(self, batch: Batch) -> Sequence[Output]:
        """Judge what is due, look through the catalogue, then take in observations."""
        if not batch.records and batch.now_ms < self.wake_at():
            return []
        outputs: list[Output] = [*self._look(batch), *self._judge_due(batch.now_ms)]
        if batch.now_ms >= self._next_check or self._clock_went_back(batch.now_ms):
            outputs.extend(self._check(batch.now_ms))
        for record in batch.records:
            if isinstance(record.event, Observation):
                self._input = record.partition
                self._take(record.event, record.offset, batch.now_ms)
        return outputs

    def wake_at(self) -> int:
        """Return when the next judgement or the next look at the catalogue is due."""
        return min([self._next_check, *(due.at_ms for due in self._due.values())])

    def snapshot(self) -> bytes:
        """Return the state without observations."""
        evidence = sorted(self._evidence.items())
        return pack_state(
            ContractState(
                next_check=self._next_check,
                partition=self._input,
                refused=self._registered.told,
                evidence=tuple(one.state(app) for app, one in evidence),
                due=tuple(self._due.values()),
                standings=tuple(self._standings.values()),
                contracts=tuple(self._registered.held.values()),
                told=tuple(self._told.values()),
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; its observations come with `rebuild`."""
        state = unpack_state(data, ContractState)
        self._next_check, self._input = state.next_check, state.partition
        held = {one.contract: one for one in state.contracts}
        self._registered = Registered(held, state.refused)
        self._evidence = {one.app: evidence_of(one) for one in state.evidence}
        self._due = {(one.app, one.metric, one.end): one for one in state.due}
        self._standings = {(one.contract, one.clause.name): one for one in state.standings}
        self._told = {one.contract: one for one in state.told}
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

    def _clock_went_back(self, now_ms: int) -> bool:
        return self._next_check - now_ms > self._params.check_ms

    def _look(self, batch: Batch) -> Iterator[Output]:
        """Take the contracts of the catalogue when they have changed; end what went with others."""
        contracts = batch.catalogue.of(ContractRegistered)
        metrics = batch.catalogue.of(MetricDefined)
        if contracts is self._seen[0] and metrics is self._seen[1]:
            return
        self._seen = (contracts, metrics)
        mine = {
            name: one
            for name, one in contracts.items()
            if partition_of(one.app, self._partitions) == self._partition
        }
        self._registered.take(mine, limits_of(metrics))
        for app, evidence in self._evidence.items():
            evidence.want(self._registered.wanted(app))
        yield from self._renew(batch.now_ms)

    def _renew(self, now_ms: int) -> Iterator[Output]:
        """Let standings be of the clauses as they are now; end those of clauses that are not."""
        clauses = {
            (contract.contract, clause.name): (contract, clause)
            for contract in self._registered.held.values()
            for clause in contract.clauses
        }
        for key, standing in list(self._standings.items()):
            contract, clause = clauses.get(key, (None, None))
            if contract is not None and clause is not None and standing.may_be(contract, clause):
                self._standings[key] = standing.of(contract, clause)
            else:
                yield from self._end(key, now_ms)

    def _begin_and_end(self, now_ms: int) -> Iterator[Output]:
        """Keep standings of the contracts that are in force, and of no others."""
        for contract in self._registered.held.values():
            valid = in_force(contract, now_ms)
            for clause in contract.clauses:
                key = (contract.contract, clause.name)
                if valid and key not in self._standings:
                    self._standings[key] = standing_of(contract, clause)
                elif not valid and key in self._standings:
                    yield from self._end(key, now_ms)

    def _end(self, key: _Key, now_ms: int) -> Iterator[Output]:
        standing = self._standings.pop(key)
        if standing.violated:
            yield verdict(replace(standing, violated=False), standing.last_end, (), (), now_ms)

    def _take(self, seen: Observation, offset: int, now_ms: int) -> None:
        wanted = self._registered.wanted(seen.app)
        if seen.metric not in wanted or seen.window_end > now_ms + MAX_WINDOW_MS:
            return
        evidence = self._evidence.setdefault(seen.app, Evidence())
        evidence.seen_ms = now_ms
        if not evidence.add(seen, offset, MAX_WINDOW_MS):
            return
        key = (seen.app, seen.metric, seen.window_end)
        if key not in self._due:
            at = now_ms + self._params.settle_ms
            self._due[key] = Due(at_ms=at, end=seen.window_end, app=seen.app, metric=seen.metric)

    def _judge_due(self, now_ms: int) -> Iterator[Output]:
        latest = now_ms + self._params.settle_ms
        ready = [due for due in self._due.values() if not now_ms < due.at_ms <= latest]
        if not ready:
            return
        self._due = {k: due for k, due in self._due.items() if now_ms < due.at_ms <= latest}
        for due in sorted(ready, key=lambda d: (d.at_ms, d.end, d.app, d.metric)):
            spans = Spans(self._evidence[due.app], due.end)
            for contract in self._registered.of(due.app):
                if not in_force(contract, due.end):
                    continue
                for clause in contract.clauses:
                    if metric_of(clause) == due.metric:
                        yield from self._judge(contract, clause, spans, now_ms)
        self._forget()

    def _judge(
        self, contract: ContractRegistered, clause: Clause, spans: Spans, now_ms: int
    ) -> Iterator[Output]:
        key, end = (contract.contract, clause.name), spans.end
        standing = self._standings.get(key) or standing_of(contract, clause)
        if end <= standing.last_end or end - standing.last_end < clause.window_ms // STEPS:
            return
        judged, span = spans.judge(clause), spans.of(clause)
        if judged is None:
            return
        newest = tuple(window for window in span if window.window_end > standing.last_end)
        after = turned(standing, judged, end, self._params.spell, now_ms, newest)
        self._standings[key] = after
        if after.violated == standing.violated:
            return
        parts = contributions(clause, judged, span, standing.past) if after.violated else ()
        causes = tuple(window.event_id for window in judged.windows[-MAX_CAUSES:])
        yield verdict(after, end, parts, causes, now_ms)

    def _forget(self) -> None:
        """Drop the observations that no span to come can reach."""
        for app, evidence in self._evidence.items():
            ends = [due.end for due in self._due.values() if due.app == app]
            spans = [c.window_ms for one in self._registered.of(app) for c in one.clauses]
            evidence.forget(min([*ends, evidence.newest]) - max(spans, default=0))

    def _check(self, now_ms: int) -> Iterator[Output]:
        """Tell of contracts that cannot be judged, end what is over, tell how others stand."""
        self._next_check = now_ms + self._params.check_ms
        yield from self._registered.refusals(now_ms)
        yield from self._begin_and_end(now_ms)
        yield from self._tell(now_ms)
        idle = now_ms - self._params.idle_ms
        for app in [app for app, one in self._evidence.items() if one.seen_ms <= idle]:
            del self._evidence[app]

    def _tell(self, now_ms: int) -> Iterator[Output]:
        held = self._registered.held
        self._told = {name: told for name, told in self._told.items() if name in held}
        for name, contract in held.items():
            standings = [self._shown(name, clause, now_ms) for clause in contract.clauses]
            found = [one for one in standings if one is not None]
            told = told_of(contract, found, now_ms)
            if is_due(self._told.get(name), told, self._params.tell_ms):
                self._told[name] = told
                yield event_of(contract, found, told)

    def _shown(self, contract: str, clause: Clause, now_ms: int) -> Standing | None:
        """Return how a clause of a contract in force stands, its status being that of now."""
        standing = self._standings.get((contract, clause.name))
        if standing is None:
            return None
        status = standing.status(now_ms, self._params.silent_ms)
        if status != standing.shown:
            standing = replace(standing, shown=status, shown_at=now_ms)
            self._standings[contract, clause.name] = standing
        return standing


def spec(params: ContractParams | None = None, partitions: int = PARTITIONS) -> Spec:
    """Return how hosts run contract on so many partitions.

    Raises InvalidParameters.
    """
    chosen = params or ContractParams()
    require(chosen, settle_ms=1, spell=1, check_ms=1, idle_ms=1, tell_ms=1, silent_ms=1)
    return Spec(
        name="contract",
        prompt=True,
        inputs=(INPUT,),
        outputs=(ContractViolated, ContractStanding, ActionTaken),
        build=lambda partition: Contracts(chosen, partition, partitions),
        parameters=identity(chosen),
        format=2,
        catalogue=(ContractRegistered, MetricDefined),
        state=ContractState,
        sized=lambda count: spec(params, count),
        share=shared,
        portable=True,
    )

"""Observations to verdicts, first tier of quality: thresholds with hysteresis.

A rule is bad on a series after `for_windows` bad windows in a row, and good again after
`clear_windows` windows in a row on the good side of its clear threshold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from processors.measures import combined, holds, objection
from processors.params import identity, require
from processors.recent import Recent
from processors.refusals import refusal
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import Finding, Observation, QualityEvaluated
from schemas.processing import Batch, Home, Output, Spec
from schemas.quality import RuleDefined
from schemas.records import KeyValue

DEGRADED, HEALTHY = "degraded", "healthy"
TIER = "rules"
MAX_WINDOWS = 100
_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityParams:
    """How many pairs of rule and series are judged at once; beyond, the longest unused is ended."""

    max_judged: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a rule stands on a series: its spell of windows against the verdict, their ids."""

    rule: str
    rule_id: str
    app: str
    stage: str
    service: str
    instance: str
    node: str
    metric: str
    window: str
    degraded: bool = False
    last_end: int = 0
    value: float = 0.0
    against: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityState:
    """All standings, the longest unused first, and the rules that were refused."""

    standings: tuple[Standing, ...]
    refused: tuple[str, ...]


class Quality:
    """Judges the observations of one partition by the rules of the catalogue."""

    def __init__(self, params: QualityParams) -> None:
        self._params = params
        self._standings: Recent[_Key, Standing] = Recent(params.max_judged)
        self._defined: Mapping[str, RuleDefined] | None = None
        self._rules: tuple[RuleDefined, ...] = ()
        self._refused: tuple[str, ...] = ()

    def process(self, batch: Batch) -> Sequence[Output]:
        """Return the verdicts that change; early observations are not judged."""
        if not batch.records:
            return []
        outputs: list[Output] = [*self._define(batch)]
        for record in batch.records:
            if isinstance(record.event, Observation) and record.event.final:
                for rule in self._rules:
                    if _applies(rule, record.event):
                        outputs.extend(self._judge(rule, record.event, batch.now_ms))
        return outputs

    def wake_at(self) -> int | None:
        """Return None: only observations change a verdict."""
        return None

    def snapshot(self) -> bytes:
        """Return all standings."""
        standings = tuple(standing for _, standing in self._standings.items())
        return pack_state(QualityState(standings=standings, refused=self._refused))

    def restore(self, data: bytes) -> None:
        """Take over all standings."""
        state = unpack_state(data, QualityState)
        self._standings = Recent(self._params.max_judged)
        for standing in state.standings:
            self._standings.put(_key_of(standing), standing)
        self._refused = state.refused
        self._defined = None

    def _define(self, batch: Batch) -> Iterator[Output]:
        defined = batch.catalogue.of(RuleDefined)
        if defined is self._defined:
            return
        self._defined = defined
        objections = {name: _objection(rule) for name, rule in sorted(defined.items())}
        self._rules = tuple(defined[name] for name, reason in objections.items() if not reason)
        known, self._refused = (
            self._refused,
            tuple(defined[name].event_id for name, reason in objections.items() if reason),
        )
        for name, reason in objections.items():
            if reason and defined[name].event_id not in known:
                rule = defined[name]
                metric = KeyValue(key="metric", value=rule.metric)
                yield refusal("quality", rule, reason, batch.now_ms, metric)
        yield from self._end_rules({rule.event_id for rule in self._rules}, batch.now_ms)

    def _end_rules(self, in_force: set[str], now_ms: int) -> Iterator[Output]:
        """Withdraw the verdicts of rules that are gone or were defined anew."""
        for key, standing in self._standings.items():
            if standing.rule_id not in in_force:
                self._standings.drop(key)
                if standing.degraded:
                    yield _withdrawn(standing, "rule withdrawn", now_ms)

    def _judge(self, rule: RuleDefined, seen: Observation, now_ms: int) -> Iterator[Output]:
        key = (rule.name, *_series(seen))
        standing, forgotten = self._standings.use(key, lambda: _standing(rule, seen))
        if forgotten is not None and forgotten[1].degraded:
            yield _withdrawn(forgotten[1], "no longer judged, for lack of room", now_ms)
        if seen.window_end <= standing.last_end:
            return
        value = combined([seen], rule.statistic)
        against = (*standing.against, seen.event_id) if _against(standing, rule, value) else ()
        needed = rule.clear_windows if standing.degraded else rule.for_windows
        turned = len(against) >= needed
        standing = replace(
            standing,
            last_end=seen.window_end,
            value=value,
            against=() if turned else against,
            degraded=standing.degraded != turned,
        )
        self._standings.put(key, standing)
        if turned:
            yield _verdict(standing, rule, seen, against, now_ms)


def _applies(rule: RuleDefined, seen: Observation) -> bool:
    return rule.metric == seen.metric and rule.app in ("", seen.app)


def _series(seen: Observation) -> _Key:
    return (
        seen.app,
        seen.stage,
        seen.service,
        seen.instance,
        seen.node,
        seen.metric,
        seen.window,
    )


def _key_of(standing: Standing) -> _Key:
    return (
        standing.rule,
        standing.app,
        standing.stage,
        standing.service,
        standing.instance,
        standing.node,
        standing.metric,
        standing.window,
    )


def _standing(rule: RuleDefined, seen: Observation) -> Standing:
    app, stage, service, instance, node, metric, window = _series(seen)
    return Standing(
        rule=rule.name,
        rule_id=rule.event_id,
        app=app,
        stage=stage,
        service=service,
        instance=instance,
        node=node,
        metric=metric,
        window=window,
    )


def _against(standing: Standing, rule: RuleDefined, value: float) -> bool:
    """Return whether a window speaks against the verdict in force."""
    if not standing.degraded:
        return holds(value, rule.operator, rule.threshold)
    clear = rule.threshold if rule.clear_threshold is None else rule.clear_threshold
    return not holds(value, rule.operator, clear)


def _objection(rule: RuleDefined) -> str:
    for name in ("for_windows", "clear_windows"):
        if not 1 <= getattr(rule, name) <= MAX_WINDOWS:
            return f"{name} is {getattr(rule, name)}; it must be within 1 and {MAX_WINDOWS}"
    return objection(rule.statistic, rule.operator)


def _verdict(
    standing: Standing, rule: RuleDefined, seen: Observation, causes: _Key, now_ms: int
) -> QualityEvaluated:
    excess = standing.value - rule.threshold
    score = excess if rule.operator in (">", ">=") else -excess
    return QualityEvaluated(
        event_id=stable_id("quality", rule.event_id, *_series(seen), seen.window_start),
        app=seen.app,
        stage=seen.stage,
        service=seen.service,
        instance=seen.instance,
        metric=seen.metric,
        tier=TIER,
        rule=rule.name,
        verdict=DEGRADED if standing.degraded else HEALTHY,
        severity=rule.severity,
        score=score / (abs(rule.threshold) or 1.0),
        findings=(
            Finding(
                what=f"{rule.statistic} of {seen.metric} {rule.operator} {rule.threshold:g}",
                observed=standing.value,
                expected=rule.threshold,
            ),
        ),
        window_end=seen.window_end,
        evaluated_at=now_ms,
        causes=causes,
    )


def _withdrawn(standing: Standing, why: str, now_ms: int) -> QualityEvaluated:
    return QualityEvaluated(
        event_id=stable_id(
            "quality", "withdrawn", standing.rule_id, *_key_of(standing), standing.last_end
        ),
        app=standing.app,
        stage=standing.stage,
        service=standing.service,
        instance=standing.instance,
        metric=standing.metric,
        tier=TIER,
        rule=standing.rule,
        verdict=HEALTHY,
        severity="info",
        score=0.0,
        findings=(Finding(what=why, observed=standing.value, expected=standing.value),),
        window_end=standing.last_end,
        evaluated_at=now_ms,
    )


def _share(states: Sequence[QualityState], partition: int, home: Home) -> QualityState:
    every = (one for state in states for one in state.standings)
    return QualityState(
        standings=tuple(one for one in every if home(one.app) == partition),
        refused=tuple(dict.fromkeys(name for state in states for name in state.refused)),
    )


def spec(params: QualityParams | None = None) -> Spec:
    """Return how hosts run quality, first tier.

    Raises InvalidParameters.
    """
    chosen = params or QualityParams()
    require(chosen, max_judged=1)
    return Spec(
        name="quality",
        inputs=("weir.observations",),
        outputs=(QualityEvaluated, ActionTaken),
        build=lambda _partition: Quality(chosen),
        parameters=identity(chosen),
        state=QualityState,
        share=_share,
        portable=True,
        catalogue=(RuleDefined,),
    )

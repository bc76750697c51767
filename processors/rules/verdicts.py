"""The events by which rules tell their verdicts."""

from dataclasses import dataclass

from processors.rules.meaning import (
    ABSENCE,
    BURN,
    SEVERITIES,
    Key,
    burns_of,
    kind_of,
    words,
)
from processors.rules.silencing import Subject
from processors.rules.state import PairState
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import Finding, QualityEvaluated
from schemas.quality import RuleDefined

DEGRADED, HEALTHY = "degraded", "healthy"
TIER = "rules"
RAISED, WORSE, AGAIN, WITHDRAWN = "raised", "worse", "again", "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What happens to a verdict: raised, worse, told again after a silence, withdrawn.

    `since` is when what it tells of began, `end` the end of the last window judged, ms; `spell` is
    empty where this raises it.
    """

    rule: RuleDefined
    key: Key
    what: str
    value: float
    severity: int
    since: int
    end: int
    spell: str
    silenced_by: str = ""
    causes: tuple[str, ...] = ()


def subject_of(rule: str, key: Key) -> Subject:
    """Return what a verdict of a rule on a series is about."""
    app, stage, service, instance, node, _, _ = key
    return Subject(app, stage, service, instance, node, rule, TIER)


def verdict(turn: Turn, now_ms: int) -> QualityEvaluated:
    """Return the event of a turn; of one id for the same rule, series and window."""
    rule, (app, stage, service, instance, node, metric, _) = turn.rule, turn.key
    parts = () if turn.what == RAISED else (turn.what, turn.severity, turn.spell)
    event_id = stable_id("quality", rule.event_id, *turn.key, turn.since, turn.end, *parts)
    bad, limit = turn.what != WITHDRAWN, _limit(turn)
    finding = Finding(what=words(rule), observed=turn.value, expected=limit)
    return QualityEvaluated(
        event_id=event_id,
        app=app,
        stage=stage,
        service=service,
        instance=instance,
        metric=metric,
        tier=TIER,
        rule=rule.name,
        verdict=DEGRADED if bad else HEALTHY,
        severity=SEVERITIES[turn.severity],
        score=_score(rule, turn.value, limit),
        findings=(finding,),
        window_end=turn.end,
        evaluated_at=now_ms,
        causes=turn.causes,
        node=node,
        since=turn.since,
        spell=turn.spell or event_id,
        silenced_by=turn.silenced_by,
        burn_rate=turn.value if kind_of(rule) == BURN else None,
    )


def ended(one: PairState, why: str, now_ms: int) -> QualityEvaluated:
    """Return the event that withdraws a raised verdict because it is not judged any longer."""
    app, stage, service, instance, node, metric, _ = one.key
    return QualityEvaluated(
        event_id=stable_id("quality", "ended", one.spell),
        app=app,
        stage=stage,
        service=service,
        instance=instance,
        metric=metric,
        tier=TIER,
        rule=one.rule,
        verdict=HEALTHY,
        severity="info",
        score=0.0,
        findings=(Finding(what=why, observed=one.value, expected=one.value),),
        window_end=one.end,
        evaluated_at=now_ms,
        causes=(one.spell,),
        node=node,
        since=one.began,
        spell=one.spell,
        silenced_by="" if one.told else one.silenced_by,
    )


def kind_failed(kind: str, reason: str, now_ms: int) -> ActionTaken:
    """Return the action that says that a kind of others fails; of one id whenever it does."""
    return ActionTaken(
        event_id=stable_id("quality", "rule.failed", kind),
        target=kind,
        kind="rule.failed",
        status="refused",
        policy="",
        reason=f"kind of rule {kind}: {reason}",
        taken_at=now_ms,
    )


def full(where: str, room: int, now_ms: int) -> ActionTaken:
    """Return the action that says that series are forgotten; of one id for a partition."""
    return ActionTaken(
        event_id=stable_id("quality", "rules.full", where),
        target="quality",
        kind="rules.full",
        status="done",
        policy="",
        reason=f"partition {where} has room for {room} pairs of rule and series, a pair that looks "
        "back counting for several; the longest unused series are forgotten: narrow the rules, or "
        "grow weir.observations",
        taken_at=now_ms,
    )


def _limit(turn: Turn) -> float:
    kind = kind_of(turn.rule)
    if kind == ABSENCE:
        return float(turn.rule.span_ms)
    if kind != BURN:
        return turn.rule.threshold
    burns = burns_of(turn.rule)
    worst = [one.factor for one in burns if SEVERITIES.index(one.severity) == turn.severity]
    return min(worst or [one.factor for one in burns])


def _score(rule: RuleDefined, value: float, limit: float) -> float:
    downward = rule.operator in ("<", "<=") and kind_of(rule) != BURN
    excess = limit - value if downward else value - limit
    return excess / (abs(limit) or 1.0)

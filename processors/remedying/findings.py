"""From events to findings: what is wrong, where, since when, and which remedies answer it. Pure."""

from collections.abc import Iterable

from processors.remedying.state import DRIFT, QUALITY, VIOLATION, Finding, Open, Suspect
from schemas.base import Event
from schemas.identity import stable_id
from schemas.observing import ContractViolated, DriftDetected, QualityEvaluated
from schemas.quality import RemedyDefined

SEVERITIES = ("info", "warning", "critical")
SENSOR = "sensor-"
"""How the causes of drifts begin that are faults of what measures, not of what is measured."""
FRESH_MS = 600_000
"""So long a finding counts that nobody withdraws: a drift, a diagnosis."""
LASTING_MS = 86_400_000
"""So long one counts that is withdrawn when it is over."""
DIAGNOSIS = "diagnosis"
STATISTICS = ("mean", "std", "min", "max", "p50", "p90", "p95", "p99", "rate")
_SUSPECTS, _SOURCES, _EXPLAINED = 8, 32, 16
EXPLAINED = "explained"
_DRIFTED = ("confirmed", EXPLAINED)
_BAD_WHEN_UP = ("error", "failure")
_BAD_WHEN_DOWN = ("accuracy", "confidence", "agreement", "availability")


def key_of(event: Event) -> str:
    """Return what all events of one finding have in common; empty for events that find nothing."""
    match event:
        case QualityEvaluated():
            where = (event.app, event.stage, event.service, event.instance, event.node)
            return stable_id(QUALITY, *where, event.metric, event.tier, event.rule)
        case DriftDetected():
            where = (event.app, event.stage, event.service, event.instance, event.node)
            return stable_id(DRIFT, *where, event.metric, event.detector)
        case ContractViolated():
            return stable_id(VIOLATION, event.app, event.contract, event.clause)
    return ""


def found(event: Event, known: Open | None, now_ms: int) -> Finding | None:
    """Return what an event finds wrong; None when it withdraws it, or when it is silenced.

    A drift that is not confirmed yet finds nothing, nor one to the better. Explained, it is the
    same finding, with its cause.
    """
    match event:
        case QualityEvaluated() if event.verdict == "degraded" and not event.silenced_by:
            return _quality(event, known, now_ms)
        case DriftDetected() if event.status in _DRIFTED and not _better(event):
            return _drift(event, now_ms)
        case ContractViolated() if event.status == "violated":
            return _violation(event, known, now_ms)
    return None


def withdraws(event: Event) -> bool:
    """Return whether an event that finds nothing ends the finding; drifts end by themselves."""
    return not isinstance(event, DriftDetected)


def answers(remedy: RemedyDefined, finding: Finding) -> bool:
    """Return whether a finding is within the scope of a remedy.

    Where the finding names no service, instance or node, its first suspect counts. Training waits
    until a drift has a cause, unless it advises that by itself.
    """
    if remedy.stopped or remedy.on != finding.on:
        return False
    plain = ("app", "stage", "rule", "tier", "metric")
    if any(getattr(remedy, f) not in ("", getattr(finding, f)) for f in plain):
        return False
    named = ("service", "instance", "node")
    if any(getattr(remedy, f) not in ("", finding.name_of(f)) for f in named):
        return False
    if remedy.causes and finding.cause not in remedy.causes:
        return False
    if remedy.action == "retrain" and not (finding.cause or finding.retrain):
        return False
    return not remedy.min_severity or rank(finding.severity) >= rank(remedy.min_severity)


def rank(severity: str) -> int:
    """Return a severity as a number; an unknown one counts as a warning."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else 1


def _quality(event: QualityEvaluated, known: Open | None, now_ms: int) -> Finding:
    diagnosed = event.tier == DIAGNOSIS
    fact = event.findings[0] if event.findings and not diagnosed else None
    causes = event.root_causes
    return Finding(
        key=key_of(event),
        on=QUALITY,
        event_id=event.event_id,
        first=known.finding.first if known else event.event_id,
        app=event.app,
        stage=event.stage,
        service=event.service,
        instance=event.instance,
        node=event.node,
        metric=event.metric,
        rule=event.rule,
        tier=event.tier,
        severity=event.severity,
        cause=causes[0].kind if causes else "",
        suspects=_suspects((cause.kind, cause.name) for cause in causes),
        since=event.since or event.window_end,
        ends=now_ms + (FRESH_MS if diagnosed else LASTING_MS),
        bad=fact.observed if fact else None,
        good=fact.expected if fact else None,
        statistic=_statistic(fact.what) if fact else "",
        explains=event.causes[:_EXPLAINED] if diagnosed else (),
    )


def _drift(event: DriftDetected, now_ms: int) -> Finding:
    return Finding(
        key=key_of(event),
        on=DRIFT,
        event_id=event.event_id,
        first=event.causes[0] if event.status == EXPLAINED else event.event_id,
        app=event.app,
        stage=event.stage,
        service=event.service,
        instance=event.instance,
        node=event.node,
        metric=event.metric,
        rule=event.detector,
        cause=event.cause,
        since=event.since,
        until=event.until,
        ends=now_ms + FRESH_MS,
        bad=event.after,
        good=event.before,
        statistic="mean",
        events=event.events or event.width,
        retrain=event.retrain,
        sources=event.sources[:_SOURCES],
    )


def _violation(event: ContractViolated, known: Open | None, now_ms: int) -> Finding:
    worse = (part for part in event.contributions if part.share > 0)
    blamed = sorted(worse, key=lambda part: -part.share)
    names = [("service", part.service) for part in blamed]
    names += [("instance", part.instance) for part in blamed]
    return Finding(
        key=key_of(event),
        on=VIOLATION,
        event_id=event.event_id,
        first=known.finding.first if known else event.event_id,
        app=event.app,
        metric=event.metric,
        rule=f"{event.contract}/{event.clause}",
        severity=event.severity or "warning",
        suspects=_suspects(names),
        since=event.since,
        ends=now_ms + LASTING_MS,
        bad=event.observed,
        good=event.threshold,
    )


def _statistic(what: str) -> str:
    """Return the statistic that a fact is on, as `mean of latency`; empty when it is no such."""
    first, of, _ = what.partition(" of ")
    return first if of and first in STATISTICS else ""


def _suspects(named: Iterable[tuple[str, str]]) -> tuple[Suspect, ...]:
    kept = dict.fromkeys((kind, name) for kind, name in named if name)
    return tuple(Suspect(kind=kind, name=name) for kind, name in list(kept)[:_SUSPECTS])


def _better(event: DriftDetected) -> bool:
    """Return whether a metric that is known to be good or bad has changed to the better."""
    if event.metric in _BAD_WHEN_UP:
        return event.after < event.before
    return event.metric in _BAD_WHEN_DOWN and event.after > event.before

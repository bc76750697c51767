"""A ranking as an event: a verdict of tier `diagnosis`, with root causes and their evidence."""

from collections.abc import Sequence

from processors.diagnosing.ranking import MOST, Ranked
from processors.diagnosing.state import AppState, Spell
from processors.diagnosing.symptoms import Symptom
from schemas.identity import stable_id
from schemas.observing import Finding, QualityEvaluated, RootCause

TIER, RULE = "diagnosis", "root-cause"
DEGRADED, HEALTHY = "degraded", "healthy"
_MOST_EVIDENCE, _MOST_WORDS, _MOST_FINDINGS, _MOST_CAUSES = 16, 3, 8, 32
_MATERIAL = 0.2


def root_causes(order: Sequence[Ranked]) -> tuple[RootCause, ...]:
    """Return a ranking as it stands in an event."""
    return tuple(
        RootCause(
            kind=one.hypothesis.kind,
            name=one.hypothesis.name,
            score=one.score,
            since=one.since,
            why=_why(one),
            evidence=_evidence(one),
        )
        for one in order[:MOST]
    )


def differs(old: Sequence[RootCause], new: Sequence[RootCause]) -> bool:
    """Return whether a ranking says something else: other first three, or a first less sure."""
    if [(c.kind, c.name) for c in old[:1]] != [(c.kind, c.name) for c in new[:1]]:
        return True
    if {(c.kind, c.name) for c in old[:3]} != {(c.kind, c.name) for c in new[:3]}:
        return True
    return bool(new) and abs(old[0].score - new[0].score) >= _MATERIAL


def told(state: AppState, spell: Spell, order: Sequence[Ranked], now_ms: int) -> QualityEvaluated:
    """Return the verdict that tells a ranking."""
    findings = tuple(
        Finding(what=_subject(one), observed=one.after, expected=one.before)
        for one in order[0].symptoms[:_MOST_FINDINGS]
    )
    return _verdict(state, spell, DEGRADED, order[0].score, now_ms, findings)


def withdrawn(state: AppState, spell: Spell, now_ms: int) -> QualityEvaluated:
    """Return the verdict that ends a spell."""
    return _verdict(state, spell, HEALTHY, 0.0, now_ms, ())


def _verdict(
    state: AppState,
    spell: Spell,
    verdict: str,
    score: float,
    now_ms: int,
    findings: tuple[Finding, ...],
) -> QualityEvaluated:
    event_id = stable_id("diagnosis", state.app, spell.causes[0], spell.told)
    return QualityEvaluated(
        event_id=event_id,
        app=state.app,
        stage="",
        service="",
        instance="",
        metric=spell.metric,
        tier=TIER,
        rule=RULE,
        verdict=verdict,
        severity=spell.severity if verdict == DEGRADED else "info",
        score=score,
        findings=findings,
        root_causes=spell.ranking if verdict == DEGRADED else (),
        window_end=state.newest or spell.began,
        evaluated_at=now_ms,
        causes=spell.causes[:_MOST_CAUSES],
        since=spell.began,
        spell=spell.first or event_id,
    )


def _why(one: Ranked) -> str:
    words = [one.change.why] if one.change is not None else []
    words += [_moved(symptom) for symptom in one.symptoms[:_MOST_WORDS]]
    more = len(one.symptoms) - _MOST_WORDS
    return "; ".join(words) + (f"; and {more} more" if more > 0 else "")


def _moved(symptom: Symptom) -> str:
    if symptom.metric == "heartbeat":
        return f"{symptom.key[1]} is lost"
    if symptom.metric == "drift":
        return f"drift at {symptom.key[0]} {symptom.key[1]}"
    return f"{_subject(symptom)} went from {symptom.before:.4g} to {symptom.after:.4g}"


def _subject(symptom: Symptom) -> str:
    level, name, _ = symptom.key
    return f"{symptom.metric} of {level} {name}"


def _evidence(one: Ranked) -> tuple[str, ...]:
    ids = [one.change.evidence] if one.change is not None else []
    ids += [symptom.evidence for symptom in one.symptoms]
    return tuple(dict.fromkeys(i for i in ids if i))[:_MOST_EVIDENCE]

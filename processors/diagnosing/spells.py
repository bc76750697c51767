"""Spells: when something is wrong with an application, from the first verdict to the last."""

from collections.abc import Iterator
from dataclasses import dataclass

from processors.diagnosing import symptoms as s
from processors.diagnosing.state import AppState, Drifted, Open, Spell
from schemas.observing import ContractViolated, DriftDetected, QualityEvaluated

MOST_OPEN, MOST_DRIFTS, MOST_TOLD = 256, 64, 16
_GRAVITY = ("", "info", "warning", "critical")
_CONFIRMED, _EXPLAINED = "confirmed", "explained"
_INPUT_CAUSES = ("covariate", "sensor-stuck", "sensor-nil", "sensor-range", "sensor-unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnoseParams:
    """When a spell is looked at, in ms of the host's clock, and how many series are remembered.

    First `settle_ms` after it was noticed, then at least `revise_ms` later and half as much again
    as it has lasted, for `watch_ms`, since then its own windows become the past. It is over when
    nothing was wrong for `clear_ms`. A drift, which no event ends, counts for `drift_ms`.
    """

    settle_ms: int = 3_000
    revise_ms: int = 5_000
    watch_ms: int = 600_000
    clear_ms: int = 10_000
    drift_ms: int = 60_000
    look_ms: int = 1_000
    max_series: int = 1_500


def judged(state: AppState, event: QualityEvaluated, now_ms: int, params: DiagnoseParams) -> None:
    """Note a verdict of the other tiers, raised or withdrawn; silenced ones begin no spell."""
    where = (event.stage, event.service, event.instance, event.node, event.metric)
    key = "/".join((event.tier, event.rule, *where))
    if event.verdict != "degraded":
        _close(state, key)
    elif not event.silenced_by:
        since = event.window_end if event.since is None else event.since
        opened = Open(
            key=key,
            event_id=event.event_id,
            metric=event.metric,
            severity=event.severity,
            since=since,
        )
        _open(state, opened, now_ms, params)


def violated(state: AppState, event: ContractViolated, now_ms: int, params: DiagnoseParams) -> None:
    """Note a clause that is broken, or holds again."""
    key = f"contract/{event.contract}/{event.clause}"
    if event.status != "violated":
        return _close(state, key)
    opened = Open(
        key=key,
        event_id=event.event_id,
        metric=event.metric,
        severity=event.severity or "warning",
        since=event.since,
    )
    return _open(state, opened, now_ms, params)


def drifted(state: AppState, event: DriftDetected, now_ms: int, params: DiagnoseParams) -> None:
    """Note a confirmed drift: a symptom, and for a while a reason to look.

    One that is told again, as explained, takes the place of what it explains, and is no new reason.
    """
    if event.status not in (_CONFIRMED, _EXPLAINED):
        return
    one = Drifted(
        stage=event.stage,
        service=event.service,
        metric=event.metric,
        since=event.since,
        told_at=now_ms,
        cause=event.cause,
        event_id=event.event_id,
    )
    others = (old for old in state.drifts if old.event_id not in (*event.causes, one.event_id))
    state.drifts = (*others, one)[-MOST_DRIFTS:]
    if event.status == _EXPLAINED:
        return
    key = f"drift/{event.stage}/{event.service}/{event.instance}/{event.metric}"
    opened = Open(
        key=key,
        event_id=event.event_id,
        metric=event.metric,
        severity="warning",
        since=event.since,
        until=now_ms + params.drift_ms,
    )
    _open(state, opened, now_ms, params)


def _open(state: AppState, opened: Open, now_ms: int, params: DiagnoseParams) -> None:
    others = tuple(one for one in state.open if one.key != opened.key)
    state.open = (*others, opened)[-MOST_OPEN:]
    spell = state.spell
    if spell is None:
        state.spell = Spell(
            began=opened.since,
            noticed=now_ms,
            severity=opened.severity,
            metric=opened.metric,
            causes=(opened.event_id,),
            next_look=now_ms + params.settle_ms,
        )
        return
    spell.quiet_since = 0
    spell.began = min(spell.began, opened.since)
    spell.severity = max(spell.severity, opened.severity, key=_gravity)
    if opened.event_id not in spell.causes:
        spell.causes = (*spell.causes, opened.event_id)[:MOST_OPEN]
        spell.next_look = min(spell.next_look, now_ms + params.settle_ms)


def _gravity(severity: str) -> int:
    return _GRAVITY.index(severity) if severity in _GRAVITY else 1


def _close(state: AppState, key: str) -> None:
    state.open = tuple(one for one in state.open if one.key != key)


def advance(state: AppState, now_ms: int, params: DiagnoseParams) -> Spell | None:
    """Let time pass; return the spell that is over, if one is."""
    if any(0 < one.until <= now_ms for one in state.open):
        state.open = tuple(one for one in state.open if not 0 < one.until <= now_ms)
    spell = state.spell
    if spell is None or state.open:
        return None
    if spell.quiet_since == 0:
        spell.quiet_since = now_ms
    if now_ms - spell.quiet_since < params.clear_ms:
        return None
    state.spell = None
    return spell


def due(spell: Spell, now_ms: int, params: DiagnoseParams) -> bool:
    """Return whether a spell is to be looked at now."""
    young = now_ms - spell.noticed <= params.watch_ms
    return young and spell.next_look <= now_ms and spell.told < MOST_TOLD


def looked(spell: Spell, now_ms: int, params: DiagnoseParams) -> None:
    """Note that a spell was looked at."""
    spell.next_look = now_ms + max(params.revise_ms, (now_ms - spell.noticed) // 2)


def drift_symptoms(state: AppState, began: int, params: DiagnoseParams) -> Iterator[s.Symptom]:
    """Yield drifts as symptoms: of the input where they say so, else of who answers.

    Those that began much before the spell belong to another one.
    """
    for one in state.drifts:
        if one.told_at < began - params.drift_ms:
            continue
        for key in _keys(state.app, one):
            yield s.Symptom(
                key=key,
                metric="drift",
                strength=1.0,
                since=one.since,
                before=0.0,
                after=1.0,
                step=0,
                evidence=one.event_id,
            )


def _keys(app: str, one: Drifted) -> Iterator[s.Key]:
    if one.cause in _INPUT_CAUSES or s.family_of(one.metric) == s.INPUT:
        yield ("stage", one.stage, s.INPUT) if one.stage else ("app", app, s.INPUT)
    elif one.service:
        yield "service", one.service, s.family_of(one.metric)

"""What select takes note of: observations become profiles, verdicts become triggers."""

from dataclasses import replace
from typing import Any

from processors.selecting.profiles import ClassSeries, Profile, add, after, newest_end
from processors.selecting.state import CAUSES, CLASSES, CONDITIONS, AppState, Trigger
from processors.vocabulary import CLASS_ACCURACY, CONDITION_ACCURACY, CONDITION_AGREEMENT
from schemas.base import Event
from schemas.observing import ContractViolated, DriftDetected, Observation, QualityEvaluated

_OF_INSTANCES = ("latency", "confidence", "energy", "cost")
_LEAST_CLASS_WINDOWS = 3
_UNDER = {"accuracy": CONDITION_ACCURACY, "agreement": CONDITION_AGREEMENT}
_BAD_WHEN_UP = ("error", "failure")
_BAD_WHEN_DOWN = ("accuracy", "confidence", "agreement")
_RANK = (
    "drift",
    "violation",
    "quality",
    "asked",
    "plan",
    "improvement",
    "exploration",
    "catalogue",
)


def take(state: AppState, event: Event, keep: int) -> None:
    """Apply one event to the state of its application; `keep` bounds the windows per series."""
    match event:
        case Observation():
            _observe(state, event, keep)
        case DriftDetected():
            _drift(state, event)
        case ContractViolated():
            _violation(state, event)
        case QualityEvaluated():
            _quality(state, event)


def newest(state: AppState) -> int:
    """Return the newest event time (ms) that any profile of the application has seen."""
    series = [state.answers, state.responses]
    series += [s for profile in state.profiles for s in (profile.accuracy, profile.latency)]
    return max(newest_end(one) for one in series)


def unjudged(state: AppState) -> int:
    """Return from when (event time, ms) what is observed was not compared by a trial yet."""
    return max(state.since, state.judged) or newest(state)


def forget(state: AppState, since: int) -> None:
    """Drop accuracy that was observed before `since` (ms): it is of another concept.

    Where none was observed since, the last known stays.
    """
    if not state.known_since(since):
        return
    state.answers = after(state.answers, since)
    state.profiles = tuple(
        replace(
            profile,
            accuracy=after(profile.accuracy, since),
            agreement=after(profile.agreement, since),
            confidence=after(profile.confidence, since),
            classes=tuple(replace(c, accuracy=after(c.accuracy, since)) for c in profile.classes),
            conditions=tuple(
                replace(c, accuracy=after(c.accuracy, since), agreement=after(c.agreement, since))
                for c in profile.conditions
            ),
        )
        for profile in state.profiles
    )


def raise_trigger(state: AppState, trigger: Trigger) -> None:
    """Add a reason for a selection to what is pending: the graver kind gives the words."""
    present = state.trigger
    if present is None:
        state.trigger = trigger
        return
    graver = min(present, trigger, key=lambda t: _RANK.index(t.kind))
    causes = present.causes + tuple(c for c in trigger.causes if c not in present.causes)
    state.trigger = replace(
        graver, since=max(present.since, trigger.since), causes=causes[-CAUSES // 2 :]
    )


def _observe(state: AppState, seen: Observation, keep: int) -> None:
    if not seen.final or seen.count <= 0:
        return
    if not seen.service:
        if seen.metric == "accuracy" and not seen.stage:
            state.answers = add(state.answers, seen, keep)
        elif seen.metric == "response_latency":
            state.responses = add(state.responses, seen, keep)
    elif seen.metric.startswith(CLASS_ACCURACY):
        _observe_class(state, seen, keep)
    elif seen.metric.startswith(tuple(_UNDER.values())):
        _observe_condition(state, seen, keep)
    elif seen.metric == "accuracy" and not seen.instance:
        state.labelled = True
        profile = state.profile(seen.service)
        _store(state, replace(profile, accuracy=add(profile.accuracy, seen, keep)))
    elif seen.metric in _OF_INSTANCES and seen.instance:
        profile = state.profile(seen.service)
        more: Any = {seen.metric: add(getattr(profile, seen.metric), seen, keep)}
        _store(state, replace(profile, **more))
    elif seen.metric == "agreement" and not seen.instance:
        profile = state.profile(seen.service)
        _store(state, replace(profile, agreement=add(profile.agreement, seen, keep)))


def _observe_class(state: AppState, seen: Observation, keep: int) -> None:
    label = seen.metric.removeprefix(CLASS_ACCURACY)
    state.classes = tuple(sorted({*state.classes, label})[:CLASSES])
    if label not in state.classes:
        return
    profile = state.profile(seen.service)
    series = add(profile.of_class(label), seen, max(_LEAST_CLASS_WINDOWS, keep // 5))
    rest = [c for c in profile.classes if c.label != label]
    known = sorted([*rest, ClassSeries(label=label, accuracy=series)], key=lambda c: c.label)
    _store(state, replace(profile, classes=tuple(c for c in known if c.label in state.classes)))


def _observe_condition(state: AppState, seen: Observation, keep: int) -> None:
    """Keep what was observed under a condition; of too many those that were seen last stay."""
    name, begin = next(pair for pair in _UNDER.items() if seen.metric.startswith(pair[1]))
    profile = state.profile(seen.service)
    known = profile.under(seen.metric.removeprefix(begin))
    series = add(getattr(known, name), seen, max(_LEAST_CLASS_WINDOWS, keep // 5))
    more: Any = {name: series}
    rest = [c for c in profile.conditions if c.condition != known.condition]
    kept = sorted([*rest, replace(known, **more)], key=lambda c: (c.newest, c.condition))
    named = sorted(kept[-CONDITIONS:], key=lambda c: c.condition)
    _store(state, replace(profile, conditions=tuple(named)))


def _store(state: AppState, profile: Profile) -> None:
    rest = [p for p in state.profiles if p.service != profile.service]
    state.profiles = tuple(sorted([*rest, profile], key=lambda p: p.service))


def _drift(state: AppState, seen: DriftDetected) -> None:
    if seen.status != "confirmed" or seen.since <= state.judged:
        return
    if seen.service and seen.service not in state.services:
        return
    where = seen.service or "the application"
    words = f"{seen.metric} of {where} went from {seen.before:.3f} to {seen.after:.3f}"
    if _worse(seen):
        trigger = Trigger(
            kind="drift", reason=f"drift: {words}", since=seen.since, causes=(seen.event_id,)
        )
        raise_trigger(state, trigger)
    elif seen.service and seen.metric in ("error", "accuracy") and seen.after != seen.before:
        better = f"improvement: {words}"
        raise_trigger(
            state,
            Trigger(kind="improvement", reason=better, since=seen.since, causes=(seen.event_id,)),
        )


def _worse(seen: DriftDetected) -> bool:
    if seen.metric in _BAD_WHEN_UP:
        return seen.after > seen.before
    return seen.metric in _BAD_WHEN_DOWN and seen.after < seen.before


def _violation(state: AppState, seen: ContractViolated) -> None:
    clause = f"{seen.contract}/{seen.clause}"
    rest = tuple(name for name in state.violated if name != clause)
    if seen.status != "violated":
        state.violated = rest
        if not rest:
            state.futile = 0
            if state.trigger is not None and state.trigger.kind == "violation" and not state.trial:
                state.trigger = None
        return
    state.violated = tuple(sorted((*rest, clause)))
    if seen.window_start > state.judged:
        words = f"{clause} is violated: {seen.metric} {seen.observed:.3f}, not {seen.operator}"
        raise_trigger(
            state,
            Trigger(
                kind="violation",
                reason=f"{words} {seen.threshold:g}",
                since=seen.window_start,
                causes=(seen.event_id,),
            ),
        )


def _quality(state: AppState, seen: QualityEvaluated) -> None:
    grave = seen.verdict == "degraded" and seen.severity == "critical"
    if not grave or seen.silenced_by or seen.window_end <= state.judged:
        return
    if seen.service and seen.service not in state.services:
        return
    where = seen.service or "the application"
    reason = f"quality: rule {seen.rule} judged {seen.metric} of {where} degraded"
    raise_trigger(
        state,
        Trigger(kind="quality", reason=reason, since=seen.window_end, causes=(seen.event_id,)),
    )

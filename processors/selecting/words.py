"""Selections as events, with their reasons in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from processors.selecting.choice import PINNED, Choice
from processors.selecting.ensembles import Candidate, Scored
from processors.selecting.estimating import Evidence
from processors.selecting.parameters import SelectParams
from processors.selecting.state import CAUSES, EXPLAIN, MEMBER, SHADOW, AppState
from processors.selecting.voting import log_odds
from processors.selecting.world import AppView
from schemas.decisions import (
    Alternative,
    ClassWeight,
    ClauseUnmet,
    EnsembleMember,
    EnsembleSelected,
    PlacementRequested,
    ScorePart,
    ServiceDemand,
)
from schemas.identity import stable_id
from schemas.records import SourceRange

_ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be announced: the ensemble, why, and what it was compared with."""

    scored: Scored
    choice: Choice
    reason: str
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is announced, with the catalogue offsets in force.

    `elsewhere` are the copies that other ensembles of the application need of services.
    """

    now_ms: int
    catalogue: tuple[SourceRange, ...] = ()
    elsewhere: Mapping[str, int] = field(default_factory=dict)


def members_of(scored: Scored, labels: Sequence[str]) -> tuple[EnsembleMember, ...]:
    """Return the members of an ensemble as its event says them; `labels` are of its weights."""
    nothing: tuple[tuple[float, ...], ...] = ((),) * len(scored.members)
    heard = scored.class_weights or nothing
    orders = scored.orders or (0,) * len(scored.members)
    nodes = scored.places or ("",) * len(scored.members)
    return tuple(
        EnsembleMember(
            service=member.service,
            weight=round(weight, 6),
            role=MEMBER,
            stage=member.stage,
            order=order,
            class_weights=tuple(
                ClassWeight(label=label, weight=round(value, 6))
                for label, value in zip(labels, votes, strict=False)
            ),
            node=node,
        )
        for member, weight, votes, order, node in zip(
            scored.members, scored.weights, heard, orders, nodes, strict=True
        )
    )


def explaining(candidate: Candidate | None, classes: int) -> tuple[EnsembleMember, ...]:
    """Return the member that is asked when an answer shall be explained, if one is needed."""
    if candidate is None:
        return ()
    weight = float(log_odds(np.array([candidate.accuracy]), max(2, classes))[0])
    return (
        EnsembleMember(
            service=candidate.service, weight=round(weight, 6), role=EXPLAIN, stage=candidate.stage
        ),
    )


def announce(
    state: AppState, view: AppView, selection: Selection, at: Moment
) -> tuple[EnsembleSelected, PlacementRequested]:
    """Return the events of the state's present generation: the ensemble and what it demands."""
    scored, found = selection.scored, selection.choice.found
    others = [other for other in found.ranked if other.services != scored.services]
    shadows = tuple(EnsembleMember(service=s, weight=0.0, role=SHADOW) for s in state.shadows)
    ensemble = EnsembleSelected(
        event_id=stable_id("select", "ensemble", view.identity, *_named(state)),
        app=state.app,
        contract=view.contract,
        generation=state.generation,
        algorithm=found.algorithm,
        combine="weighted_vote",
        members=(*state.members, *shadows),
        predicted_latency_ms=scored.latency_ms,
        predicted_accuracy=scored.accuracy,
        predicted_cost=scored.cost,
        score=scored.value,
        gap=found.gap,
        alternatives=tuple(_alternative(other) for other in others[:_ALTERNATIVES]),
        reason=selection.reason,
        selected_at=at.now_ms,
        catalogue=at.catalogue,
        causes=selection.causes[:CAUSES],
        scores=_parts(scored),
        unmet=_unmet(scored),
        pinned=found.algorithm == PINNED,
        consumer=state.consumer,
    )
    serving = "+".join(state.services) or "nothing"
    whose = f"{state.app} for {state.consumer}" if state.consumer else state.app
    short = f"selection {state.generation} of {whose}: {serving} serves"
    if state.shadows:
        short += f", {', '.join(state.shadows)} on trial"
    return ensemble, demand(state, view, at, short, (ensemble.event_id,), view.identity)


def none_of_its_own(state: AppState, now_ms: int) -> EnsembleSelected:
    """Return that a consumer has no ensemble of its own any more; the application's serves it."""
    return EnsembleSelected(
        event_id=stable_id("select", "retired", *_named(state), now_ms),
        app=state.app,
        contract="",
        generation=state.generation,
        algorithm="",
        combine="weighted_vote",
        predicted_latency_ms=0.0,
        predicted_accuracy=0.0,
        predicted_cost=0.0,
        score=0.0,
        gap=0.0,
        reason=f"{state.consumer} has no contract of its own with {state.app} any more",
        selected_at=now_ms,
        consumer=state.consumer,
    )


def demand(
    state: AppState,
    view: AppView | None,
    at: Moment,
    reason: str,
    causes: tuple[str, ...],
    identity: str,
) -> PlacementRequested:
    """Return the request for copies of every service, 0 for those that are not needed."""
    wanted = dict.fromkeys(state.demanded, 0)
    for service in view.services if view else ():
        in_use = service.service in (*state.services, *state.explaining)
        shadow = service.service in state.shadows
        own = max(1, service.replicas) if in_use else int(shadow)
        wanted[service.service] = max(own, at.elsewhere.get(service.service, 0))
    return PlacementRequested(
        event_id=stable_id("select", "demand", identity, *_named(state)),
        kind="ensemble",
        subject=state.app,
        app=state.app,
        demands=tuple(ServiceDemand(service=s, replicas=n) for s, n in sorted(wanted.items())),
        reason=reason,
        requested_at=at.now_ms,
        causes=causes,
    )


def _parts(scored: Scored) -> tuple[ScorePart, ...]:
    return tuple(
        ScorePart(objective=p.objective, value=p.value, scaled=p.scaled, weight=p.weight)
        for p in scored.parts
    )


def _unmet(scored: Scored) -> tuple[ClauseUnmet, ...]:
    return tuple(
        ClauseUnmet(clause=u.clause, threshold=u.threshold, predicted=u.predicted)
        for u in scored.unmet
    )


def _named(state: AppState) -> tuple[str | int, ...]:
    """Return what tells this selection from all others of the application."""
    own = (state.consumer,) if state.consumer else ()
    return (state.app, *own, state.generation)


def first_words(choice: Choice) -> str:
    """Say why the first ensemble was chosen."""
    best = choice.best
    return f"first selection, by declared profiles of {choice.compared} services: {describe(best)}"


def trial_words(reason: str, shadows: tuple[str, ...], params: SelectParams) -> str:
    """Say that candidates are being tried."""
    return (
        f"{reason}; trial: {', '.join(shadows)} shadow the ensemble until each has "
        f"{params.trial_min} judged results, or has served for {params.trial_most_ms / 1000:g} s"
    )


def missed_words(absent: tuple[str, ...], params: SelectParams) -> str:
    """Say who did not serve during a trial; nothing when all did."""
    if not absent:
        return ""
    return f"; did not serve within {params.serve_ms / 1000:g} s: {', '.join(absent)}"


def kept_words(reason: str, choice: Choice, least_gain: float) -> str:
    """Say why the ensemble stays."""
    best, present = choice.best, choice.present
    if not choice.others_are_best:
        why = f"{_names(present)} is still the best of {choice.compared} services"
    else:
        gain = best.value - present.value
        why = (
            f"{_names(present)} stays: {_names(best)} would gain {gain:.3f}, "
            f"less than {least_gain:g}"
        )
    return f"{reason}; {why}; {describe(present)}{_known(choice)}"


def switched_words(reason: str, choice: Choice) -> str:
    """Say what replaces what, and on which evidence."""
    best, present = choice.best, choice.present
    before = f"{_names(present)} (score {present.value:.3f})" if present.members else "nothing"
    return f"{reason}; {describe(best)}, replacing {before}{_known(choice)}"


def describe(scored: Scored) -> str:
    """Say what an ensemble promises."""
    short = "".join(
        f", not {one.clause} ({one.predicted:.3f} for {one.threshold:g})" for one in scored.unmet
    )
    return (
        f"{_names(scored)} promises accuracy {scored.accuracy:.3f}, latency "
        f"{scored.latency_ms:.1f} ms, cost {scored.cost:.2f}: score {scored.value:.3f}{short}"
    )


def _known(choice: Choice) -> str:
    seen = [one for one in choice.evidence if one.count]
    words = "; observed: " + ", ".join(_one(one) for one in seen) if seen else ""
    if choice.unknown:
        words += f"; left out for want of evidence: {', '.join(choice.unknown)}"
    return words


def _one(seen: Evidence) -> str:
    if not seen.labels.count:
        return f"{seen.service} {seen.results.mean:.1f} ms (n={seen.results.count})"
    labels = seen.labels
    return f"{seen.service} {labels.mean:.2f}±{labels.error:.2f} (n={labels.count})"


def _names(scored: Scored) -> str:
    return "+".join(scored.services) or "nothing"


def _alternative(other: Scored) -> Alternative:
    return Alternative(
        services=other.services,
        score=other.value,
        accuracy=other.accuracy,
        latency_ms=other.latency_ms,
        cost=other.cost,
    )

"""Selections as events, with their reasons in plain words."""

from dataclasses import dataclass

from processors.selecting.choice import Choice, Evidence
from processors.selecting.ensembles import Scored
from processors.selecting.state import CAUSES, AppState
from processors.selecting.world import AppView
from schemas.catalogue import Catalogue
from schemas.decisions import (
    Alternative,
    EnsembleMember,
    EnsembleSelected,
    PlacementRequested,
    ServiceDemand,
)
from schemas.identity import stable_id

_ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be announced: the ensemble, why, and what it was compared with."""

    scored: Scored
    choice: Choice
    reason: str
    causes: tuple[str, ...]


def announce(
    state: AppState, view: AppView, selection: Selection, now_ms: int, catalogue: Catalogue
) -> tuple[EnsembleSelected, PlacementRequested]:
    """Return the events of the state's present generation: the ensemble and what it demands."""
    scored, found = selection.scored, selection.choice.found
    others = [other for other in found.ranked if other.services != scored.services]
    shadows = tuple(EnsembleMember(service=s, weight=0.0, role="shadow") for s in state.shadows)
    ensemble = EnsembleSelected(
        event_id=stable_id("select", "ensemble", view.identity, state.app, state.generation),
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
        selected_at=now_ms,
        catalogue=catalogue.sources(),
        causes=selection.causes[:CAUSES],
    )
    serving = "+".join(state.services) or "nothing"
    short = f"selection {state.generation} of {state.app}: {serving} serves"
    if state.shadows:
        short += f", {', '.join(state.shadows)} on trial"
    return ensemble, demand(state, view, now_ms, short, (ensemble.event_id,), view.identity)


def demand(
    state: AppState,
    view: AppView | None,
    now_ms: int,
    reason: str,
    causes: tuple[str, ...],
    identity: str,
) -> PlacementRequested:
    """Return the request for copies of every service, 0 for those that are not needed."""
    wanted = dict.fromkeys(state.demanded, 0)
    for service in view.services if view else ():
        in_use = service.service in state.services
        shadow = service.service in state.shadows
        wanted[service.service] = max(1, service.replicas) if in_use else int(shadow)
    return PlacementRequested(
        event_id=stable_id("select", "demand", identity, state.app, state.generation),
        kind="ensemble",
        subject=state.app,
        app=state.app,
        demands=tuple(ServiceDemand(service=s, replicas=n) for s, n in sorted(wanted.items())),
        reason=reason,
        requested_at=now_ms,
        causes=causes,
    )


def first_words(choice: Choice) -> str:
    """Say why the first ensemble was chosen."""
    best = choice.best
    return f"first selection, by declared profiles of {choice.compared} services: {describe(best)}"


def trial_words(reason: str, shadows: tuple[str, ...], least: int, wait_ms: int) -> str:
    """Say that candidates are being tried."""
    return (
        f"{reason}; trial: {', '.join(shadows)} shadow the ensemble until each has {least} "
        f"judged results, for {2 * wait_ms / 1000:g} s at most"
    )


def kept_words(reason: str, choice: Choice, least_gain: float) -> str:
    """Say why the ensemble stays."""
    best, present = choice.best, choice.present
    if best.services == present.services:
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
    short = "" if scored.shortfall <= 0 else ", which does not meet the contract"
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

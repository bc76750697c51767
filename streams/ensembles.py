"""Ensembles as commands show and change them: policies of selection, and algorithms compared. Pure.

A comparison rests on what is registered and observed: the observations that the topic still holds
are taken as select takes them, and every algorithm is asked about the same profiles.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from processors.errors import ProcessorError
from processors.selecting import wishes
from processors.selecting.choice import Choice, choose
from processors.selecting.ensembles import Candidate
from processors.selecting.estimating import candidates_of, caution_of, evidence_of, under
from processors.selecting.own import algorithms
from processors.selecting.parameters import SelectParams
from processors.selecting.profiles import Series, Summary, by_node, parted, summary
from processors.selecting.proposals import Selector
from processors.selecting.state import MEMBER, AppState
from processors.selecting.triggers import take
from processors.selecting.world import AppView, Views
from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.records import KeyValue
from schemas.registrations import (
    ApplicationRegistered,
    ContractRegistered,
    InstanceReported,
    PolicySelected,
)
from streams.errors import RegistrationError
from streams.registration import unknown

PARTS = ("node", "variant", "instance")
"""Of what the latency of a service is told apart."""


def selected(catalogue: Catalogue, app: str, consumer: str) -> EnsembleSelected:
    """Return the ensemble in force; raises RegistrationError when there is none."""
    key = "/".join(filter(None, (app, consumer)))
    known = catalogue.of(EnsembleSelected)
    if key not in known:
        raise unknown("ensemble of", key, known)
    return known[key]


@dataclass(frozen=True, slots=True)
class Promise:
    """A clause by which an ensemble is judged before it serves, and what it is predicted to do.

    `spare` is how far the prediction is on the right side of the threshold, below 0 where the
    clause is not met; latencies in ms. Both are None for a clause that is met where the selection
    does not tell by how much.
    """

    clause: str
    threshold: float
    predicted: float | None
    spare: float | None
    met: bool


def promises(found: EnsembleSelected, contracts: Iterable[ContractRegistered]) -> list[Promise]:
    """Return the clauses that a selection was held to, those unmet first.

    `contracts` are those of the application as they were then. Clauses on single services and on
    what cannot be predicted bind no selection; a selection of nobody was held to none.
    """
    if not any(member.role == MEMBER for member in found.members):
        return []
    valid = wishes.valid(contracts, found.selected_at)
    concerned = wishes.concerning(valid, found.consumer)
    each = [(clause, one.contract) for one in concerned for clause in one.clauses]
    bounds = {b.clause: b for pair in each if (b := wishes.bound_of(*pair)) is not None}
    told = {
        one.clause: Promise(
            one.clause, one.threshold, one.predicted, -abs(one.predicted - one.threshold), False
        )
        for one in found.unmet
    }
    for name in bounds.keys() - told.keys():
        value, threshold = _predicted(found, bounds[name].what), bounds[name].threshold
        spare = None if value is None else abs(value - threshold)
        told[name] = Promise(name, threshold, value, spare, True)
    return sorted(told.values(), key=lambda one: (one.met, one.clause))


def _predicted(found: EnsembleSelected, what: str) -> float | None:
    """Return what a selection predicts; None where it does not tell: parts are means over stages.

    Of a percentile, confidence and classes it tells what they are only as parts of its score.
    """
    if what in ("accuracy", "latency"):
        return found.predicted_accuracy if what == "accuracy" else found.predicted_latency_ms
    stages = {member.stage for member in found.members if member.role == MEMBER}
    part = "latency" if what == "latency_high" else what
    values = [one.value for one in found.scores if one.objective == part]
    return values[0] if values and len(stages) == 1 else None


def policy(
    catalogue: Catalogue,
    scope: str,
    algorithm: str | None,
    told: Mapping[str, str],
    unset: Iterable[str],
    now_ms: int,
) -> PolicySelected:
    """Return the policy of a scope with another algorithm or other parameters; the rest stays."""
    known = catalogue.get(PolicySelected, scope)
    present = {p.key: p.value for p in known.parameters} if known else {}
    kept = {k: v for k, v in {**present, **told}.items() if k not in set(unset)}
    try:
        caution_of(kept)
    except ProcessorError as error:
        raise RegistrationError(str(error)) from error
    parameters = tuple(KeyValue(key=key, value=value) for key, value in sorted(kept.items()))
    name = algorithm if algorithm is not None else (known.algorithm if known else "")
    return PolicySelected(
        scope=scope,
        component=wishes.SCOPE,
        algorithm=name,
        parameters=parameters,
        mode=known.mode if known else "",
        selected_at=now_ms,
        event_id=stable_id("policy", scope, name, repr(parameters), now_ms),
    )


def pin(
    catalogue: Catalogue, app: str, consumer: str, services: Sequence[str], now_ms: int
) -> PolicySelected:
    """Return the policy that lets these services answer; raises RegistrationError for strangers."""
    view = viewed(catalogue, app, consumer, now_ms, {})
    names = {service.service for service in view.services}
    for name in services:
        if name not in names:
            raise unknown(f"service of {app}", name, names)
    scope = wishes.scopes(app, consumer)[0]
    return policy(catalogue, scope, None, {wishes.PIN: ",".join(services)}, (), now_ms)


def unpin(catalogue: Catalogue, app: str, consumer: str, now_ms: int) -> PolicySelected:
    """Return the policy without pinned services; raises RegistrationError where none are."""
    scope = wishes.scopes(app, consumer)[0]
    known = catalogue.get(PolicySelected, scope)
    if known is None or wishes.PIN not in {p.key for p in known.parameters}:
        raise RegistrationError(f"nothing is pinned by {scope}")
    return policy(catalogue, scope, None, {}, (wishes.PIN,), now_ms)


def viewed(
    catalogue: Catalogue, app: str, consumer: str, now_ms: int, others: Mapping[str, Selector]
) -> AppView:
    """Return an application as select sees it; raises RegistrationError where it is not there."""
    if catalogue.get(ApplicationRegistered, app) is None:
        raise unknown("application", app, catalogue.of(ApplicationRegistered))
    view = Views(algorithms(others)).of(app, catalogue, now_ms, consumer)
    if view is None:
        raise RegistrationError(f"{consumer} has no ensemble of its own with {app}: no contract")
    return view


def observed(view: AppView, seen: Iterable[Observation]) -> AppState:
    """Return the state that observations make of an application, as select would keep it."""
    state = AppState(app=view.app, consumer=view.consumer)
    for one in seen:
        take(state, one, SelectParams().windows)
    return state


def profiled(
    view: AppView, seen: Iterable[Observation], instances: Mapping[str, InstanceReported]
) -> list[dict[str, Any]]:
    """Return what is known of each service, and of its latency by parts, with how sure that is.

    Parts are the nodes, the instances, and the variants that instances say they run; of one that
    has left the catalogue the variant is not known any more. Accuracies and confidences are shares,
    latencies ms; None is what was never observed.
    """
    state = observed(view, seen)
    if not view.services:
        return []
    evidence = [evidence_of(state, s.service, 0) for s in view.services]
    variants = {name: variant_of(one) for name, one in instances.items()}
    found: list[dict[str, Any]] = []
    for one in candidates_of(state, view, view.services, evidence):
        profile = state.profile(one.service)
        sure = summary(profile.confidence)
        told = {
            "accuracy": one.accuracy,
            "error": one.error,
            "judged": one.count,
            "confidence": sure.mean if sure.count else None,
            "calibration": one.calibration if sure.count and one.count else None,
            "cost": one.cost,
            "energy_j": one.energy_j or None,
            "classes": {c.label: summary(c.accuracy).mean for c in profile.classes},
        }
        bare = {"service": one.service, **dict.fromkeys(PARTS, "")}
        found.append(bare | told | _latency(summary(profile.latency)))
        found += [bare | part for part in _parts(profile.latency, variants)]
    return found


def conditioned(view: AppView, seen: Iterable[Observation]) -> list[dict[str, Any]]:
    """Return how often each service is right, and agrees with answers, under each condition.

    Conditions are those that were observed of any service, and those of which a contract asks
    something. Accuracies, as selections take them, agreements and errors are shares; None is what
    was never observed.
    """
    state = observed(view, seen)
    if not view.services:
        return []
    known = {one.condition for profile in state.profiles for one in profile.conditions}
    evidence = [evidence_of(state, s.service, 0) for s in view.services]
    return [
        {"service": one.service, "condition": name, **_under(state, one, name)}
        for one in candidates_of(state, view, view.services, evidence)
        for name in sorted(known.union(view.conditions))
    ]


def _under(state: AppState, one: Candidate, condition: str) -> dict[str, Any]:
    right = under(state, one, condition)
    series = state.profile(one.service).under(condition)
    judged, agreed = summary(series.accuracy), summary(series.agreement)
    return {
        "accuracy": right.mean,
        "error": right.error,
        "judged": judged.count,
        "agreement": agreed.mean if agreed.count else None,
        "agreement_error": agreed.error if agreed.count else None,
        "compared": agreed.count,
    }


def variant_of(instance: InstanceReported) -> str:
    """Return which variant of its service an instance runs, by its heartbeat; '' for none."""
    return next((each.value for each in instance.metadata if each.key == "variant"), "")


def _parts(latency: Series, variants: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the latency of each node, of each variant, and of each instance with both."""
    where = {span.source: span.node for span in latency.spans}
    for node, seen in by_node(latency).items():
        yield {"node": node, **_latency(seen)}
    for variant, seen in parted(latency, lambda span: variants.get(span.source, "")).items():
        yield {"variant": variant, **_latency(seen)}
    for source, seen in parted(latency, lambda span: span.source).items():
        own = {"instance": source, "node": where[source], "variant": variants.get(source, "")}
        yield {**own, **_latency(seen)}


def _latency(seen: Summary) -> dict[str, Any]:
    known = seen.count > 0
    return {
        "results": seen.count,
        "p50_ms": seen.median if known else None,
        "p95_ms": seen.high if known else None,
        "p99_ms": seen.top if known else None,
        "p95_error_ms": seen.unsure if known else None,
    }


def compared(
    catalogue: Catalogue,
    view: AppView,
    seen: Iterable[Observation],
    names: Sequence[str],
    others: Mapping[str, Selector],
) -> dict[str, Choice]:
    """Return what each algorithm would select now; raises RegistrationError for unknown ones."""
    known = algorithms(others)
    if strangers := [name for name in names if name not in known]:
        raise unknown("algorithm", strangers[0], known)
    params = SelectParams()
    state = observed(view, seen)
    standing = catalogue.get(EnsembleSelected, "/".join(filter(None, (view.app, view.consumer))))
    state.members = standing.members if standing is not None else ()
    found = {}
    for name in names or known:
        asked = replace(view, chosen=replace(view.chosen, name=name, pinned=()))
        choice = choose(state, asked, 0, params.known, known)
        if choice is not None:
            found[name] = choice
    return found

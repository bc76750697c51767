"""From what was observed and declared to candidates and an objective: what a search is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

from processors.errors import InvalidParameters
from processors.selecting import wishes
from processors.selecting.ensembles import Candidate, Objective, Place
from processors.selecting.profiles import Series, Summary, by_node, summary
from processors.selecting.proposals import number
from processors.selecting.state import AppState
from processors.selecting.world import AppView
from schemas.registrations import ServiceRegistered

_DECLARED_COUNTS = 30
_POOLED_COUNTS = 5
_CLASS_COUNTS = 5
_CONDITION_COUNTS = 5
_LEAST_RESULTS = 5
_AGREED_SHARE = 0.25
"""Of so many judged results one without a label, but with an answer to agree with, is worth."""
_CAUTION = 0.25


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was observed of one service in the present concept.

    `labels` sums up its accuracy, `results` its latency; `count` is the number that decides
    whether it is known: labelled results; where the application has no labels those that could be
    compared with an answer, and where there is nothing to compare, results.
    """

    service: str
    labels: Summary
    results: Summary
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its standard error, drawn towards what else is known from `count` events."""

    mean: float
    error: float
    count: int


def evidence_of(state: AppState, service: str, since: int) -> Evidence:
    """Return what was observed of a service in windows that began at `since` (ms) or later."""
    profile = state.profile(service)
    labels, results = summary(profile.accuracy, since), summary(profile.latency, since)
    if state.labelled:
        count = labels.count
    elif any(each.agreement.spans for each in state.profiles):
        count = summary(profile.agreement, since).count
    else:
        count = results.count
    return Evidence(service, labels, results, count)


def labels_of(state: AppState, view: AppView) -> tuple[str, ...]:
    """Return the classes of an application: declared, observed, or those something is asked of."""
    return tuple(dict.fromkeys((*view.labels, *state.classes, *(label for label, _ in view.asked))))


def candidates_of(
    state: AppState,
    view: AppView,
    services: Sequence[ServiceRegistered],
    evidence: Sequence[Evidence],
    *,
    places: bool = False,
) -> list[Candidate]:
    """Return what is known of services: observed values, drawn towards what else is known.

    Accuracy is (n * observed + k * prior) / (n + k), its standard error that of a share observed
    n + k times: the prior is the declared accuracy with k = 30, after a change of concept the mean
    of all that was observed since, with k = 5. Where no truth is known, agreement with the answers
    counts for a quarter. The accuracy of a class, or under a condition, is drawn towards that over
    all with k = 5.
    """
    seen = {e.service: _judged(state, e) for e in evidence}
    total = sum(seen[s.service].count for s in services)
    right = sum(seen[s.service].count * seen[s.service].mean for s in services)
    changed = bool(state.since and total)
    stated = [s.accuracy for s in services if s.accuracy is not None]
    usual = sum(stated) / len(stated) if stated else 0.5
    slowest = max((s.latency_ms or 0.0 for s in services), default=0.0)
    labels = labels_of(state, view)
    made = []
    for service in services:
        declared = usual if service.accuracy is None else service.accuracy
        prior, k = (right / total, _POOLED_COUNTS) if changed else (declared, _DECLARED_COUNTS)
        judged = seen[service.service]
        accuracy = (judged.count * judged.mean + k * prior) / (judged.count + k)
        made.append(_candidate(state, service, accuracy, judged.count, k, slowest, labels))
    if asked := view.conditions:
        shares = [tuple(under(state, c, name).mean for name in asked) for c in made]
        made = [replace(c, under=known) for c, known in zip(made, shares, strict=True)]
    return [replace(c, places=_places(state, c)) for c in made] if places else made


def _judged(state: AppState, seen: Evidence) -> Summary:
    """Return what is known of accuracy: by the truth, else by agreement with the answers."""
    if state.labelled or seen.labels.count:
        return seen.labels
    return _agreed(state.profile(seen.service).agreement, state.known_since(state.since))


def _agreed(series: Series, since: int) -> Summary:
    """Return agreement with the answers as that much knowledge of accuracy as it is worth."""
    agreed = summary(series, since)
    return replace(agreed, count=int(agreed.count * _AGREED_SHARE))


def under(state: AppState, candidate: Candidate, condition: str) -> Share:
    """Return how often a candidate is right under a condition, by the truth, else by agreement.

    Drawn towards its accuracy over all, which is all that is known where nothing was observed.
    """
    since, k = state.known_since(state.since), _CONDITION_COUNTS
    known = state.profile(candidate.service).under(condition)
    seen = summary(known.accuracy, since)
    if not (state.labelled or seen.count):
        seen = _agreed(known.agreement, since)
    mean = (seen.count * seen.mean + k * candidate.accuracy) / (seen.count + k)
    return Share(mean, sqrt(max(0.0, mean * (1.0 - mean)) / (seen.count + k)), seen.count)


def _candidate(
    state: AppState,
    service: ServiceRegistered,
    accuracy: float,
    count: int,
    k: int,
    slowest: float,
    labels: tuple[str, ...],
) -> Candidate:
    profile = state.profile(service.service)
    results = summary(profile.latency)
    declared = slowest if service.latency_ms is None else service.latency_ms
    observed = results.count >= _LEAST_RESULTS
    sure = summary(profile.confidence, state.known_since(state.since))
    energy, cost = summary(profile.energy), summary(profile.cost)
    return Candidate(
        service=service.service,
        stage=service.stage,
        accuracy=accuracy,
        latency_ms=results.mean if observed else declared,
        latency_high_ms=results.high if observed else declared,
        cost=cost.mean if cost.count else service.cost,
        error=sqrt(max(0.0, accuracy * (1.0 - accuracy)) / (count + k)),
        latency_error_ms=results.unsure if observed else 0.0,
        confidence=sure.mean if sure.count else accuracy,
        calibration=sure.mean - accuracy if sure.count and count else 0.0,
        energy_j=energy.mean if energy.count else 0.0,
        rates=_rates(state, service.service, accuracy, labels),
        count=count,
        explainable=explainable(service),
    )


def _rates(
    state: AppState, service: str, accuracy: float, labels: tuple[str, ...]
) -> tuple[float, ...]:
    profile = state.profile(service)
    if not profile.classes:
        return ()
    found, since = [], state.known_since(state.since)
    for label in labels:
        seen = summary(profile.of_class(label), since)
        k = _CLASS_COUNTS
        found.append((seen.count * seen.mean + k * accuracy) / (seen.count + k))
    return tuple(found)


def explainable(service: ServiceRegistered) -> bool:
    """Return whether a service explains its answers: its environment says WEIR_EXPLAINABLE."""
    return any(
        entry.key == "WEIR_EXPLAINABLE" and entry.value.lower() in ("1", "true", "yes")
        for entry in service.environment
    )


def _places(state: AppState, candidate: Candidate) -> tuple[Place, ...]:
    nodes = by_node(state.profile(candidate.service).latency)
    return tuple(
        Place(
            place=node,
            latency_ms=seen.mean,
            latency_high_ms=seen.high,
            cost=candidate.cost,
            energy_j=candidate.energy_j,
        )
        for node, seen in nodes.items()
        if seen.count >= _LEAST_RESULTS
    )


def objective_of(state: AppState, view: AppView, candidates: Sequence[Candidate]) -> Objective:
    """Return what is wanted; the scales make each part of the score range over 0 to 1.

    Latency is measured against the strictest latency clause, else against the slowest candidate;
    cost between the cheapest candidate and the dearest ensemble; energy against the thirstiest
    ensemble; accuracy from one half on, or from the least accurate candidate when that is worse.
    """
    shares = dict(view.weights)
    members = [c for c in candidates if c.service in state.services]
    slowest = max((c.latency_ms for c in members), default=0.0)
    answered = summary(state.responses)
    overhead = max(0.0, answered.mean - slowest) if answered.count else 0.0
    limits = [b.threshold for b in view.bounds if b.what.startswith("latency") and b.threshold > 0]
    slow = max(c.latency_high_ms for c in candidates) + overhead
    costs = sorted((c.cost for c in candidates), reverse=True)[: view.max_members]
    joules = sorted((c.energy_j for c in candidates), reverse=True)[: view.max_members]
    labels = labels_of(state, view)
    return Objective(
        accuracy=shares.get("accuracy", 0.0),
        latency=shares.get("latency", 0.0),
        cost=shares.get("cost", 0.0),
        energy=shares.get("energy", 0.0),
        confidence=shares.get("confidence", 0.0),
        asked=view.asked,
        asked_under=view.asked_under,
        conditions=view.conditions,
        bounds=view.bounds,
        max_members=view.max_members,
        accuracy_floor=max(0.0, min(0.5, *(c.accuracy for c in candidates))),
        latency_scale_ms=min(limits, default=slow) or 1.0,
        cost_floor=min((c.cost for c in candidates if c.cost > 0), default=1.0),
        cost_scale=sum(costs) or 1.0,
        energy_scale_j=sum(joules) or 1.0,
        correlation=state.correlation,
        classes=max(2, len(labels)),
        labels=labels,
        frequencies=_frequencies(state, labels),
        overhead_ms=overhead,
        stages=view.stages if len(view.stages) <= view.max_members else (),
    )


def _frequencies(state: AppState, labels: tuple[str, ...]) -> tuple[float, ...]:
    """Return how often each class was true, one more each; empty where nothing was observed."""
    since = state.known_since(state.since)
    counts = [
        max((summary(p.of_class(label), since).count for p in state.profiles), default=0)
        for label in labels
    ]
    return tuple(1.0 + count for count in counts) if any(counts) else ()


def caution_of(told: Mapping[str, str]) -> float:
    """Return how much a policy lets the risk of missing a clause count, 0.25 unless it says.

    Raises InvalidParameters.
    """
    caution = number(told, wishes.CAUTION, _CAUTION)
    if not 0.0 <= caution <= 1.0:
        raise InvalidParameters(f"{wishes.CAUTION} = {caution:g}; it must be within 0 and 1")
    return caution


def budget_of(view: AppView) -> float:
    """Return the time (ms) that an answer may take by the strictest clause, else infinity."""
    return min((b.threshold for b in view.bounds if b.what.startswith("latency")), default=inf)

"""From profiles to candidates, from a contract to an objective: what the search is given."""

from dataclasses import dataclass

from processors.selecting.ensembles import (
    Candidate,
    Found,
    Objective,
    Scored,
    correlation,
    evaluate,
    search,
    vote_weights,
)
from processors.selecting.profiles import Summary, first_start, summary
from processors.selecting.state import AppState
from processors.selecting.world import AppView, fingerprint
from schemas.registrations import ServiceRegistered

_DECLARED_COUNTS = 30
_POOLED_COUNTS = 5
_LEAST_RESULTS = 5
_CORRELATION_COUNTS = 50.0
_RUNNERS_UP = 6


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was observed of one service in the present concept.

    `labels` sums up its accuracy, `results` its latency; `count` is the number that decides
    whether it is known: labelled results, or results where the application has no labels.
    """

    service: str
    labels: Summary
    results: Summary
    count: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome of a search: the present ensemble under today's profiles, and the best ones.

    `unknown` are services left out for want of evidence; `compared` all that were considered.
    """

    present: Scored
    found: Found
    evidence: tuple[Evidence, ...]
    unknown: tuple[str, ...]
    compared: int

    @property
    def best(self) -> Scored:
        """Return the best ensemble."""
        return self.found.ranked[0]


def usable(state: AppState, view: AppView) -> tuple[ServiceRegistered, ...]:
    """Return the services of an application but those that failed."""
    return tuple(s for s in view.services if fingerprint(s) not in state.failed)


def evidence_of(state: AppState, service: str, since: int) -> Evidence:
    """Return what was observed of a service in windows that began at `since` (ms) or later."""
    profile = state.profile(service)
    labels, results = summary(profile.accuracy, since), summary(profile.latency, since)
    count = labels.count if state.labelled else results.count
    return Evidence(service, labels, results, count)


def fair_since(state: AppState) -> int:
    """Return from when (event time, ms) members and shadows are compared.

    That is when the first shadow answered: before, only members were observed, and a change that
    is dated too early would let them look better than they are.
    """
    starts = []
    for service in state.shadows:
        profile = state.profile(service)
        series = profile.accuracy if state.labelled else profile.latency
        start = first_start(series, state.since)
        if start is not None:
            starts.append(start)
    return min(starts, default=state.since)


def choose(state: AppState, view: AppView, since: int, least: int) -> Choice | None:
    """Search among what is known; None when there is no service to choose from.

    In the first concept (state.since 0) declared profiles count. After a change only services
    with `least` observations since then, and the present members, are considered; all when there
    are neither.
    """
    services = usable(state, view)
    evidence = tuple(evidence_of(state, s.service, since) for s in services)
    enough = {e.service for e in evidence if not state.since or e.count >= least}
    known = [s for s in services if s.service in enough or s.service in state.services]
    considered = known or list(services)
    if not considered:
        return None
    candidates = _candidates(state, considered, evidence)
    objective = _objective(state, view, candidates)
    present = [c for c in candidates if c.service in state.services]
    return Choice(
        present=evaluate(present, objective),
        found=search(candidates, objective, _RUNNERS_UP),
        evidence=evidence,
        unknown=tuple(s.service for s in services if s not in considered),
        compared=len(candidates),
    )


def learn_correlation(state: AppState, view: AppView, since: int) -> None:
    """Learn from the present ensemble's answers since then how much its members fail together."""
    members = [s for s in usable(state, view) if s.service in state.services]
    answers = summary(state.answers, since)
    if len(members) < max(2, len(state.members)) or not answers.count:
        return
    evidence = tuple(evidence_of(state, s.service, since) for s in members)
    accuracies = [c.accuracy for c in _candidates(state, members, evidence)]
    found = correlation(accuracies, vote_weights(accuracies, _classes(state)), answers.mean)
    if found is None:
        return
    before = _CORRELATION_COUNTS + state.evidence
    total = before + answers.count
    state.correlation = (state.correlation * before + found * answers.count) / total
    state.evidence = min(200.0, state.evidence + answers.count)


def _candidates(
    state: AppState, services: list[ServiceRegistered], evidence: tuple[Evidence, ...]
) -> list[Candidate]:
    """Return what is known of services: observed values, drawn towards what else is known.

    Accuracy is (n * observed + k * prior) / (n + k): the prior is the declared accuracy with
    k = 30, after a change of concept the mean of all that was observed since, with k = 5.
    """
    labels = {e.service: e.labels for e in evidence}
    total = sum(labels[s.service].count for s in services)
    right = sum(labels[s.service].count * labels[s.service].mean for s in services)
    changed = bool(state.since and total)
    stated = [s.accuracy for s in services if s.accuracy is not None]
    usual = sum(stated) / len(stated) if stated else 0.5
    slowest = max((s.latency_ms or 0.0 for s in services), default=0.0)
    made = []
    for service in services:
        declared = usual if service.accuracy is None else service.accuracy
        prior, k = (right / total, _POOLED_COUNTS) if changed else (declared, _DECLARED_COUNTS)
        seen = labels[service.service]
        results = summary(state.profile(service.service).latency)
        latency = slowest if service.latency_ms is None else service.latency_ms
        observed = results.count >= _LEAST_RESULTS
        made.append(
            Candidate(
                service=service.service,
                stage=service.stage,
                accuracy=(seen.count * seen.mean + k * prior) / (seen.count + k),
                latency_ms=results.mean if observed else latency,
                latency_high_ms=results.high if observed else latency,
                cost=service.cost,
            )
        )
    return made


def _objective(state: AppState, view: AppView, candidates: list[Candidate]) -> Objective:
    """Return what is wanted; the scales make each part of the score range over 0 to 1.

    Latency is measured against the strictest latency clause, else against the slowest candidate;
    cost between the cheapest candidate and the dearest ensemble; accuracy from one half on, or from
    the least accurate candidate when that is worse.
    """
    shares = dict(view.weights)
    members = [c for c in candidates if c.service in state.services]
    slowest = max((c.latency_ms for c in members), default=0.0)
    answered = summary(state.responses)
    overhead = max(0.0, answered.mean - slowest) if answered.count else 0.0
    limits = [b.threshold for b in view.bounds if b.what != "accuracy" and b.threshold > 0]
    slow = max(c.latency_high_ms for c in candidates) + overhead
    costs = sorted((c.cost for c in candidates), reverse=True)[: view.max_members]
    return Objective(
        accuracy=shares["accuracy"],
        latency=shares["latency"],
        cost=shares["cost"],
        bounds=view.bounds,
        max_members=view.max_members,
        accuracy_floor=max(0.0, min(0.5, *(c.accuracy for c in candidates))),
        latency_scale_ms=min(limits, default=slow) or 1.0,
        cost_floor=min((c.cost for c in candidates if c.cost > 0), default=1.0),
        cost_scale=sum(costs) or 1.0,
        correlation=state.correlation,
        classes=_classes(state),
        overhead_ms=overhead,
        stages=view.stages if len(view.stages) <= view.max_members else (),
    )


def _classes(state: AppState) -> int:
    return max(2, len(state.classes))

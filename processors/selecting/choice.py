"""One selection: the algorithm in force, asked about what is known now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from processors.errors import ProcessorError
from processors.selecting import staged
from processors.selecting.ensembles import Candidate, Found, Objective, Problem, Scored
from processors.selecting.estimating import (
    Evidence,
    budget_of,
    candidates_of,
    caution_of,
    evidence_of,
    explainable,
    objective_of,
)
from processors.selecting.own import EXPLORERS, PLANNERS
from processors.selecting.profiles import first_start, summary
from processors.selecting.proposals import WEIR, Algorithm
from processors.selecting.searching import evaluated
from processors.selecting.state import AppState
from processors.selecting.voting import correlation
from processors.selecting.world import AppView, fingerprint
from schemas.registrations import ServiceRegistered

PINNED = "pinned"
_CORRELATION_COUNTS = 50.0
_RUNNERS_UP = 6


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome of a search: the present ensemble under today's profiles, and the best ones.

    `unknown` are services left out for want of evidence; `compared` all that were considered.
    `failure` says what the algorithm raised; then Weir's own selected. `explains` is a candidate
    that joins the best beyond the size, since it explains its answers and no member of the best
    does; `joins` is the one that joins the present ensemble likewise.
    """

    present: Scored
    found: Found
    evidence: tuple[Evidence, ...]
    unknown: tuple[str, ...]
    compared: int
    failure: str = ""
    explains: Candidate | None = None
    joins: Candidate | None = None

    @property
    def best(self) -> Scored:
        """Return the best ensemble."""
        return self.found.ranked[0]

    @property
    def others_are_best(self) -> bool:
        """Return whether the best has other members, in whatever order a plan names them."""
        return set(self.best.services) != set(self.present.services)

    @property
    def moves(self) -> bool:
        """Return whether the best is a plan that has a present member answer on another node."""
        present = dict(zip(self.present.services, self.present.places, strict=False))
        best = zip(self.best.services, self.best.places, strict=False)
        return any(node and present.get(service, node) != node for service, node in best)


def usable(state: AppState, view: AppView) -> tuple[ServiceRegistered, ...]:
    """Return the services of an application but those that failed."""
    return tuple(s for s in view.services if fingerprint(s) not in state.failed)


def pinned(state: AppState, view: AppView) -> tuple[str, ...]:
    """Return the members that a person chose, those that can serve; empty when nobody did."""
    there = {service.service for service in usable(state, view)}
    return tuple(name for name in view.chosen.pinned if name in there)


def fair_since(state: AppState) -> int:
    """Return from when (event time, ms) members and shadows are compared.

    That is when the first shadow answered: before, only members were observed, and a change that
    is dated too early would let them look better than they are. A trial that has led to another
    ensemble already goes on from there.
    """
    if state.trial is not None and state.trial.since:
        return state.trial.since
    starts = []
    for service in state.shadows:
        profile = state.profile(service)
        series = profile.accuracy if state.labelled else profile.latency
        start = first_start(series, state.since)
        if start is not None:
            starts.append(start)
    return min(starts, default=state.since)


def choose(
    state: AppState, view: AppView, since: int, least: int, algorithms: Mapping[str, Algorithm]
) -> Choice | None:
    """Search among what is known; None when there is no service to choose from.

    In the first concept (state.since 0) declared profiles count. After a change only services
    with `least` observations since then, who is pinned, and the present members are considered;
    after a trial no member that was observed less, where another of its stage was enough. All are
    when there are none, and by algorithms that explore. Where nobody's accuracy was observed since
    then, what the last concept showed of them is what is known.
    """
    services = usable(state, view)
    name = view.chosen.name or WEIR
    unsure = not state.since or name in EXPLORERS
    counts = {s.service: evidence_of(state, s.service, since).count for s in services}
    enough = {service for service, count in counts.items() if unsure or count >= least}
    told = state.known_since(since)
    evidence = tuple(evidence_of(state, s.service, told) for s in services)
    chosen = pinned(state, view)
    shown = {s.stage for s in services if s.service in enough} if state.trial else set()
    kept = {s.service for s in services if s.service in state.services and s.stage not in shown}
    known = [s for s in services if s.service in {*enough, *kept, *chosen}]
    considered = known or list(services)
    if not considered:
        return None
    candidates = candidates_of(state, view, considered, evidence, places=name in PLANNERS)
    failure = ""
    try:
        problem = _problem(state, view, candidates)
        found = _found(problem, chosen, name, algorithms)
    except ProcessorError as error:
        failure, plain = f"{name}: {error}", replace(view, chosen=replace(view.chosen, told={}))
        candidates = [replace(each, places=()) for each in candidates]
        problem = _problem(state, plain, candidates)
        found = _found(problem, chosen, WEIR, algorithms)
    present = _together(problem, state.services)
    if name in PLANNERS and not failure:
        present = replace(present, places=_nodes(state, present))
    able = _able(problem, view, services) if view.explainable else ()
    return Choice(
        present=present,
        found=found,
        evidence=evidence,
        unknown=tuple(s.service for s in services if s not in considered),
        compared=len(candidates),
        failure=failure,
        explains=_explaining(found.ranked[0], able, problem.objective),
        joins=_explaining(present, able, problem.objective),
    )


def _problem(state: AppState, view: AppView, candidates: list[Candidate]) -> Problem:
    return Problem(
        candidates=tuple(candidates),
        objective=replace(
            objective_of(state, view, candidates), caution=caution_of(view.chosen.told)
        ),
        budget_ms=budget_of(view),
        present=state.services,
        draw=state.selected_at,
        losses={arm.service: arm.loss for arm in state.arms},
        told=view.chosen.told,
        after=dict(view.after),
    )


def _found(
    problem: Problem, chosen: tuple[str, ...], name: str, algorithms: Mapping[str, Algorithm]
) -> Found:
    """Return what the algorithm finds, led by the members that a person chose, if one did.

    Raises ProcessorError where it fails, or finds nothing.
    """
    algorithm = algorithms[name]
    if name not in PLANNERS and staged.is_staged(problem):
        found = staged.by_stage(algorithm, problem, _RUNNERS_UP)
    else:
        found = algorithm(problem, _RUNNERS_UP)
    if not found.ranked:
        raise ProcessorError("it ranked no ensemble")
    if not chosen:
        return found
    led = replace(_together(problem, chosen), places=())
    others = tuple(one for one in found.ranked if one.services != led.services)
    return Found((led, *others), PINNED, max(0.0, found.ranked[0].value - led.value))


def _together(problem: Problem, services: tuple[str, ...]) -> Scored:
    """Return what some of the candidates together are predicted to do."""
    if staged.is_staged(problem):
        return staged.present(problem, services)
    members = [c for c in problem.candidates if c.service in services]
    return evaluated(members, problem.objective)


def _nodes(state: AppState, present: Scored) -> tuple[str, ...]:
    """Return on which nodes the present members were planned to answer."""
    known = {member.service: member.node for member in state.members}
    return tuple(known.get(service, "") for service in present.services)


def _able(
    problem: Problem, view: AppView, services: Sequence[ServiceRegistered]
) -> tuple[Candidate, ...]:
    """Return the candidates that explain; where none does, other services by what they declare."""
    known = tuple(c for c in problem.candidates if c.explainable)
    if known or not any(explainable(s) for s in services):
        return known
    unseen = AppState(app=view.app)
    evidence = [evidence_of(unseen, s.service, 0) for s in services]
    return tuple(c for c in candidates_of(unseen, view, services, evidence) if c.explainable)


def _explaining(
    scored: Scored, able: Sequence[Candidate], objective: Objective
) -> Candidate | None:
    """Return who joins to explain, with whom an ensemble is worth most; None if needless."""
    if not scored.members or not able or any(member.explainable for member in scored.members):
        return None
    joined = [(evaluated([*scored.members, c], objective).value, c.service, c) for c in able]
    return max(joined, key=lambda each: each[:2])[2]


def learn_correlation(state: AppState, view: AppView, since: int) -> None:
    """Learn from the present ensemble's answers since then how much its members fail together."""
    members = [s for s in usable(state, view) if s.service in state.services]
    answers = summary(state.answers, since)
    if view.after or len(members) < max(2, len(state.services)) or not answers.count:
        return
    evidence = tuple(evidence_of(state, s.service, since) for s in members)
    candidates = candidates_of(state, view, members, evidence)
    scored = evaluated(candidates, objective_of(state, view, candidates))
    found = correlation([m.accuracy for m in scored.members], scored.weights, answers.mean)
    if found is None:
        return
    before = _CORRELATION_COUNTS + state.evidence
    total = before + answers.count
    state.correlation = (state.correlation * before + found * answers.count) / total
    state.evidence = min(200.0, state.evidence + answers.count)

"""What a request's stages are: the graph of its application, and who was selected for each."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from processors.graphs.shape import earlier_of
from processors.routing.state import CANARY, ESCALATION, EXPLAIN, SHADOW, Member
from schemas.catalogue import Catalogue
from schemas.decisions import ClassWeight, EnsembleMember, EnsembleSelected
from schemas.graphs import Stage
from schemas.identity import stable_number
from schemas.inference import InferenceRequest
from schemas.registrations import ApplicationRegistered, ServiceRegistered

WEIGHTED_VOTE, LAST = "weighted_vote", "last"
ONE_BY_ONE = ("cascade", "preprocess")
_ROLES = {SHADOW: SHADOW, CANARY: CANARY, EXPLAIN: EXPLAIN, ESCALATION: ESCALATION}
_WHOLE = 1 << 32


@dataclass(frozen=True, slots=True)
class Voter:
    """A service of a stage, its weights, its role, and on which node it is planned, if on any."""

    service: str
    weight: float
    role: str = ""
    class_weights: tuple[ClassWeight, ...] = ()
    node: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A stage, who serves it, and the numbers of the stages before and after it.

    `one_by_one`: its voters are asked one after the other, the next when the last was not enough.
    `is_plain`: all of them are asked at once, each as any other.
    """

    stage: Stage
    voters: tuple[Voter, ...]
    combine: str
    inputs: tuple[int, ...]
    after: tuple[int, ...]
    before: tuple[int, ...]
    one_by_one: bool
    is_plain: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of an application in their order; `lasts` are those that nothing waits for.

    `combine` says how several last ones become one answer.
    """

    steps: tuple[Step, ...]
    lasts: tuple[int, ...]
    combine: str


def selected_for(request: InferenceRequest, catalogue: Catalogue) -> EnsembleSelected | None:
    """Return the ensemble in force for a request: its contract's, its consumer's, or the app's.

    That of another consumer never is, nor one without members where the app's has some.
    """
    every = catalogue.by_app(EnsembleSelected).get(request.app, ())
    found = [e for e in every if not e.consumer or (e.consumer == request.consumer and e.members)]
    if len(found) < 2:
        return found[0] if found else None

    def nearness(one: EnsembleSelected) -> tuple[bool, bool, bool, int]:
        plain = not one.contract and not one.consumer
        return (
            bool(request.contract) and one.contract == request.contract,
            bool(request.consumer) and one.consumer == request.consumer,
            plain,
            one.generation,
        )

    return max(found, key=nearness)


def placed(selected: EnsembleSelected, catalogue: Catalogue) -> EnsembleSelected:
    """Return a selection whose members all name their stage: else that of their service."""
    if all(member.stage for member in selected.members):
        return selected
    services = catalogue.of(ServiceRegistered)
    homes = tuple(
        member.stage or (services[member.service].stage if member.service in services else "")
        for member in selected.members
    )
    return _with_homes(selected, homes)


@lru_cache(maxsize=256)
def _with_homes(selected: EnsembleSelected, homes: tuple[str, ...]) -> EnsembleSelected:
    pairs = zip(selected.members, homes, strict=True)
    return replace(selected, members=tuple(replace(one, stage=home) for one, home in pairs))


@lru_cache(maxsize=256)
def plan_of(app: ApplicationRegistered, selected: EnsembleSelected | None) -> Plan:
    """Return the plan of an application and an ensemble whose members name their stages.

    Members of no known stage belong to the first. What a stage waits for is an earlier one:
    others that a graph names, which nobody has checked, count for nothing.
    """
    members = selected.members if selected is not None else ()
    stages = app.stages or (Stage(stage=members[0].stage if members else "", stage_id=""),)
    numbers: dict[str, int] = {}
    for number, stage in enumerate(stages):
        numbers.setdefault(stage.stage, number)
    grouped: dict[int, list[EnsembleMember]] = {}
    for member in members:
        grouped.setdefault(numbers.get(member.stage, 0), []).append(member)
    after = [_numbered(earlier_of(stage), numbers, n) for n, stage in enumerate(stages)]
    combine = app.combine or (selected.combine if selected is not None else "") or WEIGHTED_VOTE
    steps = tuple(
        Step(
            stage,
            voters := _voters(stage, grouped.get(number, ())),
            stage.combine or (LAST if stage.kind in ONE_BY_ONE else combine),
            _numbered(stage.inputs, numbers, number),
            after[number],
            tuple(later for later, waits in enumerate(after) if number in waits),
            stage.kind in ONE_BY_ONE,
            stage.kind not in ("split", "cascade") and not any(v.role or v.node for v in voters),
        )
        for number, stage in enumerate(stages)
    )
    return Plan(steps, tuple(n for n, step in enumerate(steps) if not step.before), combine)


def _numbered(names: Iterable[str], numbers: Mapping[str, int], own: int) -> tuple[int, ...]:
    return tuple(numbers[name] for name in names if numbers.get(name, own) < own)


def _voters(stage: Stage, members: Sequence[EnsembleMember]) -> tuple[Voter, ...]:
    """Return who serves a stage: who was selected, else all that the graph names.

    A stage of kind split or preprocess serves as the graph says, whoever was selected.
    """
    if stage.kind in ("split", "preprocess"):
        return tuple(Voter(name, 1.0) for name in stage.services)
    if not members:
        return tuple(Voter(name, 1.0) for name in stage.services)
    ordered = sorted(members, key=lambda member: member.order)
    return tuple(
        Voter(one.service, one.weight, _ROLES.get(one.role, ""), one.class_weights, one.node)
        for one in ordered
    )


def needs_selection(plan: Plan) -> bool:
    """Tell whether a plan without a selection has to wait for one: nobody was told to serve."""
    return any(step.stage.kind in ("", "ensemble") for step in plan.steps)


def members_of(step: Step, request: InferenceRequest) -> tuple[Member, ...]:
    """Return the members of a stage for a request; a split's follow from the request's id.

    Who is asked anyhow is no shadow besides.
    """
    if step.is_plain:
        return tuple(
            [
                Member(service=one.service, weight=one.weight, class_weights=one.class_weights)
                for one in step.voters
            ]
        )
    if step.stage.kind == "split":
        return _split(step.stage, request.request_id)
    voters = [voter for voter in step.voters if voter.role != EXPLAIN or request.explain]
    asked = {voter.service for voter in voters if voter.role != SHADOW}
    members = tuple(
        Member(
            service=voter.service,
            weight=voter.weight,
            role=voter.role,
            class_weights=voter.class_weights,
            node=voter.node,
        )
        for voter in voters
        if voter.role != SHADOW or voter.service not in asked
    )
    if step.stage.kind == "cascade":
        for member in [one for one in members if not one.role][1:]:
            member.role = ESCALATION
    return members


def _split(stage: Stage, request_id: str) -> tuple[Member, ...]:
    """Return who serves a request of a split, and who shadows it: equal ids, equal choices."""
    whole = math.fsum(one.weight for one in stage.splits if one.role != SHADOW) or 1.0
    chosen: list[Member] = []
    drawn = _drawn(request_id, stage.stage) * whole
    spent = 0.0
    serving = [one for one in stage.splits if one.role != SHADOW and one.weight > 0]
    for one in serving:
        spent += one.weight
        if drawn < spent or one is serving[-1]:
            role = CANARY if one.role == CANARY else ""
            chosen.append(Member(service=one.service, weight=1.0, role=role))
            break
    chosen += [
        Member(service=one.service, weight=0.0, role=SHADOW)
        for one in stage.splits
        if one.role == SHADOW and _drawn(request_id, stage.stage, one.service) * whole < one.weight
    ]
    return tuple(chosen)


def _drawn(*parts: str) -> float:
    """Return a number from 0 to 1 that depends on texts alone."""
    return stable_number("/".join(parts).encode()) % _WHOLE / _WHOLE

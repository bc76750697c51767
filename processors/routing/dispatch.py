"""Which member is asked where: first dispatch, and again when an instance fails or is lost."""

from processors.routing.instances import Instances, place_of
from processors.routing.state import MISSING, OK, OPEN, UNPLACED, Member, Pending
from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected
from schemas.identity import stable_id
from schemas.inference import InferenceResult, InferenceTask
from schemas.registrations import ServiceRegistered

SHADOW_STEP = 1_000_000
"""By so much a shadow's task is less important than a member's: it delays no answer."""


def adopt_ensemble(pending: Pending, catalogue: Catalogue) -> None:
    """Give a request the members of the ensemble that is selected for its app, if one is."""
    selected = catalogue.get(EnsembleSelected, pending.request.app)
    if selected is None:
        return
    services = catalogue.of(ServiceRegistered)
    pending.ensemble = selected.event_id
    pending.generation = selected.generation
    pending.combine = selected.combine
    pending.members = tuple(
        Member(
            service=member.service,
            stage=services[member.service].stage if member.service in services else "",
            weight=member.weight,
            shadow=member.role == "shadow",
        )
        for member in selected.members
    )


def dispatch(
    pending: Pending, member: Member, instances: Instances, attempts: int, now_ms: int
) -> InferenceTask | None:
    """Send a member's share to the best instance not tried yet, as a new attempt.

    None when there is no such instance or `attempts` have been made.
    """
    request = pending.request
    if len(member.sent) >= attempts:
        return None
    chosen = instances.choose(member.service, member.tried, request.request_id, now_ms)
    if chosen is None:
        return None
    instances.settle(member.task_id, member.worker)
    attempt = len(member.sent)
    member.status = MISSING
    member.instance, member.worker = chosen.instance, chosen.worker
    member.task_id = stable_id("task", request.request_id, member.service, attempt)
    member.sent = (*member.sent, now_ms)
    member.tried = (*member.tried, place_of(chosen))
    instances.send(member.task_id, chosen.instance, chosen.worker, member.service, now_ms)
    return InferenceTask(
        task_id=member.task_id,
        request_id=request.request_id,
        app=request.app,
        stage=member.stage,
        service=member.service,
        instance=chosen.instance,
        worker=chosen.worker,
        attempt=attempt,
        priority=pending.priority - (SHADOW_STEP if member.shadow else 0),
        created_at=now_ms,
        deadline=pending.answer_at,
        shadow=member.shadow,
        generation=pending.generation,
        inputs=request.inputs,
        trace=request.trace,
    )


def needs_dispatch(member: Member, instances: Instances, now_ms: int) -> bool:
    """Tell whether a member was never asked, or the instance that was asked is no longer alive."""
    if member.status == UNPLACED:
        return True
    return member.status == MISSING and not instances.is_live(
        f"{member.worker}/{member.instance}", member.service, now_ms
    )


def accept(member: Member, result: InferenceResult, arrival: int, now_ms: int) -> bool:
    """Take a result for an open member; False when it does not matter any more.

    A good result of any attempt counts, a bad one only of the newest.
    """
    if member.status not in OPEN:
        return False
    if result.status != OK and result.attempt != len(member.sent) - 1:
        return False
    member.status = result.status
    member.reason = result.reason or ""
    if result.status == OK:
        member.instance = result.instance
        member.arrival = arrival
        member.label, member.confidence = result.label, result.confidence
        member.scores, member.classes = result.scores, result.classes
        member.latency_ms = _latency(member, result.attempt, now_ms)
    return True


def is_settled(pending: Pending) -> bool:
    """Tell whether nothing more needs to be waited for; shadows never are."""
    voters = [member for member in pending.members if not member.shadow]
    if not voters:
        return False
    if pending.combine == "first" and any(member.status == OK for member in voters):
        return True
    return all(member.status not in OPEN for member in voters)


def _latency(member: Member, attempt: int, now_ms: int) -> float | None:
    if not 0 <= attempt < len(member.sent):
        return None
    return float(max(0, now_ms - member.sent[attempt]))

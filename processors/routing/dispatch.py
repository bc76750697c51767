"""Which member is asked where: first dispatch, again when an instance fails, and hedging."""

import math
from dataclasses import dataclass

from processors.routing.instances import Instances
from processors.routing.state import (
    ESCALATION,
    EXPLAIN,
    MISSING,
    OK,
    OPEN,
    SHADOW,
    UNPLACED,
    Attempt,
    Member,
    Pending,
    Run,
)
from schemas.identity import stable_id
from schemas.inference import InferenceResult, InferenceTask

SHADOW_STEP = 1_000_000
"""By so much a shadow's task is less important than a member's: it delays no answer."""
HEDGE, RETRY = "hedge", "retry"
FULL = 100
"""A hedge costs so much, in %, of the allowance that dispatches earn."""
_PURPOSES = {SHADOW: SHADOW, EXPLAIN: EXPLAIN, ESCALATION: ESCALATION}


@dataclass(slots=True)
class Allowance:
    """How many second instances may be asked before the first has answered, in % of one.

    Each first dispatch earns `earned` %; a hundred dispatches' worth is kept at most.
    """

    earned: int
    left: int = 0

    def earn(self) -> None:
        """Count a first dispatch."""
        self.left = min(FULL * self.earned, self.left + self.earned)

    def spend(self) -> bool:
        """Take a hedge's worth; False when there is not that much."""
        if self.left < FULL:
            return False
        self.left -= FULL
        return True

    def give_back(self) -> None:
        """Take back what was spent for nothing."""
        self.left += FULL


def dispatch(
    pending: Pending,
    run: Run,
    member: Member,
    instances: Instances,
    attempts: int,
    now_ms: int,
    *,
    hedge: bool = False,
) -> InferenceTask | None:
    """Send a member's share to an instance not tried yet, as a new attempt.

    None when there is no such instance or `attempts` have been made. A hedge leaves the attempts
    before it open, any other takes their place.
    """
    request = pending.request
    number = len(member.attempts)
    if number >= attempts:
        return None
    tried = [(each.worker, each.instance) for each in member.attempts] if number else ()
    chosen = instances.choose(member.service, tried, request.request_id, now_ms, member.node)
    if chosen is None:
        return None
    if number and not hedge:
        release(member, instances)
    made = Attempt(
        task_id=stable_id("task", request.request_id, run.stage, member.service, number),
        instance=chosen.instance,
        worker=chosen.worker,
        sent_at=now_ms,
        expected_us=instances.expected_us(chosen.instance, member.service),
        hedge=hedge,
    )
    member.status = MISSING
    member.instance = chosen.instance
    member.attempts = (*member.attempts, made)
    instances.send(made)
    return InferenceTask(
        task_id=made.task_id,
        request_id=request.request_id,
        app=request.app,
        stage=run.stage,
        service=member.service,
        instance=made.instance,
        worker=made.worker,
        attempt=number,
        priority=pending.priority - (SHADOW_STEP if member.role == SHADOW else 0),
        created_at=now_ms,
        deadline=run.due,
        shadow=member.role == SHADOW,
        generation=pending.selected.generation if pending.selected is not None else 0,
        inputs=run.inputs,
        trace=request.trace,
        purpose=_purpose(member, number, hedge=hedge),
        user=request.user,
    )


def _purpose(member: Member, number: int, *, hedge: bool) -> str:
    if hedge:
        return HEDGE
    return RETRY if number else _PURPOSES.get(member.role, "")


def release(member: Member, instances: Instances) -> None:
    """Wait for no attempt of a member any more."""
    for attempt in member.attempts:
        if attempt.is_open:
            attempt.is_open = False
            instances.settle(attempt)


def needs_dispatch(member: Member, instances: Instances, now_ms: int) -> bool:
    """Tell whether a member was never asked, or no instance that was asked is alive any more."""
    if member.status == UNPLACED:
        return True
    return member.status == MISSING and not any(
        attempt.is_open and instances.is_live(attempt, now_ms) for attempt in member.attempts
    )


def wrong(result: InferenceResult, classes: tuple[str, ...]) -> str:
    """Return what is wrong with an answer that says it is good, or ''.

    `classes` are those of the application; without any, a label may be whatever it is. A model
    that does not name its classes gives scores of nobody knows what: its label is its answer.
    """
    sure = result.confidence
    if sure is not None and not 0 <= sure <= 1:
        return f"malformed: confidence is {sure}"
    if result.scores and 0 < len(result.classes) != len(result.scores):
        return f"malformed: {len(result.scores)} scores of {len(result.classes)} classes"
    if not all(map(math.isfinite, result.scores)):
        return "malformed: a score is no finite number"
    if result.label is None and not result.outputs:
        return "malformed: neither a label nor an output"
    if classes and result.label is not None and result.label not in classes:
        return f"malformed: {result.label!r} is no class of the application"
    return ""


def accept(
    member: Member,
    result: InferenceResult,
    why: str,
    instances: Instances,
    arrival: int,
    now_ms: int,
) -> bool:
    """Take a result for an open member; False when it settles nothing.

    A good result of any attempt counts; one that failed, or is bad for the reason `why`, only
    when no other attempt is open.
    """
    number = result.attempt
    if member.status not in OPEN or not 0 <= number < len(member.attempts):
        return False
    attempt = member.attempts[number]
    if result.status != OK or why:
        if not attempt.is_open:
            return False
        attempt.is_open = False
        instances.settle(attempt)
        if any(other.is_open for other in member.attempts):
            return False
        member.status = result.status if result.status != OK else "failed"
        member.reason = why or result.reason or ""
        return True
    release(member, instances)
    member.status, member.reason = OK, ""
    member.instance = result.instance
    member.arrival = arrival
    member.label, member.confidence = result.label, result.confidence
    member.scores, member.classes = result.scores if result.classes else (), result.classes
    member.outputs = result.outputs
    member.latency_ms = float(max(0, now_ms - attempt.sent_at))
    return True


def hedge_at(run: Run, member: Member, instances: Instances, floor_ms: int) -> int:
    """Return when (ms) a second instance is asked if the first has not answered; 0 for never.

    After the service's unusual time, if an answer of the second could still be in time.
    """
    if member.role == SHADOW or instances.alternatives(member.service, run.began_at) < 2:
        return 0
    usual = max(float(floor_ms), instances.usual_ms(member.service))
    begun = member.attempts[-1].sent_at
    at = begun + math.ceil(usual)
    return at if at < run.due else 0

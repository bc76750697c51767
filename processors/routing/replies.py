"""From a pending request to its answer, and from refusals to theirs."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from processors.routing.plans import Plan
from processors.routing.stages import NOT_NEEDED, has_answered, voters_of
from processors.routing.state import (
    ANSWERED,
    MISSING,
    OK,
    SKIPPED,
    UNPLACED,
    WAITING,
    Member,
    Pending,
    Run,
)
from processors.routing.votes import Verdict, Vote, agreement, combine, weights_of
from schemas.base import Event
from schemas.codec import pack
from schemas.decisions import DeadLetter
from schemas.identity import stable_id
from schemas.inference import InferenceRequest, InferenceResponse, MemberVote, StageTiming
from schemas.processing import Record

PROCESSOR = "route"
MAX_PAYLOAD = 65_536


@dataclass(frozen=True, slots=True)
class _Sum:
    """What the last stages that answered say together."""

    label: str | None = None
    confidence: float | None = None
    agreement: float | None = None
    verdict: Verdict | None = None
    run: Run | None = None


def answer(pending: Pending, plan: Plan, now_ms: int) -> InferenceResponse:
    """Return the answer to a request from what has arrived."""
    runs = pending.runs
    final = _final(plan, runs)
    told = _summed(plan, final)
    whole = _is_whole(plan, runs)
    status = "failed" if not final else "complete" if whole else "partial"
    verdict, run = told.verdict, told.run
    return InferenceResponse(
        **_shared(pending.request, now_ms),
        status=status,
        reason="; ".join(_reasons(pending)) or None,
        label=told.label,
        confidence=told.confidence,
        agreement=told.agreement,
        classes=verdict.classes if verdict is not None else run.classes if run else (),
        scores=verdict.scores if verdict is not None else run.scores if run else (),
        outputs=run.outputs if run is not None else (),
        members=tuple(vote for run in runs for vote in _member_votes(run)),
        stages=tuple(_timing(run, pending) for run in _begun(runs)),
        ensemble=(pending.selected.event_id or None) if pending.selected is not None else None,
        generation=pending.selected.generation if pending.selected is not None else 0,
        partial=bool(final) and (not whole or any(run.missing for run in runs)),
        explanation=_sentence(told, final),
    )


def rejection(request: InferenceRequest, reason: str, now_ms: int) -> InferenceResponse:
    """Return the answer to a request that is refused."""
    return InferenceResponse(
        **_shared(request, now_ms), status="rejected", reason=reason, generation=0
    )


def repeated(given: InferenceResponse, request: InferenceRequest, now_ms: int) -> InferenceResponse:
    """Return a given answer as that of another request, which asks the same."""
    return replace(given, **_shared(request, now_ms))


def dead_letter(record: Record, error: str, field: str, message: str, now_ms: int) -> DeadLetter:
    """Return the dead letter of a request that can never be served.

    The payload is the event as Avro, without the registry's prefix.
    """
    payload = pack(record.event)
    return DeadLetter(
        event_id=stable_id(PROCESSOR, record.topic, record.partition, record.offset),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=_key(record.event),
        payload=payload[:MAX_PAYLOAD],
        length=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        error=error,
        field=field,
        message=message,
        processor=PROCESSOR,
        detected_at=now_ms,
    )


def _shared(request: InferenceRequest, now_ms: int) -> dict[str, Any]:
    """Return the fields of an answer that follow from the request and the clock."""
    return {
        "event_id": stable_id(PROCESSOR, request.request_id),
        "request_id": request.request_id,
        "app": request.app,
        "consumer": request.consumer,
        "contract": request.contract,
        "deadline_met": now_ms <= request.deadline,
        "created_at": request.created_at,
        "answered_at": now_ms,
        "latency_ms": float(max(0, now_ms - request.created_at)),
        "conditions": request.conditions,
    }


def _key(event: Event) -> bytes | None:
    return event.request_id.encode() if isinstance(event, InferenceRequest) else None


def _final(plan: Plan, runs: Sequence[Run]) -> list[Run]:
    """Return the stages whose answers are the answer: the last ones, or what came before them."""
    if len(runs) == 1:
        return [run for run in runs if has_answered(run)]
    found: dict[int, Run] = {}
    left = list(plan.lasts) if runs else []
    while left:
        number = left.pop(0)
        if has_answered(runs[number]):
            found[number] = runs[number]
        else:
            left += plan.steps[number].after
    ahead = {number for done in found for number in _before(plan, done)}
    return [run for number, run in sorted(found.items()) if number not in ahead]


def _before(plan: Plan, number: int) -> set[int]:
    """Return every stage that one waits for, near or far."""
    found: set[int] = set()
    left = list(plan.steps[number].after)
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += plan.steps[one].after
    return found


def _summed(plan: Plan, final: Sequence[Run]) -> _Sum:
    """Return the answer of one stage, or the combined one of several; each weighs as much."""
    if len(final) == 1:
        run = final[0]
        return _Sum(run.label, run.confidence, run.agreement, None, run)
    votes = [
        Vote(1.0, run.label, run.confidence, run.scores, run.classes)
        for run in final
        if run.label is not None
    ]
    verdict = combine(plan.combine, votes, float(len(votes)))
    if verdict is None:
        return _Sum(run=next((run for run in final if run.outputs), None))
    agreeing = agreement(votes, verdict.label, len(votes))
    return _Sum(verdict.label, verdict.confidence, agreeing, verdict)


def _is_whole(plan: Plan, runs: Sequence[Run]) -> bool:
    """Tell whether every stage that the answer needs has fully answered or was skipped."""
    return bool(runs) and all(
        run.status in (ANSWERED, SKIPPED) or step.stage.optional
        for step, run in zip(plan.steps, runs, strict=True)
    )


def _begun(runs: Sequence[Run]) -> list[Run]:
    return sorted((run for run in runs if run.began_at), key=lambda run: run.began_at)


def _timing(run: Run, pending: Pending) -> StageTiming:
    return StageTiming(
        stage=run.stage,
        status=run.status,
        started_ms=float(max(0, run.began_at - pending.request.created_at)),
        latency_ms=float(max(0, run.ended_at - run.began_at)),
        budget_ms=float(max(0, run.due - run.began_at)),
        label=run.label or "",
        confidence=run.confidence,
    )


def _reasons(pending: Pending) -> Iterator[str]:
    """Yield why the answer is not whole."""
    app = pending.request.app
    if not pending.runs:
        yield f"no ensemble is selected for {app}"
    for run in pending.runs:
        if run.status == WAITING:
            yield f"stage {run.stage}: no time was left for it"
        elif run.reason and run.status != SKIPPED:
            yield f"stage {run.stage}: {run.reason}"
        for member in voters_of(run):
            if member.status != OK and member.reason != NOT_NEEDED:
                yield _why(member)


def _why(member: Member) -> str:
    if member.status == UNPLACED:
        return f"{member.service}: no ready instance"
    if member.status == MISSING:
        return f"{member.service}: no result from {member.instance} in time"
    return f"{member.service}: {member.status}, {member.reason or 'no reason given'}"


def _member_votes(run: Run) -> Iterator[MemberVote]:
    voters = voters_of(run)
    weights = weights_of([member.weight for member in voters])
    for member, weight in zip(voters, weights, strict=True):
        yield MemberVote(
            service=member.service,
            instance=member.instance,
            status=member.status,
            label=member.label,
            confidence=member.confidence,
            weight=weight,
            latency_ms=member.latency_ms,
            stage=run.stage,
            role=member.role,
            reason="" if member.status == OK else member.reason or _why(member),
        )


def _sentence(told: _Sum, final: Sequence[Run]) -> str | None:
    if told.label is None:
        return None
    voters = [member for run in final for member in voters_of(run)]
    votes = [member for member in voters if member.status == OK and member.label is not None]
    agreeing = sum(member.label == told.label for member in votes)
    return (
        f"{agreeing} of {len(voters)} members say {told.label}; {len(votes)} voted; "
        f"confidence {told.confidence or 0.0:.2f}"
    )

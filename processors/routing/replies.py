"""From a pending request to its answer, and from refusals to theirs."""

import hashlib
from dataclasses import replace

from processors.routing.state import MISSING, OK, UNPLACED, Member, Pending
from processors.routing.votes import Verdict, Vote, combine, weights_of
from schemas.base import Event
from schemas.codec import pack
from schemas.decisions import DeadLetter
from schemas.identity import stable_id
from schemas.inference import InferenceRequest, InferenceResponse, MemberVote
from schemas.processing import Record

PROCESSOR = "route"
MAX_PAYLOAD = 65_536


def answer(pending: Pending, now_ms: int) -> InferenceResponse:
    """Return the answer to a request from what has arrived."""
    voters = sorted((m for m in pending.members if not m.shadow), key=lambda m: m.arrival)
    weights = dict(
        zip((m.service for m in voters), weights_of([m.weight for m in voters]), strict=True)
    )
    votes = [_vote(m, weights[m.service]) for m in voters if m.status == OK and m.label is not None]
    verdict = combine(pending.combine, votes, sum(weights.values()))
    arrived = sum(member.status == OK for member in voters)
    return replace(
        _bare(pending.request, now_ms),
        status=_status(arrived, len(voters)),
        reason=_reason(pending, voters) or None,
        label=verdict.label if verdict else None,
        confidence=verdict.confidence if verdict else None,
        members=tuple(_member_vote(m, weights[m.service]) for m in _in_order(pending)),
        ensemble=pending.ensemble or None,
        generation=pending.generation,
        explanation=_explain(verdict, votes, len(voters)),
    )


def rejection(request: InferenceRequest, reason: str, now_ms: int) -> InferenceResponse:
    """Return the answer to a request that is refused."""
    return replace(_bare(request, now_ms), status="rejected", reason=reason)


def dead_letter(record: Record, field: str, message: str, now_ms: int) -> DeadLetter:
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
        error="unknown-app",
        field=field,
        message=message,
        processor=PROCESSOR,
        detected_at=now_ms,
    )


def _bare(request: InferenceRequest, now_ms: int) -> InferenceResponse:
    return InferenceResponse(
        event_id=stable_id(PROCESSOR, request.request_id),
        request_id=request.request_id,
        app=request.app,
        consumer=request.consumer,
        contract=request.contract,
        status="failed",
        generation=0,
        deadline_met=now_ms <= request.deadline,
        created_at=request.created_at,
        answered_at=now_ms,
        latency_ms=float(max(0, now_ms - request.created_at)),
    )


def _key(event: Event) -> bytes | None:
    return event.request_id.encode() if isinstance(event, InferenceRequest) else None


def _in_order(pending: Pending) -> list[Member]:
    return [member for member in pending.members if not member.shadow]


def _vote(member: Member, weight: float) -> Vote:
    return Vote(weight, member.label or "", member.confidence, member.scores, member.classes)


def _status(arrived: int, asked: int) -> str:
    if asked and arrived == asked:
        return "complete"
    return "partial" if arrived else "failed"


def _reason(pending: Pending, voters: list[Member]) -> str:
    if not voters:
        return f"no ensemble is selected for {pending.request.app}"
    return "; ".join(_why(member) for member in voters if member.status != OK)


def _why(member: Member) -> str:
    if member.status == UNPLACED:
        return f"{member.service}: no ready instance"
    if member.status == MISSING:
        return f"{member.service}: no result from {member.instance} in time"
    return f"{member.service}: {member.status}, {member.reason or 'no reason given'}"


def _member_vote(member: Member, weight: float) -> MemberVote:
    return MemberVote(
        service=member.service,
        instance=member.instance,
        status=member.status,
        label=member.label,
        confidence=member.confidence,
        weight=weight,
        latency_ms=member.latency_ms,
    )


def _explain(verdict: Verdict | None, votes: list[Vote], asked: int) -> str | None:
    if verdict is None:
        return None
    agreeing = sum(vote.label == verdict.label for vote in votes)
    return (
        f"{agreeing} of {asked} members say {verdict.label}; {len(votes)} voted; "
        f"confidence {verdict.confidence:.2f}"
    )

"""Requests, tasks, results, responses and labels.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass

from schemas.base import Event, Timestamp
from schemas.records import KeyValue, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest(Event):
    """A consumer asks an application for an answer."""

    request_id: str
    app: str
    consumer: str = ""
    contract: str = ""
    priority: int = 0
    created_at: Timestamp
    deadline: Timestamp
    reply_to_topic: str | None = None
    reply_to_partition: int | None = None
    inputs: tuple[Tensor, ...] = ()
    trace: str | None = None
    source_kind: str | None = None
    frame_digest: str | None = None
    explain: bool = False
    user: str = ""
    idempotency_key: str = ""
    conditions: tuple[KeyValue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceTask(Event):
    """One member's share of a request."""

    task_id: str
    request_id: str
    app: str
    stage: str
    service: str
    instance: str
    worker: str
    attempt: int
    priority: int = 0
    created_at: Timestamp
    deadline: Timestamp
    shadow: bool = False
    generation: int
    inputs: tuple[Tensor, ...] = ()
    trace: str | None = None
    purpose: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSummary:
    """What one input tensor looked like, for drift of the data."""

    name: str
    mean: float
    std: float
    low: float
    high: float
    missing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceResult(Event):
    """What became of a task."""

    event_id: str
    task_id: str
    request_id: str
    app: str
    stage: str
    service: str
    instance: str
    node: str
    worker: str
    attempt: int
    status: str
    reason: str | None = None
    label: str | None = None
    confidence: float | None = None
    scores: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    queue_ms: float
    execution_ms: float
    received_at: Timestamp
    finished_at: Timestamp
    runtime: str
    provider: str
    variant: str
    batch_size: int
    model_version: str
    input_digest: str
    deadline_missed: bool
    generation: int
    shadow: bool = False
    input_summary: tuple[InputSummary, ...] = ()
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberVote:
    """One member's part in a response."""

    service: str
    instance: str
    status: str
    label: str | None = None
    confidence: float | None = None
    weight: float
    latency_ms: float | None = None
    stage: str = ""
    role: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """What one stage of a request took."""

    stage: str
    status: str
    started_ms: float
    latency_ms: float
    budget_ms: float
    label: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseHeld:
    """Whether an answer kept one clause of the contract."""

    clause: str
    held: bool
    observed: float
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceResponse(Event):
    """The answer to a request."""

    event_id: str
    request_id: str
    app: str
    consumer: str
    contract: str
    status: str
    reason: str | None = None
    label: str | None = None
    confidence: float | None = None
    members: tuple[MemberVote, ...] = ()
    ensemble: str | None = None
    generation: int
    deadline_met: bool
    created_at: Timestamp
    answered_at: Timestamp
    latency_ms: float
    explanation: str | None = None
    stages: tuple[StageTiming, ...] = ()
    classes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    agreement: float | None = None
    outputs: tuple[Tensor, ...] = ()
    clauses: tuple[ClauseHeld, ...] = ()
    partial: bool = False
    conditions: tuple[KeyValue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth(Event):
    """What was right."""

    request_id: str
    app: str
    label: str
    known_at: Timestamp
    source: str = ""

"""What route remembers: pending requests, given answers, estimates and rates.

The records are Avro-compatible dataclasses, so that a snapshot is nothing but `RouteState`.
"""

from dataclasses import dataclass

from schemas.inference import InferenceRequest

UNPLACED = "unplaced"
MISSING = "missing"
OK = "ok"
OPEN = (UNPLACED, MISSING)
"""Statuses of a member that may still answer: never dispatched, or dispatched and awaited."""


@dataclass(slots=True, kw_only=True)
class Member:
    """One service's share of a pending request.

    `sent` holds when each attempt was dispatched (ms), `tried` where to, as 'worker/instance'.
    """

    service: str
    stage: str
    weight: float
    shadow: bool
    status: str = UNPLACED
    reason: str = ""
    instance: str = ""
    worker: str = ""
    task_id: str = ""
    sent: tuple[int, ...] = ()
    tried: tuple[str, ...] = ()
    arrival: int = 0
    label: str | None = None
    confidence: float | None = None
    scores: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    latency_ms: float | None = None


@dataclass(slots=True, kw_only=True)
class Pending:
    """A request without an answer.

    `offset` is where it stands, `results_from` the first offset of weir.results that may hold
    something for it, `refused` why it will be rejected at `answer_at` unless an answer that was
    given before turns up.
    """

    request: InferenceRequest
    offset: int
    results_from: int
    priority: int
    answer_at: int
    refused: str = ""
    ensemble: str = ""
    generation: int = 0
    combine: str = ""
    members: tuple[Member, ...] = ()


@dataclass(slots=True, kw_only=True)
class Answer:
    """A given answer: an InferenceResponse as Avro, and where it stands once read back (-1)."""

    request_id: str
    expires_at: int
    offset: int
    body: bytes


@dataclass(slots=True, kw_only=True)
class Estimate:
    """Smoothed execution time of one instance, ms."""

    instance: str
    execution_ms: float


@dataclass(slots=True, kw_only=True)
class Bucket:
    """Requests that a consumer may still make at once, as of `at` (ms)."""

    consumer: str
    tokens: float
    at: int


@dataclass(slots=True, kw_only=True)
class RouteState:
    """Everything that one route instance knows."""

    pending: tuple[Pending, ...] = ()
    answers: tuple[Answer, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    results_next: int = 0
    arrivals: int = 0
    next_check: int | None = None

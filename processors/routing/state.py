"""What route remembers: pending requests, given answers, estimates and rates.

The records are Avro-compatible dataclasses, so that a snapshot is nothing but `RouteState`.
"""

from dataclasses import dataclass

from schemas.decisions import ClassWeight, EnsembleSelected
from schemas.inference import InferenceRequest
from schemas.records import Tensor
from schemas.registrations import ApplicationRegistered

UNPLACED = "unplaced"
MISSING = "missing"
OK = "ok"
OPEN = (UNPLACED, MISSING)
"""Statuses of a member that may still answer: never dispatched, or dispatched and awaited."""

WAITING = ""
ASKED = "asked"
ANSWERED = "answered"
PARTIAL = "partial"
SKIPPED = "skipped"
LATE = "late"
FAILED = "failed"
"""States of a stage: not begun, its members asked, and how it ended."""

SHADOW = "shadow"
CANARY = "canary"
EXPLAIN = "explain"
ESCALATION = "escalation"
"""Roles of a member; an empty one is that of a plain voter."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One dispatch of a member's share; `expected_us` is what it was thought to take there."""

    task_id: str
    instance: str
    worker: str
    sent_at: int
    expected_us: int
    is_open: bool = True
    hedge: bool = False


@dataclass(slots=True, kw_only=True)
class Member:
    """One service's share of a stage; at `hedge_at` (ms, 0: never) a second instance is asked.

    Instances on `node` are asked before others, where a plan names one.
    One that is `passed` over had no instance when its turn came in a stage that asks one by one.
    """

    service: str
    weight: float
    role: str = ""
    class_weights: tuple[ClassWeight, ...] = ()
    node: str = ""
    status: str = UNPLACED
    reason: str = ""
    instance: str = ""
    attempts: tuple[Attempt, ...] = ()
    hedge_at: int = 0
    passed: bool = False
    arrival: int = 0
    label: str | None = None
    confidence: float | None = None
    scores: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    latency_ms: float | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """A stage of a pending request; times in ms since the epoch, `due` is when it must end."""

    stage: str
    status: str = WAITING
    began_at: int = 0
    ended_at: int = 0
    due: int = 0
    reason: str = ""
    missing: bool = False
    label: str | None = None
    confidence: float | None = None
    agreement: float | None = None
    classes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    inputs: tuple[Tensor, ...] = ()
    members: tuple[Member, ...] = ()


@dataclass(slots=True, kw_only=True)
class Pending:
    """A request without an answer.

    `offset` is where it stands, `results_from` the first offset of weir.results that may hold
    something for it, `refused` why it will be rejected at `answer_at` unless an answer that was
    given before turns up. `app` and `selected` are in force for it from its beginning to its end,
    `account` is who shares the room with others: a registered consumer, or '' for all strangers.
    One that `follows` another request, whose idempotency key it has, gets the answer of that.
    """

    request: InferenceRequest
    offset: int
    results_from: int
    answer_at: int
    priority: int = 0
    account: str = ""
    refused: str = ""
    follows: str = ""
    app: ApplicationRegistered | None = None
    selected: EnsembleSelected | None = None
    runs: tuple[Run, ...] = ()


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
class Spread:
    """Smoothed time in queue and runtime of one service, and its mean deviation, ms."""

    service: str
    mean_ms: float
    deviation_ms: float


@dataclass(slots=True, kw_only=True)
class Bucket:
    """Requests that a consumer may still make at once, as of `at` (ms)."""

    consumer: str
    tokens: float
    at: int


@dataclass(slots=True, kw_only=True)
class Key:
    """The request that stands for an idempotency key, until `expires_at` (ms)."""

    consumer: str
    app: str
    key: str
    request_id: str
    expires_at: int


@dataclass(slots=True, kw_only=True)
class RouteState:
    """Everything that one route instance knows.

    `hedges` is how many more it may make, in %, `lag` how late (ms) answers were of late.
    """

    pending: tuple[Pending, ...] = ()
    answers: tuple[Answer, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    spreads: tuple[Spread, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    keys: tuple[Key, ...] = ()
    results_next: int = 0
    arrivals: int = 0
    hedges: int = 0
    lag: int = 0
    next_check: int | None = None

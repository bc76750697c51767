"""Decisions, the deeds that follow, and what the system notes about itself.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass

from schemas.base import Event, Timestamp
from schemas.records import KeyValue, SourceRange


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassWeight:
    """How much the vote of a member for one class counts."""

    label: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleMember:
    """One service in an ensemble."""

    service: str
    weight: float
    role: str
    stage: str = ""
    order: int = 0
    class_weights: tuple[ClassWeight, ...] = ()
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A runner-up of a selection."""

    services: tuple[str, ...] = ()
    score: float
    accuracy: float
    latency_ms: float
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """One objective in the score of an ensemble."""

    objective: str
    value: float
    scaled: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseUnmet:
    """A clause that no known ensemble meets."""

    clause: str
    threshold: float
    predicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleSelected(Event):
    """Which services answer an application's requests, with which weights."""

    event_id: str
    app: str
    contract: str
    generation: int
    algorithm: str
    combine: str
    members: tuple[EnsembleMember, ...] = ()
    predicted_latency_ms: float
    predicted_accuracy: float
    predicted_cost: float
    score: float
    gap: float
    alternatives: tuple[Alternative, ...] = ()
    reason: str
    selected_at: Timestamp
    catalogue: tuple[SourceRange, ...] = ()
    causes: tuple[str, ...] = ()
    scores: tuple[ScorePart, ...] = ()
    unmet: tuple[ClauseUnmet, ...] = ()
    pinned: bool = False
    consumer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDemand:
    """Copies of a service that something asks for."""

    service: str
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRequested(Event):
    """Something changed that placement must answer."""

    event_id: str
    kind: str
    subject: str
    app: str
    demands: tuple[ServiceDemand, ...] = ()
    reason: str
    requested_at: Timestamp
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One replica on one node."""

    node: str
    instance: str
    variant: str
    cpu_milli: int
    memory_mib: int
    gpu_index: int | None = None
    gpu_milli: int = 0
    gpu_indices: tuple[int, ...] = ()
    gpu_memory_mib: int = 0
    cores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Nodes that one constraint ruled out."""

    constraint: str
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A node that was nearly feasible."""

    node: str
    constraint: str
    needed: float
    available: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeScore:
    """A node that would have done as well, or nearly."""

    node: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A replica that gives way to a more important one."""

    service: str
    instance: str
    node: str
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementDecided(Event):
    """Where a service runs."""

    event_id: str
    service: str
    app: str
    generation: int
    status: str
    replicas: int
    assignments: tuple[Assignment, ...] = ()
    score: float
    algorithm: str
    rejections: tuple[Rejection, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    reason: str
    decided_at: Timestamp
    catalogue: tuple[SourceRange, ...] = ()
    causes: tuple[str, ...] = ()
    alternatives: tuple[NodeScore, ...] = ()
    victims: tuple[Victim, ...] = ()
    moves: int = 0
    waiting_since: Timestamp | None = None
    mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentObserved(Event):
    """What became of a placement."""

    event_id: str
    service: str
    app: str
    generation: int
    desired: int
    ready: int
    phase: str
    message: str
    observed_at: Timestamp
    causes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken(Event):
    """A deed, or the refusal of one."""

    event_id: str
    target: str
    kind: str
    status: str
    policy: str
    reason: str
    parameters: tuple[KeyValue, ...] = ()
    helped: bool | None = None
    taken_at: Timestamp
    causes: tuple[str, ...] = ()
    app: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter(Event):
    """A message that could not be processed."""

    event_id: str
    topic: str
    partition: int
    offset: int
    timestamp: Timestamp
    key: bytes | None = None
    payload: bytes
    length: int
    sha256: str
    error: str
    field: str
    message: str
    processor: str
    detected_at: Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The next offset to apply of one input partition."""

    topic: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Event):
    """State of one processor on one partition, written in the transaction of its outputs."""

    key: str
    processor: str
    partition: int
    format: int
    parameters: str
    positions: tuple[Position, ...] = ()
    state: bytes
    taken_at: Timestamp
    seen: bytes = b""

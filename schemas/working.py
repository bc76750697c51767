"""What a worker says of its work.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass

from schemas.base import Event, Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """How often something happened for one reason."""

    what: str
    reason: str
    count: int
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedWork:
    """What became of the tasks of one instance since its worker began."""

    instance: str
    service: str
    app: str
    stage: str
    waiting: int
    arrived: int
    in_time: int
    late: int
    failed: int
    reasons: tuple[ReasonCount, ...] = ()
    deadline_hit_ratio: float
    batches: int
    queue_p50_ms: float | None = None
    queue_p95_ms: float | None = None
    queue_p99_ms: float | None = None
    execution_mean_ms: float | None = None
    execution_p50_ms: float | None = None
    execution_p95_ms: float | None = None
    execution_p99_ms: float | None = None
    end_to_end_p50_ms: float | None = None
    end_to_end_p95_ms: float | None = None
    end_to_end_p99_ms: float | None = None
    longest_gap_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogSample:
    """How many tasks waited at an instant."""

    at: Timestamp
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceUse:
    """What an instance takes of its machine, as its worker measures."""

    instance: str
    service: str
    tasks: int = 0
    cpu_ms: float = 0.0
    cpu_milli: int = 0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReported(Event):
    """What a worker has done since it began, by itself; the newest counts."""

    worker: str
    node: str
    status: str
    began_at: Timestamp
    busy_share: float
    wasted_share: float
    decisions: tuple[ReasonCount, ...] = ()
    services: tuple[ServedWork, ...] = ()
    backlog: tuple[BacklogSample, ...] = ()
    heartbeat: Timestamp
    expires_at: Timestamp
    cpu_milli: int = 0
    memory_mib: int = 0
    memory_limit_mib: int = 0
    cores: tuple[int, ...] = ()
    uses: tuple[InstanceUse, ...] = ()

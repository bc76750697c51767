"""The catalogue: who and what exists. Every topic here is compacted; a tombstone removes.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass

from schemas.base import Event, Timestamp
from schemas.graphs import Stage, TensorSpec
from schemas.records import KeyValue
from schemas.resources import (
    Amount,
    AmountNeeded,
    Core,
    Gpu,
    Link,
    Neighbour,
    PortMapping,
    Variant,
    VersionNeeded,
    Volume,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRegistered(Event):
    """An application, its stages and the graph of services that serve it."""

    app: str
    app_id: str
    run: str
    user: str
    owner: str
    stages: tuple[Stage, ...] = ()
    shards: int = 1
    tags: tuple[KeyValue, ...] = ()
    registered_at: Timestamp
    event_id: str
    classes: tuple[str, ...] = ()
    combine: str = ""
    quorum: int = 0
    algorithm: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRegistered(Event):
    """A model or microservice that can be placed on nodes."""

    service: str
    service_id: str
    app: str
    stage: str
    model: str
    image: str
    artifact: str
    digest: str | None = None
    format: str
    environment: tuple[KeyValue, ...] = ()
    arguments: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    variants: tuple[Variant, ...] = ()
    cpu_milli: int
    cpu_per_core_milli: tuple[int, ...] = ()
    memory_mib: int
    gpu_milli: int = 0
    accelerators: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    sensitivity: str = "none"
    replicas: int = 1
    priority: int = 0
    latency_ms: float | None = None
    accuracy: float | None = None
    cost: float = 0.0
    registered_at: Timestamp
    event_id: str
    virtual_memory_mib: int = 0
    disk_mib: int = 0
    gpus: int = 0
    gpu_memory_mib: int = 0
    amounts: tuple[AmountNeeded, ...] = ()
    software: tuple[VersionNeeded, ...] = ()
    operating_systems: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    node_labels: tuple[KeyValue, ...] = ()
    tolerations: tuple[str, ...] = ()
    affinity: tuple[str, ...] = ()
    anti_affinity: tuple[str, ...] = ()
    max_per_node: int = 1
    max_per_zone: int = 0
    neighbours: tuple[Neighbour, ...] = ()
    preemption: str = "never"
    min_available: int = 0
    min_replicas: int = 1
    max_replicas: int = 0
    target_load: float = 0.0
    idle_ms: int = 0
    port_mappings: tuple[PortMapping, ...] = ()
    volumes: tuple[Volume, ...] = ()
    namespace: str = ""
    patch: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReported(Event):
    """A running copy of a service, by its own heartbeat."""

    instance: str
    service: str
    app: str
    stage: str
    node: str
    worker: str
    task_topic: str
    address: str | None = None
    model_version: str
    parameter_version: str | None = None
    tags: tuple[str, ...] = ()
    run: str
    user: str
    method: str
    role: str
    metadata: tuple[KeyValue, ...] = ()
    health: str
    message: str | None = None
    queued: int = 0
    queue_ms: float = 0.0
    heartbeat: Timestamp
    expires_at: Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReported(Event):
    """A node: what it has and how it is, by heartbeat."""

    node: str
    zone: str = ""
    cpu_milli: int
    cpu_used_milli: int = 0
    cores: tuple[Core, ...] = ()
    memory_mib: int
    memory_used_mib: int = 0
    disk_mib: int = 0
    gpus: tuple[Gpu, ...] = ()
    labels: tuple[KeyValue, ...] = ()
    taints: tuple[str, ...] = ()
    architecture: str
    operating_system: str
    software: tuple[KeyValue, ...] = ()
    network_mbps: float | None = None
    speed: float = 1.0
    status: str
    message: str | None = None
    heartbeat: Timestamp
    expires_at: Timestamp
    virtual_memory_mib: int = 0
    virtual_memory_used_mib: int = 0
    disk_used_mib: int = 0
    frequency_mhz: float | None = None
    hardware_id: str = ""
    amounts: tuple[Amount, ...] = ()
    network_used_mbps: float = 0.0
    links: tuple[Link, ...] = ()
    idle_w: float | None = None
    full_w: float | None = None
    source: str = ""
    event_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerRegistered(Event):
    """A party that may ask applications for inference."""

    consumer: str
    apps: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    priority: int = 0
    rate_per_s: float | None = None
    share: float = 1.0
    registered_at: Timestamp
    event_id: str
    burst: int = 0
    explainable: bool = False
    owner: str = ""
    token_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPublished(Event):
    """A model artifact and what it takes and gives."""

    model: str
    version: str
    uri: str
    digest: str
    format: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    variants: tuple[Variant, ...] = ()
    provenance: tuple[KeyValue, ...] = ()
    published_at: Timestamp
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One condition of a contract on an observed metric."""

    name: str
    metric: str
    statistic: str
    operator: str
    threshold: float
    window_ms: int
    tolerance: float = 0.0
    min_count: int = 1
    stage: str = ""
    service: str = ""
    objective: float = 0.0
    period_ms: int = 0
    priority: int = 0
    severity: str = ""
    instance: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """How much one objective counts."""

    objective: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRegistered(Event):
    """What a consumer was promised of an application."""

    contract: str
    consumer: str
    app: str
    owner: str
    version: int = 1
    clauses: tuple[Clause, ...] = ()
    priority: int = 0
    weights: tuple[Weight, ...] = ()
    max_members: int = 3
    valid_from: Timestamp | None = None
    valid_until: Timestamp | None = None
    registered_at: Timestamp
    event_id: str
    explainable: bool = False
    algorithm: str = ""
    source: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowDefined(Event):
    """How a set of series is windowed."""

    name: str
    app: str = ""
    metric: str = ""
    kind: str = "tumbling"
    size_ms: int
    allowed_lateness_ms: int = 0
    registered_at: Timestamp
    event_id: str
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    size_events: int = 0
    interval_ms: int = 0
    interval_events: int = 0
    gap_ms: int = 0
    align_ms: int = 0
    early_ms: int = 0
    late: str = "count"
    functions: tuple[str, ...] = ()
    stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDefined(Event):
    """A metric that applications report, or that is computed from what they report."""

    name: str
    metric: str
    unit: str
    low: float | None = None
    high: float | None = None
    description: str
    registered_at: Timestamp
    event_id: str
    expression: str = ""
    app: str = ""
    group_by: tuple[str, ...] = ()
    window: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySelected(Event):
    """Which algorithm with which parameters is in force for a component."""

    scope: str
    component: str
    algorithm: str
    parameters: tuple[KeyValue, ...] = ()
    mode: str = "act"
    selected_at: Timestamp
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRequested(Event):
    """What is kept of a person must go."""

    event_id: str
    user: str
    app: str = ""
    before: Timestamp
    reason: str
    requested_at: Timestamp

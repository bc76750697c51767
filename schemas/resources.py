"""What nodes have and services need: records that registrations embed.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One processor core."""

    capacity_milli: int
    used_milli: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU of a node."""

    index: int
    model: str
    memory_mib: int
    memory_used_mib: int = 0
    used_milli: int = 0
    hardware_id: str = ""
    partition: str = ""
    power_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Something countable that a node has, beside CPU, memory, disk and GPUs."""

    name: str
    capacity: int
    used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The way from a node to another one."""

    node: str
    mbps: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way of running a service: precision and device."""

    name: str
    precision: str
    device: str
    artifact: str | None = None
    batch: int | None = None
    cpu_milli: int | None = None
    memory_mib: int | None = None
    gpus: int | None = None
    gpu_milli: int | None = None
    gpu_memory_mib: int | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountNeeded:
    """Something countable that a replica needs of its node."""

    name: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionNeeded:
    """A driver or library that a node must have, in a version."""

    name: str
    versions: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A service that one exchanges data with."""

    service: str
    mbps: float = 0.0
    max_latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortMapping:
    """A port of a service, and where it is reached."""

    name: str
    port: int
    exposed: int = 0
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Files that a replica is given."""

    name: str
    path: str
    kind: str = "empty"
    source: str = ""
    read_only: bool = True

"""What one copy of a service needs of a machine, and what a machine has. Pure.

CPU in thousandths of a core, memory in MiB, GPU shares in thousandths of one GPU, bandwidth in
kbit/s, latency in microseconds: integers all of them. `extra` names further amounts (`DISK`,
`VIRTUAL_MEMORY`, `UPLINK`, an NPU, ...); a machine that does not name one has none of it. What is
used by others than Weir is `outside`. Empty tuples accept anything. `described` makes all of it
from events.
"""

from dataclasses import dataclass

Amounts = tuple[tuple[str, int], ...]
READY, DRAINING, UNKNOWN, FAILED = "ready", "draining", "unknown", "failed"
DISK, VIRTUAL_MEMORY, UPLINK = "disk", "virtual-memory", "uplink"
"""Amounts with a meaning: MiB, MiB, and kbit/s into and out of a node together."""
UNLIMITED = 1 << 40
"""More than there is of anything; every number from outside is cut to it."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its model, its memory (0 where it is not told, and then not asked for).

    `index` is its number on the node, -1: its place in the list; `partition` the profile of the
    slice that it is.
    """

    model: str
    memory_mib: int = 0
    index: int = -1
    outside_milli: int = 0
    outside_mib: int = 0
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """The way to another node; None where a limit or a latency is not known."""

    node: str
    kbps: int | None = None
    latency_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A node as it is when nothing of Weir's runs on it.

    `cores` is the capacity of each core, empty when unknown; `defects` is what its report says
    that cannot be. `speed` is relative to the reference node; power in watts, 0 when unknown.
    """

    name: str
    cpu_milli: int
    memory_mib: int
    gpus: tuple[Gpu, ...] = ()
    architecture: str = ""
    zone: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[str, ...] = ()
    extra: Amounts = ()
    operating_system: str = ""
    software: tuple[tuple[str, str], ...] = ()
    cores: tuple[int, ...] = ()
    cpu_outside: int = 0
    memory_outside: int = 0
    cores_outside: tuple[int, ...] = ()
    extra_outside: Amounts = ()
    links: tuple[Link, ...] = ()
    speed: float = 1.0
    frequency_mhz: float = 0.0
    idle_w: float = 0.0
    full_w: float = 0.0
    hardware_id: str = ""
    source: str = ""
    health: str = READY
    message: str = ""
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a copy takes: `gpu_milli` and `gpu_memory_mib` of each of `gpus` different GPUs.

    `cores` is the demand on each of as many different cores, highest first; `software` are names
    with specifiers of versions. `sensitivity` (none, cpu, memory, both) rules nothing out. Needs
    that are equal are of one kind, and scored together. `surplus` is the CPU and the memory that a
    copy takes beside what it declares, as was observed: there must be room for it where a new copy
    goes, and no other gets that room.
    """

    cpu_milli: int
    memory_mib: int
    gpus: int = 0
    gpu_milli: int = 0
    gpu_memory_mib: int = 0
    models: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[str, ...] = ()
    extra: Amounts = ()
    cores: tuple[int, ...] = ()
    operating_systems: tuple[str, ...] = ()
    software: tuple[tuple[str, str], ...] = ()
    sensitivity: str = "none"
    surplus: tuple[int, int] = (0, 0)

    @property
    def gpu_total(self) -> int:
        """Return the GPU share of all its GPUs together."""
        return self.gpus * self.gpu_milli

    def __hash__(self) -> int:
        """Return a number of what needs mostly differ in; all of it would take longer."""
        return (self.cpu_milli * 1_000_003 + self.memory_mib) * 1_000_003 + self.gpu_milli


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run a copy: a variant, and what it needs as that one.

    `latency_ms` is how long a batch takes on the reference node, None when nobody said.
    """

    variant: str
    need: Need
    device: str = ""
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A service that data flows from and to: what each copy takes of the way to it.

    `max_latency_us` None accepts any.
    """

    service: str
    kbps: int = 0
    max_latency_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a service asks for, apart from the number of its copies.

    `options` are the ways to run it, best first; `avoid` are nodes that it is to leave, as policies
    say. 0 in `max_per_node`, `max_per_zone`, `max_replicas`, `target_load` and `idle_ms` leaves it
    open. `defects` is what its registration asks for that cannot be.
    """

    service: str
    app: str = ""
    options: tuple[Option, ...] = ()
    priority: int = 0
    sensitivity: str = "none"
    preemption: str = "never"
    min_available: int = 0
    affinity: tuple[str, ...] = ()
    anti_affinity: tuple[str, ...] = ()
    max_per_node: int = 1
    max_per_zone: int = 0
    neighbours: tuple[Neighbour, ...] = ()
    min_replicas: int = 1
    max_replicas: int = 0
    target_load: float = 0.0
    idle_ms: int = 0
    defects: tuple[str, ...] = ()
    avoid: frozenset[str] = frozenset()

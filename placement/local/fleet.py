"""What the local actuator and its decisions say to each other: nodes, processes, instructions."""

from dataclasses import dataclass

from placement.local.bounds import Bounds
from schemas.records import KeyValue


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNode:
    """A node that this machine plays: its capacity (thousandths of a core, MiB) and nature."""

    name: str
    cpu_milli: int
    memory_mib: int
    speed: float = 1.0
    zone: str = ""
    labels: tuple[KeyValue, ...] = ()
    architecture: str = ""
    operating_system: str = ""
    software: tuple[KeyValue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """A worker process as its parent sees it; `exit_code` None while it runs.

    `memory_mib` is its resident memory, with that of its children; 0 where nobody looks.
    """

    node: str
    worker: str
    pid: int
    exit_code: int | None = None
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start the worker process of a node; it says nothing of what is not ready when it succeeds."""

    node: str
    worker: str
    succeeds: bool = False


@dataclass(frozen=True, slots=True)
class StopWorker:
    """Ask a worker process to drain and end (SIGTERM)."""

    node: str
    worker: str


@dataclass(frozen=True, slots=True)
class RelieveWorker:
    """Ask a worker process whose successor serves to finish and end without a word (SIGHUP)."""

    node: str
    worker: str


@dataclass(frozen=True, slots=True)
class KillWorker:
    """End a worker process that did not end when it was asked, or stands still (SIGKILL)."""

    node: str
    worker: str


@dataclass(frozen=True, slots=True)
class BoundWorker:
    """Hold a worker process to what the copies that are placed on its node were given."""

    node: str
    worker: str
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class ForgetWorker:
    """Release what is kept of a worker process that has ended."""

    node: str
    worker: str


Instruction = StartWorker | StopWorker | RelieveWorker | KillWorker | BoundWorker | ForgetWorker


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an instruction: the process id, or in `error` why it could not be done.

    `details` says what more there is to tell.
    """

    instruction: Instruction
    pid: int = 0
    error: str = ""
    details: tuple[tuple[str, str], ...] = ()

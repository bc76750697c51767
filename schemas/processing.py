"""What a processor is: a pure state machine over batches of events.

Everything that decides in Weir has this shape, whichever host runs it. A processor knows no
clock, no randomness and no I/O: time is `now_ms` of the batch, the world is its catalogue.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from schemas.base import Event
from schemas.catalogue import Catalogue

if TYPE_CHECKING:
    import polars as pl

B_contra = TypeVar("B_contra", contravariant=True)
Partition = tuple[str, int]
"""A topic and a partition of it."""
Home = Callable[[str], int]
"""From a message key to its partition."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event and where it stood; `timestamp` is the broker's, ms since the epoch."""

    event: Event
    topic: str
    partition: int
    offset: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in offset order per input partition, the host's clock (ms), and the catalogue.

    An empty batch is a timer.
    """

    records: tuple[Record, ...]
    now_ms: int
    catalogue: Catalogue = field(default_factory=Catalogue)


@dataclass(frozen=True, slots=True)
class Columns:
    """The same for a hot processor: the events of one input partition as a polars frame.

    Columns are the fields of the event (instants as Int64 ms) and `_offset`, Int64, ascending.
    An empty frame is a timer.

    Metrics have `event_time`, `value`, `request_id`, `_offset` alone, and `_series`, UInt32: the
    row in `series`, which has app, stage, service, instance, node, metric, unit, and `_key`,
    Binary, their Avro encoding in this order. Each series and unit stands there once, some perhaps
    without an event; the numbers mean nothing to the next batch. Other events have no `series`.
    Decoders add `_entry`, Int64: a number of the series for as long as the process lives.
    """

    frame: "pl.DataFrame"
    topic: str
    partition: int
    now_ms: int
    catalogue: Catalogue = field(default_factory=Catalogue)
    series: "pl.DataFrame | None" = None


@dataclass(frozen=True, slots=True)
class Directed:
    """An output that goes to a topic of its own; partition None lets the key decide."""

    event: Event
    topic: str
    partition: int | None = None


Output = Event | Directed


class Processor(Protocol[B_contra]):
    """A pure state machine, one instance per partition; see the laws in tests/contracts."""

    def process(self, batch: B_contra) -> Sequence[Output]:
        """Apply a batch and return what follows from it, in order."""
        ...

    def wake_at(self) -> int | None:
        """Return when (ms) an empty batch is due; None while no timer is needed."""
        ...

    def snapshot(self) -> bytes:
        """Return the state as bytes; equal states give equal bytes."""
        ...

    def restore(self, data: bytes) -> None:
        """Take over a state.

        Raises schemas.errors.DecodeError when the bytes are none.
        """
        ...


@runtime_checkable
class Rebuildable(Protocol[B_contra]):
    """A processor whose open windows or joins are read again from the log, not snapshotted.

    The host commits `oldest_needed`, and after `restore` hands the events from there up to the
    applied offset to `rebuild`, which emits nothing and counts nothing twice. Batches have the
    shape that `process` takes: Columns for a columnar processor, Batch for the others (observe
    and derive).
    """

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return the lowest offset per input partition that an open window needs.

        A partition that is absent needs nothing: there the applied offset is committed.
        """
        ...

    def rebuild(self, batch: B_contra) -> None:
        """Take events that had been applied before the snapshot into open windows again."""
        ...


@runtime_checkable
class Recognising(Protocol):
    """A processor that knows messages by their key: outputs of its own that come back.

    Its host asks before it decodes, and hands over only what is not recognised.
    """

    def recognised(self, topic: str, key: bytes, offset: int) -> bool:
        """Take note of a message, and tell whether no more of it is needed."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A processor that says when its state may not grow.

    While it is full its host reads nothing more for it, and lets its timers fire, so that the clock
    does what events would have done.
    """

    @property
    def full(self) -> bool:
        """Whether no more events should come for now."""
        ...


@dataclass(frozen=True, slots=True)
class Spec:
    """How hosts know a processor.

    `build` makes the instance of one partition; `parameters` identifies its configuration: a
    snapshot taken under other parameters or another `format` is not restored. `singleton`
    processors own all partitions of their inputs with one instance. `transactional` ones have
    outputs, snapshot and offsets in one Kafka transaction; the others trade that for latency: the
    host commits what `oldest_needed` says and takes no snapshot. `prompt` ones stand between a
    metric and a decision: hosts have the inputs of the others wait longer, where a broker answers
    each fetch at a price. `catalogue` lists the event classes that the processor looks up.

    `state` is the dataclass that a snapshot's bytes hold; each `format` of it is described in
    schemas/states. A `portable` state means the same under any parameters, so that it can be
    carried over: what follows is as if they had been changed at this point.

    When the inputs have other partition counts than the topic table, `sized` gives the
    specification for that many, and `share` says what of all partitions' states belongs into that
    of one partition, where `home` tells the partition of a message key; without it each partition
    keeps its own.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[type[Event], ...]
    build: Callable[[int], "Processor[Batch] | Processor[Columns]"]
    parameters: str
    format: int = 1
    columnar: bool = False
    transactional: bool = True
    prompt: bool = False
    singleton: bool = False
    catalogue: tuple[type[Event], ...] = ()
    reads: Mapping[type[Event], tuple[str, ...]] = field(default_factory=dict)
    state: type | None = None
    portable: bool = False
    sized: "Callable[[int], Spec] | None" = None
    share: "Callable[[Sequence[Any], int, Home], Any] | None" = None

"""One instance of a processor: its state, what it has applied, and what must be applied again.

Every host runs processors through this, so that all treat bad messages, repeats, restored state
and timers alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from schemas.catalogue import Catalogue
from schemas.codec import Codec
from schemas.decisions import Snapshot
from schemas.errors import ContractError
from schemas.observing import MetricReport
from schemas.packed import Packed, parts_of
from schemas.processing import (
    Batch,
    Bounded,
    Columns,
    Output,
    Partition,
    Rebuildable,
    Recognising,
    Spec,
)
from schemas.topics import topic_named
from workers.deadletters import Refused, dead_letter
from workers.hosting import decode as host_decode
from workers.hosting.homes import Homes
from workers.hosting.retries import meant_for
from workers.kafka.clients import RawMessage
from workers.kafka.sending import Outgoing
from workers.snapshots import keeping as snapshots

if TYPE_CHECKING:
    from workers.hosting.columns import ColumnReader
    from workers.hosting.frames import FrameReader


@runtime_checkable
class Needing(Protocol):
    """A processor that still needs old messages: Rebuildable ones, and those without snapshots."""

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return the lowest offset per input partition that it needs; absent means none."""
        ...


@dataclass(slots=True)
class Step:
    """What followed from applying messages: outputs in order, dead letters among them.

    `moved` are messages that stood in a wrong partition, to be sent again.
    """

    outputs: list[Output | Packed] = field(default_factory=list)
    messages: int = 0
    bad: int = 0
    moved: list[Outgoing] = field(default_factory=list)

    def add(self, other: "Step") -> None:
        """Take in what followed next."""
        self.outputs += other.outputs
        self.messages += other.messages
        self.bad += other.bad
        self.moved += other.moved


class Instance:
    """The processor of one partition. `positions` are the next offsets to apply.

    Without `homes` messages are taken wherever they stand, as singletons must.
    """

    def __init__(
        self,
        spec: Spec,
        partition: int,
        codec: Codec,
        cluster: str = "",
        homes: Homes | None = None,
    ) -> None:
        self.spec = spec
        self.partition = partition
        self.positions: dict[Partition, int] = {}
        self._codec = codec
        self._cluster = cluster
        self._homes = homes or Homes({}, spec.name)
        self._reader = _reader(codec, self._homes, spec) if spec.columnar else None
        self._processor: Any = spec.build(partition)
        self._bounded = self._processor if isinstance(self._processor, Bounded) else None
        own = self._processor
        self._recognising = own if isinstance(own, Recognising) else None
        self._restored_ms = 0

    def begin(
        self, snapshot: Snapshot | None, committed: Mapping[Partition, int]
    ) -> dict[Partition, int]:
        """Restore, and return from where to read what must be handed to `rebuild` first.

        `committed` has every partition that it owns; the value is the committed offset, or 0
        where none was. Reading goes on at `positions`. Raises SnapshotRefused for a state of
        another format or other parameters, or that cannot be read.
        """
        self.positions = dict(committed)
        if snapshot is None or not self.spec.transactional:
            return {}
        applied = snapshots.positions_of(snapshot)
        self.positions |= {place: applied[place] for place in committed if place in applied}
        snapshots.check(snapshot, self.spec)
        self._restore(snapshot)
        if not isinstance(self._processor, Rebuildable):
            return {}
        return {
            place: offset for place, offset in committed.items() if offset < self.positions[place]
        }

    def _restore(self, snapshot: Snapshot) -> None:
        try:
            self._processor.restore(snapshot.state)
        except ContractError as error:
            raise snapshots.refused(snapshot.key, str(error)) from error
        self._restored_ms = snapshot.taken_at

    def rebuild(self, messages: Sequence[RawMessage], catalogue: Catalogue) -> None:
        """Hand messages that were applied before the snapshot to the processor again.

        What was bad then is skipped: it is a dead letter already.
        """
        for place, group in host_decode.by_partition(messages).items():
            applied = [message for message in group if _offset(message) < self.positions[place]]
            self._rebuild(place, applied, catalogue)

    def _rebuild(self, place: Partition, group: Sequence[RawMessage], catalogue: Catalogue) -> None:
        then = self._restored_ms
        group = meant_for(group, self.spec.name)
        if self._reader is not None:
            read = self._reader.read(group, place)
            self._processor.rebuild(read.batch(place, then, catalogue))
        else:
            records, _ = host_decode.rows(group, self._codec, self.spec.reads)
            records, _ = self._homes.records(records, group)
            self._processor.rebuild(Batch(tuple(records), then, catalogue))

    def apply(self, messages: Sequence[RawMessage], now_ms: int, catalogue: Catalogue) -> Step:
        """Apply messages of its input partitions; those applied before are dropped."""
        groups = self._groups(messages)
        fresh = {place: self._unapplied(place, group) for place, group in groups.items()}
        if self._reader is not None:
            step = self._apply_columns(self._reader, fresh, now_ms, catalogue)
        else:
            step = self._apply_rows(fresh, messages, now_ms, catalogue)
        for place, group in fresh.items():
            if group:
                self.positions[place] = _offset(group[-1]) + 1
        return step

    def _groups(self, messages: Sequence[RawMessage]) -> Mapping[Partition, Sequence[RawMessage]]:
        if len(self.spec.inputs) > 1 or self.spec.singleton:
            return host_decode.by_partition(messages)
        return {(self.spec.inputs[0], self.partition): messages} if messages else {}

    def _unapplied(self, place: Partition, group: Sequence[RawMessage]) -> Sequence[RawMessage]:
        position = self.positions.get(place, 0)
        if _offset(group[0]) >= position:
            return group
        return [message for message in group if _offset(message) >= position]

    def _apply_columns(
        self,
        reader: "ColumnReader | FrameReader",
        groups: Mapping[Partition, Sequence[RawMessage]],
        now_ms: int,
        catalogue: Catalogue,
    ) -> Step:
        step = Step()
        for place, group in groups.items():
            if not group:
                continue
            read = reader.read(meant_for(group, self.spec.name), place)
            if read.frame.height:
                batch = read.batch(place, now_ms, catalogue)
                step.outputs += parts_of(self._processor.process(batch))
            self._count(step, len(group), read.bad, now_ms)
            step.moved += read.moved
        return step

    def _apply_rows(
        self,
        groups: Mapping[Partition, Sequence[RawMessage]],
        messages: Sequence[RawMessage],
        now_ms: int,
        catalogue: Catalogue,
    ) -> Step:
        step = Step()
        total = sum(len(group) for group in groups.values())
        if total == 0:
            return step
        if total < len(messages):
            kept = {id(message) for group in groups.values() for message in group}
            messages = [message for message in messages if id(message) in kept]
        messages = self._unrecognised(meant_for(messages, self.spec.name))
        records, bad = host_decode.rows(messages, self._codec, self.spec.reads)
        records, moved = self._homes.records(records, messages)
        if records:
            batch = Batch(tuple(records), now_ms, catalogue)
            step.outputs += parts_of(self._processor.process(batch))
        self._count(step, total, bad, now_ms)
        step.moved += moved
        return step

    def _unrecognised(self, messages: Sequence[RawMessage]) -> Sequence[RawMessage]:
        """Leave out what the processor needs no more of than that it is there."""
        if self._recognising is None:
            return messages
        known = self._recognising.recognised
        return [
            message
            for message in messages
            if not known(str(message.topic()), message.key() or b"", _offset(message))
        ]

    def _count(self, step: Step, total: int, bad: Iterable[host_decode.Bad], now_ms: int) -> None:
        step.messages += total
        for wrong in bad:
            step.bad += 1
            refused = Refused.of(wrong.message)
            step.outputs.append(
                dead_letter(
                    refused,
                    wrong.error,
                    processor=self.spec.name,
                    now_ms=now_ms,
                    cluster=self._cluster,
                )
            )

    @property
    def full(self) -> bool:
        """Whether it can take no more messages for now."""
        return self._bounded is not None and self._bounded.full

    def wake_at(self) -> int | None:
        """Return when (ms) its timer is due; None while there is none."""
        due: int | None = self._processor.wake_at()
        return due

    def wake(self, now_ms: int, catalogue: Catalogue) -> Step:
        """Run the timer if it is due."""
        due = self.wake_at()
        if due is None or due > now_ms:
            return Step()
        outputs = self._processor.process(self._timer(now_ms, catalogue))
        return Step(outputs=list(parts_of(outputs)))

    def _timer(self, now_ms: int, catalogue: Catalogue) -> Batch | Columns:
        if self._reader is None:
            return Batch((), now_ms, catalogue)
        place = (self.spec.inputs[0], self.partition)
        return self._reader.read([], place).batch(place, now_ms, catalogue)

    def offsets(self) -> dict[Partition, int]:
        """Return what to commit: the oldest offset needed per partition, or else the position."""
        needed: Mapping[Partition, int] = {}
        if isinstance(self._processor, Needing):
            needed = self._processor.oldest_needed()
        return {
            place: min(needed.get(place, position), position)
            for place, position in self.positions.items()
        }

    def snapshot(self, now_ms: int) -> Snapshot:
        """Return its state as the event that a host writes with the outputs."""
        state = self._processor.snapshot()
        return snapshots.make(self.spec, self.partition, self.positions, state, now_ms)


def _reader(codec: Codec, homes: Homes, spec: Spec) -> "ColumnReader | FrameReader":
    from workers.hosting.columns import ColumnReader  # noqa: PLC0415 - what is compiled loads slowly
    from workers.hosting.frames import FrameReader  # noqa: PLC0415 - likewise

    topic = topic_named(spec.inputs[0])
    return ColumnReader(codec, homes) if MetricReport in topic.events else FrameReader(codec, topic)


def _offset(message: RawMessage) -> int:
    return cast(int, message.offset())

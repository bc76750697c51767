"""What a worker does between two rebalances: one processor's instances, fed with messages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from faust.types import TP, Message

from schemas.decisions import Snapshot
from schemas.packed import Packed
from schemas.processing import Batch, Output, Partition, Processor, Spec
from streams.faust.repeats import Once, Recent
from streams.surroundings import World
from workers import telemetry
from workers.deadletters import BadShare
from workers.hosting.budget import Renewals
from workers.hosting.output import encoded
from workers.hosting.oversize import sendable
from workers.hosting.state import Instance, Step
from workers.kafka.sending import Outgoing
from workers.snapshots import keeping as snapshots

KEPT_BYTES_PER_MS = 64
LONGEST_UNKEPT_MS = 5_000
"""States may take 64 kB a second where nothing follows from what was applied, and wait so long:
a large one would otherwise be written anew for every message and every timer."""
TIMERS_UNKEPT_MS = 10_000
"""How long what timers changed may wait where nothing follows from it: they fire every second."""
SHORTEST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 1.0

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """One of Faust's messages as `workers` wants to see it (workers.kafka.clients.RawMessage)."""

    message: Message

    def topic(self) -> str | None:
        """Return the topic."""
        return self.message.topic

    def partition(self) -> int | None:
        """Return the partition."""
        return self.message.partition

    def offset(self) -> int | None:
        """Return the offset."""
        return self.message.offset

    def key(self) -> bytes | None:
        """Return the key."""
        return self.message.key

    def value(self) -> bytes | None:
        """Return the value."""
        return self.message.value

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of the timestamp and the timestamp, ms since the epoch."""
        return self.message.timestamp_type, round((self.message.timestamp or 0.0) * 1000)

    def headers(self) -> list[tuple[str, bytes | None]]:
        """Return the headers."""
        given = self.message.headers or ()
        return list(given.items() if isinstance(given, Mapping) else given)


@dataclass(frozen=True, slots=True)
class Decided:
    """What follows from a batch: outputs, and the snapshots to keep once those are safe.

    With `complete` all that was ever applied is safe then, and may be acknowledged.
    """

    outputs: list[Outgoing]
    kept: list[Outgoing]
    complete: bool


class Kept:
    """An instance that knows what was last kept of it, and which events it has seen."""

    def __init__(
        self,
        spec: Spec,
        partition: int,
        world: World,
        places: Iterable[TP],
        snapshot: Snapshot | None,
    ) -> None:
        self._once: Once
        self.instance = self._restored(spec, partition, world, places, snapshot)
        self._last = snapshot
        known = snapshots.positions_of(snapshot) if snapshot else {}
        self.starts = [(at, next_) for at, next_ in self.instance.positions.items() if at in known]

    def _restored(
        self,
        spec: Spec,
        partition: int,
        world: World,
        places: Iterable[TP],
        snapshot: Snapshot | None,
    ) -> Instance:
        instance = Instance(self._wrapped(spec), partition, world.codec, world.cluster)
        start = {(tp.topic, tp.partition): 0 for tp in places}
        instance.begin(snapshot, start)
        if snapshot is not None:
            self._once.recent = Recent(snapshot.seen)
        return instance

    def _wrapped(self, spec: Spec) -> Spec:
        def build(partition: int) -> Once:
            self._once = Once(cast(Processor[Batch], spec.build(partition)))
            return self._once

        return replace(spec, build=build)

    def changed(self, now_ms: int, *, renew: bool) -> Snapshot | None:
        """Return the snapshot to be kept, or None when the last one still says it all.

        With `renew` it is kept again although it does.
        """
        made = replace(self.instance.snapshot(now_ms), seen=self._once.recent.pack())
        last = self._last
        if not renew and last is not None and replace(made, taken_at=last.taken_at) == last:
            return None
        self._last = made
        return made


class Session:
    """The instances of one processor on the partitions that are assigned; sends nothing itself."""

    def __init__(
        self, world: World, spec: Spec, instances: Mapping[int, Kept], bad: BadShare
    ) -> None:
        self._world = world
        self._spec = spec
        self._instances = instances
        self._bad = bad
        self._stale: set[int] = set()
        self._fired: dict[int, int] = {}
        """Since when (ms) timers have changed states that are not kept."""
        self._renewals = Renewals()
        self._not_before = 0

    def starts(self) -> dict[Partition, int]:
        """Return the next offset of every partition whose state was restored."""
        return {at: offset for kept in self._instances.values() for at, offset in kept.starts}

    def positions(self) -> dict[Partition, int]:
        """Return the next offset to apply of every partition."""
        return {
            place: offset
            for kept in self._instances.values()
            for place, offset in kept.instance.positions.items()
        }

    def pause_s(self) -> float:
        """Return how long nothing is due, in seconds, a second at most."""
        wakes = [kept.instance.wake_at() for kept in self._instances.values()]
        now_ms = self._world.clock()
        wakes += [self._not_before] if self._stale else []
        pauses = [(wake - now_ms) / 1000 for wake in wakes if wake is not None]
        return max(SHORTEST_PAUSE_S, min([*pauses, LONGEST_PAUSE_S]))

    def decide(self, messages: Sequence[Message]) -> Decided:
        """Apply messages to the instances that own them, and fire the timers that are due.

        States are kept at once where there are outputs, else at a bounded rate. Raises TooManyBad,
        EncodeError, RegistryUnavailable, KafkaUnavailable.
        """
        outputs: list[Output | Packed] = []
        for partition, kept in self._instances.items():
            mine = [m for m in messages if self._spec.singleton or m.partition == partition]
            now_ms = self._world.clock()
            due = kept.instance.wake_at()
            fired = due is not None and due <= now_ms
            step = self._step(kept.instance, mine, now_ms)
            outputs += step.outputs
            if fired:
                self._fired.setdefault(partition, now_ms)
            if mine or self._overdue(partition, now_ms):
                self._stale.add(partition)
        waits = self._not_before - LONGEST_UNKEPT_MS <= self._world.clock() < self._not_before
        kept_now = self.keep() if outputs or (self._stale and not waits) else []
        sent = sendable(
            outputs,
            self._world.codec,
            processor=self._spec.name,
            now_ms=self._world.clock(),
        )
        return Decided(sent, kept_now, complete=not self._stale)

    def _overdue(self, partition: int, now_ms: int) -> bool:
        waited = now_ms - self._fired.get(partition, now_ms)
        in_time = 0 <= waited < TIMERS_UNKEPT_MS  # less than nothing when the clock was set back
        return not in_time or self._renewals.due(partition, now_ms)

    def keep(self) -> list[Outgoing]:
        """Return the states that have changed since they were last kept, and those due again."""
        now_ms = self._world.clock()
        changed = []
        for partition in sorted(self._stale | self._fired.keys()):
            renew = self._renewals.due(partition, now_ms)
            snapshot = self._instances[partition].changed(now_ms, renew=renew)
            if snapshot is not None:
                self._renewals.written(partition, len(snapshot.state), now_ms)
                changed.append(snapshot)
        self._stale.clear()
        self._fired.clear()
        found = encoded(changed, self._world.codec)
        size = sum(len(message.value or b"") for message in found)
        self._not_before = now_ms + min(LONGEST_UNKEPT_MS, size // KEPT_BYTES_PER_MS)
        return found

    def _step(self, instance: Instance, messages: Sequence[Message], now_ms: int) -> Step:
        catalogue = self._world.catalogue()
        step = instance.apply([Received(message) for message in messages], now_ms, catalogue)
        self._bad.count(step.messages, step.bad)
        step.add(instance.wake(now_ms, catalogue))
        return step

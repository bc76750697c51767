"""Kafka and its hosts in memory: the same processors through the same code, for tests, notebooks
and replay. Time is what the caller says it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas import files, partitioning, topics
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import Codec
from schemas.decisions import Snapshot
from schemas.errors import ContractError
from schemas.events import EVENTS
from schemas.processing import Partition, Spec
from workers import catalogue
from workers.hosting.output import encoded
from workers.hosting.oversize import sendable
from workers.hosting.work import Work
from workers.kafka.sending import Outgoing
from workers.snapshots import keeping as snapshots

MAX_BAD_SHARE = 1.0


def local_codec() -> Codec:
    """Return a codec without a registry: ids 1, 2, … for the newest version of every event."""
    ids = {event: number for number, event in enumerate(EVENTS.values(), start=1)}
    texts = {number: files.text(event.__name__) for event, number in ids.items()}
    return Codec(ids, texts.__getitem__)


@dataclass(frozen=True, slots=True)
class LocalMessage:
    """A message of the log, with the methods of a Kafka client's; `at` is the time in ms."""

    place: Partition
    number: int
    at: int
    key_bytes: bytes | None
    value_bytes: bytes | None
    sequence: int
    given: tuple[tuple[str, bytes | None], ...] = ()

    def topic(self) -> str:
        """Return the topic."""
        return self.place[0]

    def partition(self) -> int:
        """Return the partition."""
        return self.place[1]

    def offset(self) -> int:
        """Return the offset."""
        return self.number

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of the timestamp (1: set by the producer) and the timestamp."""
        return 1, self.at

    def key(self) -> bytes | None:
        """Return the key."""
        return self.key_bytes

    def value(self) -> bytes | None:
        """Return the value."""
        return self.value_bytes

    def headers(self) -> list[tuple[str, bytes | None]]:
        """Return the headers."""
        return list(self.given)


@dataclass
class LocalLog:
    """Topics with partitions and offsets; what is appended in one call appears at once."""

    codec: Codec = field(default_factory=local_codec)
    now_ms: int = 0
    committed: dict[str, dict[Partition, int]] = field(default_factory=dict)
    _partitions: dict[Partition, list[LocalMessage]] = field(default_factory=dict)
    _sequence: int = 0
    _catalogue: Catalogue = field(default_factory=Catalogue)

    def produce(self, *events: Event, timestamp: int | None = None) -> None:
        """Append events where they belong; `timestamp` (ms) is `now_ms` by default."""
        self.append(encoded(events, self.codec), timestamp)

    def produce_raw(
        self,
        topic: str,
        value: bytes | None,
        key: bytes = b"",
        *,
        partition: int = -1,
        timestamp: int | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """Append bytes as they are; without a value it is a tombstone."""
        self._append(topic, key, value, partition, timestamp, headers)

    def append(self, records: Iterable[Outgoing], timestamp: int | None = None) -> None:
        """Append encoded outputs."""
        for record in records:
            place = (record.topic, record.key, record.value, record.partition)
            self._append(*place, timestamp, record.headers)

    def _append(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        partition: int,
        timestamp: int | None,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> None:
        if partition < 0:
            count = topics.topic_named(topic).partitions
            partition = partitioning.partition_of(key.decode("utf-8", "replace"), count)
        messages = self._partitions.setdefault((topic, partition), [])
        at = self.now_ms if timestamp is None else timestamp
        place = (topic, partition)
        number = len(messages)
        messages.append(LocalMessage(place, number, at, key, value, self._sequence, tuple(headers)))
        self._sequence += 1

    def places(self, names: Iterable[str]) -> list[Partition]:
        """Return all partitions of the topics."""
        return [
            (name, number)
            for name in names
            for number in range(topics.topic_named(name).partitions)
        ]

    def read(self, place: Partition, start: int, end: int | None = None) -> list[LocalMessage]:
        """Return the messages of a partition from an offset up to, not including, another."""
        return self._partitions.get(place, [])[start:end]

    def messages(self, topic: str) -> list[LocalMessage]:
        """Return all messages of a topic in the order in which they were appended."""
        found = [m for place, group in self._partitions.items() if place[0] == topic for m in group]
        return sorted(found, key=lambda message: message.sequence)

    def events(self, topic: str) -> list[Event]:
        """Return all events of a topic in the order in which they were appended.

        Raises DecodeError when a message is none.
        """
        classes = topics.topic_named(topic).events
        values = [message.value() for message in self.messages(topic)]
        return [self.codec.decode(value, *classes) for value in values if value is not None]

    def catalogue(self) -> Catalogue:
        """Return what the compacted topics say; bad entries change nothing."""
        updates = []
        for topic in topics.CATALOGUE:
            for place in self.places([topic.name]):
                for message in self.read(place, self._catalogue.positions.get(place, 0)):
                    try:
                        updates.append(catalogue.update_of(message, self.codec))
                    except ContractError as error:
                        catalogue.log_bad(message, error)
        if updates:
            self._catalogue = self._catalogue.apply(updates)
        return self._catalogue

    def newest_snapshots(self) -> dict[str, Snapshot]:
        """Return the newest snapshot per key."""
        newest = {
            (message.key() or b"").decode(): value
            for message in self.messages(snapshots.TOPIC)
            if (value := message.value()) is not None
        }
        return snapshots.decode_all(newest, self.codec)


class LocalHost:
    """Runs processors over a local log, as the batch host does over Kafka."""

    def __init__(
        self,
        specs: Sequence[Spec],
        log: LocalLog,
        *,
        batch: int = 500,
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._log = log
        self._batch = batch
        self._max_bad_share = max_bad_share
        self._work: dict[str, Work] = {}
        self._reading: dict[str, dict[Partition, int]] = {}

    def run_until_idle(self, now_ms: int) -> None:
        """Process, at time `now_ms`, until no messages are left and no timer is due.

        Raises TooManyBad, and whatever a processor raises.
        """
        self._log.now_ms = now_ms
        while any([self.turn(name) for name in self._specs]):  # noqa: C419 - all of them, always
            pass

    def turn(self, name: str, *, commit: bool = True) -> bool:
        """Let one processor take a batch and its due timers; tell whether anything happened."""
        spec = self._specs[name]
        work = self._work.get(name) or self._take_over(spec)
        messages = self._poll(name)
        step = work.apply(messages, self._log.now_ms, self._log.catalogue(), self._at_end(name))
        if commit:
            self._commit(spec, work)
        return bool(messages or step.outputs)

    def crash(self, *names: str) -> None:
        """Forget processors (all by default) and what they had not committed."""
        for name in names or tuple(self._specs):
            self._work.pop(name, None)
            self._reading.pop(name, None)

    def _take_over(self, spec: Spec) -> Work:
        counts = {name: topics.topic_named(name).partitions for name in spec.inputs}
        work = Work(spec, self._log.codec, "local", self._max_bad_share, counts)
        known = self._log.committed.get(spec.name, {})
        committed = {place: known.get(place, 0) for place in self._log.places(spec.inputs)}
        found = self._log.newest_snapshots() if spec.transactional else {}
        again = work.take_over(committed, found)
        view = self._log.catalogue()
        for place, (first, end) in again.items():
            work.rebuild(self._log.read(place, first, end), view)
        self._work[spec.name] = work
        self._reading[spec.name] = dict(work.positions())
        return work

    def _poll(self, name: str) -> list[LocalMessage]:
        reading = self._reading[name]
        waiting = [
            m for place, at in reading.items() for m in self._log.read(place, at, at + self._batch)
        ]
        found = sorted(waiting, key=lambda message: message.sequence)[: self._batch]
        for message in found:
            reading[message.place] = message.offset() + 1
        return found

    def _at_end(self, name: str) -> set[Partition]:
        return {place for place, at in self._reading[name].items() if not self._log.read(place, at)}

    def _commit(self, spec: Spec, work: Work) -> None:
        if work.commit_due() is None:
            return
        outputs = sendable(work.held, self._log.codec, processor=spec.name, now_ms=self._log.now_ms)
        states = work.snapshots(self._log.now_ms) if spec.transactional else []
        saved = encoded(states, self._log.codec)
        offsets: Mapping[Partition, int] = work.offsets()
        self._log.append([*outputs, *saved])
        self._log.committed.setdefault(spec.name, {}).update(offsets)
        work.committed([len(state.value) for state in saved], self._log.now_ms)

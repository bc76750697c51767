"""Reading and writing catalogue entries from commands: one connection each, acknowledged."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from schemas import topics
from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.errors import ContractError
from schemas.identity import stable_id
from schemas.records import SourceRange
from workers.catalogue import CatalogueReader, log_bad, update_of
from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka.reading import read_all, read_ranges
from workers.kafka.steady import SteadyProducer
from workers.registry import Registry
from workers.settings import Settings

E = TypeVar("E", bound=Event)
CONNECT_S = 5.0
SEND_S = 30.0


class Entries:
    """The catalogue and the topics, as commands use them; a context manager.

    Who makes several may give them one producer.
    Making it raises KafkaUnavailable when no broker answers within 5 s.
    """

    def __init__(self, settings: Settings, producer: SteadyProducer | None = None) -> None:
        self._settings = settings
        self._cluster = kafka.cluster_id(settings.kafka, CONNECT_S)
        self._registry = Registry(settings.registry)
        self._codec = self._registry.codec()
        self._producer = producer or SteadyProducer(settings.kafka)
        if producer is None:
            self._producer.meet()
        self._lost: list[str] = []
        self.tombstones: list[str] = []
        """What rows in ClickHouse call the removals that the broker has, in order."""

    @property
    def settings(self) -> Settings:
        """Return the settings with which it was made."""
        return self._settings

    def catalogue(self, *kinds: type[Event]) -> Catalogue:
        """Return the entries of some classes, read to the end now.

        Raises KafkaUnavailable or RegistryUnavailable.
        """
        found: list[Update] = []
        for message in read_all(self._settings.kafka, sorted(_homes(kinds))):
            try:
                found.append(update_of(message, self._codec))
            except ContractError as error:
                log_bad(message, error)
        return Catalogue().apply(found)

    def of(self, kind: type[E]) -> Mapping[str, E]:
        """Return all entries of one class by key."""
        return self.catalogue(kind).of(kind)

    def catalogue_at(self, offsets: Iterable[SourceRange], *kinds: type[Event]) -> Catalogue:
        """Return the entries of some classes as they were at recorded offsets.

        What the log has lost since by compaction was replaced by something newer, and is lacking.
        Raises KafkaUnavailable or RegistryUnavailable.
        """
        homes = _homes(kinds)
        ranges = {
            (one.topic, one.partition): (0, one.last + 1)
            for one in offsets
            if one.topic in homes and one.last >= 0
        }
        found: list[Update] = []
        for messages in read_ranges(self._settings.kafka, ranges):
            for message in messages:
                with suppress(ContractError):
                    found.append(update_of(message, self._codec))
        return Catalogue().apply(found)

    def events(self, topic: str, key: str = "", naming: Collection[str] = ()) -> list[Event]:
        """Return the events that a topic holds, of one key or of all; unreadable ones are left out.

        With `naming`, only those in which one of these texts stands, such as an id. Raises
        KafkaUnavailable or RegistryUnavailable.
        """
        texts = [text.encode() for text in naming]
        known, wanted = topics.topic_named(topic).events, key.encode()
        found: list[Event] = []
        for message in read_all(self._settings.kafka, [topic]):
            value = message.value()
            if value is None or (key and message.key() != wanted):
                continue
            if texts and not any(text in value for text in texts):
                continue
            with suppress(ContractError):
                found.append(self._codec.decode(value, *known))
        return found

    def follow(self, *kinds: type[Event]) -> CatalogueReader:
        """Return a reader that keeps up with the entries of some classes; not started yet."""
        return CatalogueReader(self._settings.kafka, self._codec, kinds)

    def add(self, event: Event, topic: str | None = None) -> None:
        """Hand an event to the producer; `flush` makes it safe.

        Raises EncodeError when a value does not fit, KafkaUnavailable when an earlier one is lost.
        """
        value = self._codec.encode(event)
        self._produce(topic or topics.topic_of(event), topics.key_of(event), value)

    def remove(self, kind: type[Event], key: str) -> None:
        """Hand a tombstone to the producer."""
        self._produce(topics.home_of(kind).name, key, None)

    def send(self, events: Iterable[Event]) -> None:
        """Return when the broker has all events. Raises as `add` and `flush`."""
        for event in events:
            self.add(event)
        self.flush()

    def flush(self) -> None:
        """Return when the broker has everything. Raises KafkaUnavailable when it has not."""
        left = self._producer.flush(SEND_S)
        if left:
            self._lost.append(f"no answer within {SEND_S:.0f} s")
        self._check()

    def _produce(self, topic: str, key: str, value: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key=key.encode(), on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
                self._check()
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._lost.append(str(error))
        elif message.value() is None:
            place = (message.topic(), message.partition(), message.offset())
            self.tombstones.append(stable_id("tombstone", self._cluster, *place))

    def _check(self) -> None:
        if self._lost:
            where = self._settings.kafka.bootstrap
            raise KafkaUnavailable(f"Kafka at {where} did not take an event: {self._lost[0]}")

    def close(self) -> None:
        """Close the connections."""
        self._registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _homes(kinds: Iterable[type[Event]]) -> set[str]:
    return {topics.home_of(kind).name for kind in kinds}

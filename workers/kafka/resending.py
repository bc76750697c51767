"""Messages sent again, behind the door to Kafka: read where they stood, repeated in transactions.

A copy and the event that tells of it appear together or not at all, and whoever began before is
fenced, so that two people who mend the same thing at once do not do it twice.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from confluent_kafka import KafkaException, Message, TopicPartition
from typing_extensions import Self

from workers.errors import KafkaUnavailable, RecoveryRefused
from workers.kafka import clients as kafka
from workers.kafka import ends as kafka_ends
from workers.kafka.sending import FENCED, Outgoing
from workers.settings import KafkaSettings

CALL_S = 15.0
Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A message to be sent as it was."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def read_at(
    settings: KafkaSettings, places: Iterable[Place], timeout_s: float = 60.0
) -> dict[Place, Message]:
    """Return the messages that still stand where they stood; the others are left out.

    What never stood anywhere (a negative partition) is left out too.

    Raises KafkaUnavailable when the broker does not answer for `timeout_s`.
    """
    asked = sorted(set(places))
    counts = kafka.partition_counts(settings, needed={topic for topic, _, _ in asked})
    ends = kafka_ends.ends(settings, {p[:2] for p in asked if 0 <= p[1] < counts.get(p[0], 0)})
    wanted: dict[tuple[str, int], list[int]] = {}
    for topic, partition, offset in asked:
        end = ends.get((topic, partition))
        if end is not None and offset < end.stable:
            wanted.setdefault((topic, partition), []).append(offset)
    found: dict[Place, Message] = {}
    client = kafka.reader(settings)
    try:
        while wanted:
            client.assign([TopicPartition(*place, at[0]) for place, at in wanted.items()])
            seen = _read_each(client, settings, wanted, timeout_s)
            for place, messages in seen.items():
                offsets = {int(message.offset() or 0): message for message in messages}
                found |= {(*place, at): offsets[at] for at in wanted[place] if at in offsets}
                last = max([*offsets, wanted[place][0]])
                wanted[place] = [at for at in wanted[place] if at > last]
            wanted = {place: offsets for place, offsets in wanted.items() if offsets}
    finally:
        client.close()
    return found


def _read_each(
    client: kafka.ConsumerClient,
    settings: KafkaSettings,
    places: Iterable[tuple[str, int]],
    timeout_s: float,
) -> dict[tuple[str, int], list[Message]]:
    """Read until something, an end at least, was heard of every partition."""
    heard: dict[tuple[str, int], list[Message]] = {}
    until = time.monotonic() + timeout_s
    while heard.keys() != set(places):
        for message in kafka.drain(client, 500, 0.1):
            kafka.check_alive(settings, message)
            if kafka.is_eof(message):
                heard.setdefault(kafka.place_of(message), [])
            elif message.error() is None:
                heard.setdefault(kafka.place_of(message), []).append(message)
        if time.monotonic() > until:
            raise KafkaUnavailable(
                f"Kafka at {settings.bootstrap}: no answer for {timeout_s:.0f} s while reading "
                "messages where they stood"
            )
    return heard


class Resender:
    """Sends copies and what tells of them in one transaction; a context manager.

    Whoever held the transactional id before is fenced when this one opens.
    """

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        """Open it. Raises KafkaUnavailable."""
        self._settings = settings
        self._producer = kafka.transactional_producer(settings, transactional_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._producer.flush(CALL_S)

    def send(
        self, copies: Sequence[Copy], tell: Callable[[Sequence[Place]], Sequence[Outgoing]]
    ) -> None:
        """Send copies, and what `tell` makes of the places where they stand, all or nothing.

        Raises RecoveryRefused when somebody else began meanwhile, KafkaUnavailable.
        """
        self._transaction(lambda: self._send(copies, tell), None)

    def commit(
        self,
        records: Sequence[Outgoing],
        group: str = "",
        offsets: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        """Send records and commit offsets of a group without members, all or nothing.

        Raises RecoveryRefused when the group has members, or somebody else began meanwhile, and
        KafkaUnavailable.
        """
        self._transaction(lambda: self._produce_all(records), (group, offsets) if offsets else None)

    def _send(
        self, copies: Sequence[Copy], tell: Callable[[Sequence[Place]], Sequence[Outgoing]]
    ) -> None:
        stand: dict[int, Place] = {}

        def delivered(number: int, error: Any, message: Message) -> None:
            if error is None:
                stand[number] = (*kafka.place_of(message), int(message.offset() or 0))

        for number, copy in enumerate(copies):
            self._produce(copy, copy.headers, lambda *told, n=number: delivered(n, *told))
        self._flush()
        if len(stand) < len(copies):
            raise KafkaUnavailable(f"Kafka at {self._settings.bootstrap} took no copies; try again")
        self._produce_all(tell([stand[number] for number in range(len(copies))]))

    def _produce_all(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            self._produce(record, record.headers)

    def _produce(
        self,
        record: Copy | Outgoing,
        headers: Sequence[tuple[str, bytes | None]],
        on_delivery: Any = None,
    ) -> None:
        self._producer.produce(
            record.topic,
            record.value,
            key=record.key,
            partition=record.partition,
            headers=list(headers),
            on_delivery=on_delivery,
        )

    def _flush(self) -> None:
        if self._producer.flush(CALL_S):
            raise KafkaUnavailable(f"Kafka at {self._settings.bootstrap} takes nothing; try again")

    def _transaction(
        self,
        work: Callable[[], Any],
        committed: tuple[str, Mapping[tuple[str, int], int]] | None,
    ) -> None:
        try:
            self._producer.begin_transaction()
            work()
            self._flush()
            if committed is not None:
                self._commit_offsets(*committed)
            self._producer.commit_transaction(CALL_S)
        except KafkaUnavailable:
            self._producer.abort_transaction(CALL_S)
            raise
        except KafkaException as error:
            raise self._given_up(error) from error

    def _commit_offsets(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        client = kafka.consumer(self._settings, group)
        try:
            places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
            metadata = client.consumer_group_metadata()
            self._producer.send_offsets_to_transaction(places, metadata, CALL_S)
        finally:
            client.close()

    def _given_up(self, error: KafkaException) -> Exception:
        cause = error.args[0]
        if cause.code() in FENCED:
            return RecoveryRefused("somebody else began the same meanwhile; look, then try again")
        if cause.txn_requires_abort():
            self._producer.abort_transaction(CALL_S)
            return RecoveryRefused(f"nothing was changed: {cause.str()}")
        return kafka.unavailable(self._settings, error)

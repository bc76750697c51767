"""Where partitions end, and what waits behind a position. Behind the door to Kafka.

Ends are met by reading, not asked for: a broker may answer ListOffsets with the first offset of
the last batch.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message, TopicPartition
from confluent_kafka.admin._listoffsets import OffsetSpec

from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka.cluster import answer
from workers.kafka.groups import Place
from workers.settings import KafkaSettings

READ_S = 10.0
_LAST = 2
"""The last offset may be the mark of a transaction, which no reader sees."""
_QUEUED_KB = 256
"""Fetched ahead at most: one record of each partition is wanted."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a partition.

    `stable` is where readers of committed data end, `high` where the log does; `first` its first
    offset. `newest_ms` is the timestamp of one of the last two records, None when none was read;
    `appended` tells that the broker's clock made it.
    """

    stable: int
    high: int
    first: int
    newest_ms: int | None = None
    appended: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first record from a position on: its offset and its timestamp, ms since the epoch."""

    offset: int
    timestamp_ms: int


def ends(
    settings: KafkaSettings, places: Collection[Place], timeout_s: float = READ_S
) -> dict[Place, End]:
    """Return the end of each partition. Raises KafkaUnavailable when they are not met in time."""
    strictly = settings.model_copy(update={"isolation": "read_committed"})
    reading = _Reading(strictly, _near_ends(settings, places, timeout_s), timeout_s)
    newest: dict[Place, Message] = {}
    found: dict[Place, End] = {}
    for message in reading:
        place = kafka.place_of(message)
        if not kafka.is_eof(message):
            newest[place] = message
            continue
        low, high = reading.marks(place)
        found[place] = _end(low, high, int(message.offset() or 0), newest.get(place))
        reading.done(place)
    return found


def _near_ends(
    settings: KafkaSettings, places: Collection[Place], timeout_s: float
) -> dict[Place, int]:
    """Return offsets shortly before the ends, to read on from.

    They are asked for, as librdkafka's own count from the end takes half a second.
    """
    client = kafka.admin(settings)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # has no hints
    asked = {TopicPartition(*place): latest for place in places}
    if not asked:
        return {}
    futures = client.list_offsets(asked, request_timeout=timeout_s)
    return {
        (place.topic, place.partition): max(0, answer(settings, future, timeout_s).offset - _LAST)
        for place, future in futures.items()
    }


def _end(low: int, high: int, stable: int, newest: Message | None) -> End:
    if newest is None:
        return End(stable, high, low)
    kind, timestamp_ms = newest.timestamp()
    return End(stable, high, low, timestamp_ms, kind == TIMESTAMP_LOG_APPEND_TIME)


def waiting(
    settings: KafkaSettings,
    positions: Mapping[Place, int],
    timeout_s: float = READ_S,
    *,
    committed: bool = True,
) -> dict[Place, Waiting]:
    """Return the first record at or after each position; absent where there is none.

    Without `committed`, records of open transactions count too. Raises KafkaUnavailable.
    """
    how = settings if committed else settings.model_copy(update={"isolation": "read_uncommitted"})
    reading = _Reading(how, positions, timeout_s)
    found: dict[Place, Waiting] = {}
    for message in reading:
        place = kafka.place_of(message)
        if place not in found and not kafka.is_eof(message):
            found[place] = Waiting(int(message.offset() or 0), message.timestamp()[1])
        reading.done(place)
    return found


class _Reading:
    """Yields records and ends of partitions until each of them is done."""

    def __init__(
        self,
        settings: KafkaSettings,
        starts: Mapping[Place, int],
        timeout_s: float,
    ) -> None:
        self._settings = settings
        self._open = set(starts)
        self._timeout_s = timeout_s
        self._client = kafka.reader(settings, queued_max_messages_kbytes=_QUEUED_KB)
        self._client.assign([TopicPartition(*place, at) for place, at in starts.items()])

    def __iter__(self) -> "_Reading":
        self._until = time.monotonic() + self._timeout_s
        return self

    def __next__(self) -> Message:
        while self._open:
            if time.monotonic() > self._until:
                self._client.close()
                raise self._late()
            message = self._client.poll(0.1)
            if message is None:
                continue
            kafka.check_alive(self._settings, message)
            if kafka.place_of(message) in self._open and _tells(message):
                return message
        self._client.close()
        raise StopIteration

    def _late(self) -> KafkaUnavailable:
        names = sorted({topic for topic, _ in self._open})
        return KafkaUnavailable(
            f"Kafka at {self._settings.bootstrap}: the ends of {', '.join(names[:3])}"
            f"{' and others' if len(names) > 3 else ''} were not met within "
            f"{self._timeout_s:.0f} s"
        )

    def marks(self, place: Place) -> tuple[int, int]:
        """Return first offset and end of the log as the last fetch told them."""
        low, high = self._client.get_watermark_offsets(TopicPartition(*place), cached=True)
        return int(low), int(high)

    def done(self, place: Place) -> None:
        """Hear no more of a partition."""
        self._open.discard(place)
        self._client.incremental_unassign([TopicPartition(*place)])


def _tells(message: Message) -> bool:
    return message.error() is None or kafka.is_eof(message)

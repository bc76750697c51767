"""Reading partitions to their ends, without a group.

No end of a partition is asked for: partition-EOF events tell it, because a broker may answer
ListOffsets with the first offset of the last batch.
"""

import time
from collections.abc import Iterator, Mapping, Sequence, Set

from confluent_kafka import Message, TopicPartition

from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka.groups import Place
from workers.settings import KafkaSettings

FETCH_WAIT_MS = 5
"""Longest wait of a fetch: the end is what is waited for, and the embedded broker tells it then."""
OPEN_TRANSACTIONS_S = 15.0
"""Longest wait for transactions of others that hide the end of a partition; they expire in 10 s."""


def read_all(
    settings: KafkaSettings, topics: Sequence[str], timeout_s: float = 60.0
) -> Iterator[Message]:
    """Yield every committed message of the topics, up to the ends met on the way.

    What stands behind an open transaction is waited for, as long as transactions may stay open:
    an end is that of the log when it was first met, for others may write all the time.

    Raises KafkaUnavailable when the broker does not answer for `timeout_s`, or lacks a topic.
    """
    client = kafka.reader(settings, fetch_wait_max_ms=FETCH_WAIT_MS)
    try:
        yield from to_ends(client, settings, kafka.assign_all(client, settings, topics), timeout_s)
    finally:
        client.close()


def to_ends(
    client: kafka.ConsumerClient, settings: KafkaSettings, places: Set[Place], timeout_s: float
) -> Iterator[Message]:
    """Yield what a client reads of the partitions that it has just been given, as `read_all` does.

    Raises KafkaUnavailable.
    """
    open_ends = set(places)
    wanted: dict[Place, int] = {}
    hidden_until = time.monotonic() + OPEN_TRANSACTIONS_S
    patience = _Patience(settings, timeout_s)
    while open_ends:
        messages = kafka.drain(client, 5000, 0.1)
        for message in messages:
            kafka.check_alive(settings, message)
            if not kafka.is_eof(message):
                if message.error() is None:
                    yield message
            elif time.monotonic() > hidden_until or _reached(client, message, wanted):
                open_ends.discard(kafka.place_of(message))
        patience.check(bool(messages), open_ends)


def _reached(client: kafka.ConsumerClient, eof: Message, wanted: dict[Place, int]) -> bool:
    """Tell whether a reader of committed data has come to where the log ended at first."""
    place = kafka.place_of(eof)
    if place not in wanted:
        _, high = client.get_watermark_offsets(TopicPartition(*place), cached=True)
        wanted[place] = int(high)
    return int(eof.offset() or 0) >= wanted[place]


def read_ranges(
    settings: KafkaSettings,
    ranges: Mapping[Place, tuple[int, int]],
    timeout_s: float = 60.0,
) -> Iterator[list[Message]]:
    """Yield the messages from a first offset up to, not including, a second, per partition.

    A partition that ends earlier is read to its end. Raises KafkaUnavailable.
    """
    if not ranges:
        return
    client = kafka.reader(settings, fetch_wait_max_ms=FETCH_WAIT_MS)
    try:
        kafka.places_seen(client, settings)
        yield from within(client, settings, ranges, timeout_s)
    finally:
        client.close()


def within(
    client: kafka.ConsumerClient,
    settings: KafkaSettings,
    ranges: Mapping[Place, tuple[int, int]],
    timeout_s: float,
) -> Iterator[list[Message]]:
    """Give a client partitions to read, and yield what stands in the ranges, as `read_ranges` does.

    Raises KafkaUnavailable.
    """
    kafka.read_again(client, {place: first for place, (first, _) in ranges.items()})
    unfinished = {place for place, (first, end) in ranges.items() if first < end}
    patience = _Patience(settings, timeout_s)
    while unfinished:
        messages = kafka.drain(client, 5000, 0.1)
        yield [m for m in messages if m.error() is None and _before(m, ranges)]
        for message in messages:
            kafka.check_alive(settings, message)
            last = (message.offset() or 0) >= ranges[kafka.place_of(message)][1] - 1
            if kafka.is_eof(message) or (message.error() is None and last):
                unfinished.discard(kafka.place_of(message))
        patience.check(bool(messages), unfinished)


def _before(message: Message, ranges: Mapping[Place, tuple[int, int]]) -> bool:
    return (message.offset() or 0) < ranges[kafka.place_of(message)][1]


class _Patience:
    """Raises KafkaUnavailable when nothing comes for too long."""

    def __init__(self, settings: KafkaSettings, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._until = time.monotonic() + timeout_s

    def check(self, heard: bool, waiting: Set[Place]) -> None:
        if heard:
            self._until = time.monotonic() + self._timeout_s
        elif waiting and time.monotonic() > self._until:
            names = ", ".join(sorted({topic for topic, _ in waiting}))
            raise KafkaUnavailable(
                f"Kafka at {self._settings.bootstrap}: no answer for {self._timeout_s:.0f} s "
                f"while reading {names}"
            )

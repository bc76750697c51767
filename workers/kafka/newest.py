"""The newest messages of some keys: a topic read in pieces from its end backwards.

A log that is not compacted, or not yet, holds all that was ever written of a key. The newest of a
key that is written now and then stands near the end, so that what is read does not grow with the
log. The pieces leave nothing out, so what is found is the newest wherever it stands.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Protocol, TypeVar

from confluent_kafka import KafkaException, Message, TopicPartition

from workers.kafka import clients as kafka
from workers.kafka.groups import Place
from workers.kafka.reading import FETCH_WAIT_MS, to_ends, within
from workers.settings import KafkaSettings

PIECE, GROWTH = 1_000, 4
"""Offsets in the first piece, and how much longer each further one is than that before it."""


class Keyed(Protocol):
    """What is looked at of a message."""

    def key(self) -> bytes | None:
        """Return the key."""
        ...


K = TypeVar("K", bound=Keyed)


def newest(
    settings: KafkaSettings,
    topic: str,
    keys: Collection[bytes],
    timeout_s: float = 60.0,
    *,
    others: bool = False,
) -> dict[bytes, Message]:
    """Return the newest committed message of each key that has one, tombstones included.

    Those committed when the ends are met count. With `others` it has the keys too that nobody
    asked for, as far as they stand in what was read. Raises KafkaUnavailable when the broker does
    not answer for `timeout_s`, or lacks the topic.
    """
    client = kafka.reader(settings, fetch_wait_max_ms=FETCH_WAIT_MS)
    with closing(client), closing(_pieces(client, settings, topic, timeout_s)) as pieces:
        return newest_in(pieces, keys, others=others)


def newest_in(
    pieces: Iterable[Iterable[K]], keys: Collection[bytes], *, others: bool = False
) -> dict[bytes, K]:
    """Return the last of each key; the last piece comes first, each in the order of its log. Pure.

    No further piece is asked for once all keys are found; `others` as in `newest`.
    """
    found: dict[bytes, K] = {}
    left = set(keys)
    for piece in pieces if left else ():
        later = {
            key: one
            for one in piece
            if (key := one.key()) is not None and (key in left or (others and key not in found))
        }
        found |= later
        left -= later.keys()
        if not left:
            break
    return found


def spans(end: int) -> Iterator[tuple[int, int]]:
    """Yield first offset and end of each piece that stands before an offset, the last one first."""
    size = PIECE * GROWTH
    while end > 0:
        yield max(0, end - size), end
        end, size = end - size, size * GROWTH


def _pieces(
    client: kafka.ConsumerClient, settings: KafkaSettings, topic: str, timeout_s: float
) -> Generator[Iterable[Message], None, None]:
    starts = _near_ends(client, settings, kafka.places_of(client, settings, [topic]))
    kafka.read_again(client, starts)
    yield to_ends(client, settings, starts.keys(), timeout_s)
    earlier = {place: spans(start) for place, start in starts.items()}
    while ranges := {place: span for place, left in earlier.items() if (span := next(left, None))}:
        yield chain.from_iterable(within(client, settings, ranges, timeout_s))


def _near_ends(
    client: kafka.ConsumerClient, settings: KafkaSettings, places: Collection[Place]
) -> Mapping[Place, int]:
    """Return the offset at which the last piece of each partition begins."""
    try:
        ends = {
            place: client.get_watermark_offsets(TopicPartition(*place), timeout=kafka.ASK_S)
            for place in places
        }
    except KafkaException as error:
        raise kafka.unavailable(settings, error) from error
    return {place: max(0, high - PIECE) for place, (_, high) in ends.items()}

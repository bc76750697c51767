"""Messages that stand in another partition than their key says, and the way home for them.

What comes from outside is not trusted to use our partitioner, or any key at all. An instance that
joined or counted such messages would see half of a thing, so they are sent again to where they
belong, as they are, with a header that says where they stood. One processor does so for each
topic, its mover in the topic table; everybody else passes over them.
"""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from schemas import topics
from schemas.partitioning import partition_of
from schemas.processing import Partition, Record
from workers.kafka import RawMessage
from workers.kafka_sending import Outgoing

HEADER = "weir-moved-from"
"""Carries topic/partition/offset of the message that was sent again."""
MOST_KNOWN = 100_000


class Homes:
    """Knows where keys belong, and what `processor` is to move.

    `counts` has the number of partitions per topic; without one everything is at home.

    In columns a message key is trusted once it was seen to be right: to check each row would cost
    as much as all the rest.
    """

    def __init__(self, counts: Mapping[str, int], processor: str) -> None:
        self._counts = {
            topic.name: counts[topic.name]
            for topic in topics.TOPICS.values()
            if topic.mover and counts.get(topic.name, 1) > 1
        }
        self._processor = processor
        self._known: dict[Partition, set[bytes]] = {}

    def records(
        self, records: Sequence[Record], messages: Iterable[RawMessage]
    ) -> tuple[list[Record], list[Outgoing]]:
        """Split decoded records into those at home and messages for the others."""
        astray = {
            (record.topic, record.partition, record.offset): home
            for record in records
            if (home := self._home_of(record)) is not None
        }
        if not astray:
            return list(records), []
        good = [r for r in records if (r.topic, r.partition, r.offset) not in astray]
        moved = []
        for message in messages:
            home = astray.get((str(message.topic()), message.partition(), message.offset()))  # type: ignore[arg-type]
            if home is not None and self._moves(str(message.topic())):
                moved.append(_sent_again(message, *home))
        return good, moved

    def _moves(self, topic: str) -> bool:
        return topics.topic_named(topic).mover == self._processor

    def _home_of(self, record: Record) -> tuple[str, int] | None:
        count = self._counts.get(record.topic, 1)
        if count == 1:
            return None
        key = topics.key_of(record.event)
        home = partition_of(key, count)
        return None if home == record.partition else (key, home)

    def rows(
        self, frame: pl.DataFrame, messages: Sequence[RawMessage], place: Partition
    ) -> tuple[pl.DataFrame, list[Outgoing]]:
        """Split a frame of one partition, with `_offset`, in the same way."""
        count = self._counts.get(place[0], 1)
        known = self._known.setdefault(place, set())
        if count == 1:
            return frame, []
        strange = [message for message in messages if message.key() not in known]
        if not strange:
            return frame, []
        doubtful = {message.offset(): message for message in strange}
        homes: dict[str, int] = {}
        moved: dict[int, Outgoing] = {}
        columns = [*topics.topic_named(place[0]).key, "_offset"]
        rows = frame.select(columns).filter(pl.col("_offset").is_in(list(doubtful)))
        for *parts, offset in rows.iter_rows():
            key = "/".join(str(part) for part in parts)
            home = homes.get(key)
            if home is None:
                home = homes[key] = partition_of(key, count)
            if home != place[1]:
                moved[offset] = _sent_again(doubtful[offset], key, home)
            elif doubtful[offset].key() == key.encode() and len(known) < MOST_KNOWN:
                known.add(key.encode())
        if not moved:
            return frame, []
        good = frame.filter(~pl.col("_offset").is_in(list(moved)))
        return good, list(moved.values()) if self._moves(place[0]) else []


def _sent_again(message: RawMessage, key: str, partition: int) -> Outgoing:
    stood = f"{message.topic()}/{message.partition()}/{message.offset()}"
    return Outgoing(
        str(message.topic()),
        key.encode(),
        message.value() or b"",
        partition,
        ((HEADER, stood.encode()),),
    )

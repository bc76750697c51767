"""Events as messages that stood on a topic, and their way into tables."""

from dataclasses import dataclass

import polars as pl

from schemas.base import Event
from schemas.topics import key_of, topic_named, topic_of
from tests.examples import codec
from workers.clickhouse import Database
from workers.sinking.rows import Rows, rows_of

CLUSTER = "cluster-1"


@dataclass(frozen=True)
class Stood:
    """A message and where it stood."""

    at_topic: str
    at_offset: int
    payload: bytes | None
    name: bytes | None = None
    at_partition: int = 0
    at: int = 2_000_000_000_000

    def topic(self) -> str:
        return self.at_topic

    def partition(self) -> int:
        return self.at_partition

    def offset(self) -> int:
        return self.at_offset

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes | None:
        return self.payload

    def timestamp(self) -> tuple[int, int]:
        return 1, self.at

    def headers(self) -> list[tuple[str, bytes | None]]:
        return []


def stood(event: Event, offset: int, partition: int = 0) -> Stood:
    """Return an event as the message that it would be."""
    value, key = codec().encode(event), key_of(event).encode()
    return Stood(topic_of(event), offset, value, key, partition)


def rows(messages: list[Stood], cluster: str = CLUSTER) -> Rows:
    """Return the rows of messages of one topic."""
    return rows_of(topic_named(messages[0].topic()), messages, codec(), cluster)


def store(database: Database, *events: Event, first: int = 0, cluster: str = CLUSTER) -> None:
    """Store events as the sink would, at offsets from `first` on in their topics' partition 0."""
    by_topic: dict[str, list[Stood]] = {}
    for event in events:
        there = by_topic.setdefault(topic_of(event), [])
        there.append(stood(event, first + len(there)))
    for messages in by_topic.values():
        insert(database, rows(messages, cluster))


def insert(database: Database, given: Rows) -> None:
    """Insert rows, none of which may be wrong."""
    assert given.unusable == ()
    for table, frame in given.frames:
        assert isinstance(frame, pl.DataFrame)
        database.insert(table.name, frame)

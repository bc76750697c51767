"""From messages to rows in ClickHouse, with what cannot be stored told apart.

A row that ClickHouse refuses for what it holds is found by halving its block, and goes the way of
every message that cannot be stored; the others are stored, in the order of the log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

import polars as pl

from schemas.codec import Codec
from schemas.errors import InvalidEvent
from schemas.registrations import ErasureRequested
from schemas.topics import topic_named
from workers.clickhouse import Database
from workers.errors import RowsRefused
from workers.hosting.retries import meant_for
from workers.kafka.clients import RawMessage
from workers.sinking.erasing import redacted
from workers.sinking.rows import Unusable, rows_of
from workers.sinking.tables import Table, tables

NAME = "sink"
"""How the sink is called, also where copies of messages are meant for it."""
REFUSED = "refused-by-clickhouse"
T = TypeVar("T")
P = ParamSpec("P")
Report = Callable[[Sequence[Unusable]], None]
Missing = Callable[[Table, pl.DataFrame], pl.DataFrame]
Erase = Callable[[pl.DataFrame], None]


class Waiting(Protocol):
    """Does something that may have to be tried again."""

    def __call__(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the action gives."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """How many rows were inserted, and how many messages cannot be stored."""

    rows: int = 0
    unusable: int = 0


class Storing:
    """Puts messages into ClickHouse.

    `report` is told what cannot be stored before its neighbours are stored; `missing` may leave
    out rows that need not be inserted. Columns in `redact` are stored empty; `erase` is
    handed the erasures that are stored.
    """

    def __init__(
        self,
        database: Database,
        codec: Codec,
        cluster: str,
        waiting: Waiting,
        report: Report,
        missing: Missing = lambda _, frame: frame,
        *,
        erase: Erase = lambda _: None,
        redact: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._codec = codec
        self._cluster = cluster
        self._waiting = waiting
        self._report = report
        self._missing = missing
        self._erase = erase
        self._redact = redact

    def store(self, messages: Iterable[RawMessage], partitions: Mapping[str, int]) -> Stored:
        """Store messages of any topics, whose numbers of partitions are given.

        Raises ClickHouseRefused when ClickHouse refuses more than single rows.
        """
        frames: dict[Table, list[pl.DataFrame]] = {}
        by_topic = _by_topic(messages)
        unusable = 0
        for name, all_ in by_topic.items():
            part = meant_for(all_, NAME)
            topic, count = topic_named(name), partitions[name]
            rows = self._waiting(rows_of, topic, part, self._codec, self._cluster, count)
            unusable += len(rows.unusable)
            self._report(rows.unusable)
            for table, frame in rows.frames:
                frames.setdefault(table, []).append(frame)
        inserted = 0
        for table, parts in frames.items():
            frame = self._waiting(self._missing, table, pl.concat(parts, how="diagonal"))
            kept = redacted(table, frame, self._redact)
            refused = self._insert(table, kept, by_topic) if frame.height else 0
            unusable += refused
            inserted += frame.height - refused
        asked = frames.get(tables()[ErasureRequested])
        if asked is not None:
            self._waiting(self._erase, pl.concat(asked, how="diagonal"))
        return Stored(inserted, unusable)

    def _insert(
        self, table: Table, frame: pl.DataFrame, messages: Mapping[str, Sequence[RawMessage]]
    ) -> int:
        """Insert a block, without the rows that are refused; return how many these are."""
        try:
            self._waiting(self._database.insert, table.name, frame)
        except RowsRefused as error:
            if frame.height > 1:
                half = frame.height // 2
                first = self._insert(table, frame[:half], messages)
                return first + self._insert(table, frame[half:], messages)
            why = InvalidEvent(REFUSED, "", f"table {table.name}: {error}")
            self._report([Unusable(_standing(frame, messages), why)])
            return 1
        return 0


def _standing(row: pl.DataFrame, messages: Mapping[str, Sequence[RawMessage]]) -> RawMessage:
    """Return the message that a row was made of."""
    topic, *place = row.select("_topic", "_partition", "_offset").row(0)
    return next(m for m in messages[topic] if [m.partition(), m.offset()] == place)


def _by_topic(messages: Iterable[RawMessage]) -> dict[str, list[RawMessage]]:
    topics: dict[str, list[RawMessage]] = {}
    for message in messages:
        topics.setdefault(str(message.topic()), []).append(message)
    return topics

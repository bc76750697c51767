"""The ClickHouse sink: every event of every topic becomes a row, once as the views see it.

It belongs to no consumer group. Where it goes on, ClickHouse says: each partition begins after the
highest offset that the tables hold. A block of a table is inserted whole or not at all and in the
order of the log, so that offset never lies; what is inserted twice is one row under FINAL.
A message that cannot be stored becomes a dead letter, which is on Kafka before the rows around it
are in ClickHouse.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import polars as pl

from schemas.topics import key_of, topic_named, topic_of
from workers import kafka, telemetry
from workers.clickhouse import Database, connect
from workers.clock import wall_ms
from workers.deadletters import Refused, dead_letter
from workers.errors import HostStopped, KafkaUnavailable, Unavailable
from workers.host_retries import meant_for
from workers.registry import Registry
from workers.settings import Settings
from workers.sink_migrations import migrate
from workers.sink_positions import Place, is_stored, positions
from workers.sink_rows import Unusable, rows_of
from workers.sink_tables import Table

T = TypeVar("T")
P = ParamSpec("P")
NAME = "sink"
_FETCH_KB = 16_384
_FETCH_WAIT_MS = 150
_REPORTED = 500
_TAKEN = 5_000
_DELIVERY_S = 15.0
_POLL_S = 0.1
_REST_S = 3.0
_QUIET_S = 0.3
_log = telemetry.logger(NAME)


@dataclass(frozen=True, slots=True)
class SinkParams:
    """How large and how old a batch may grow, how often new topics are looked for, and patience.

    Rows; bytes; ms; ms; and the first and the longest pause between tries, ms.
    """

    rows: int = 20_000
    bytes: int = 64 * 1_048_576
    age_ms: int = 300
    look_ms: int = 2_000
    pause_ms: int = 200
    longest_pause_ms: int = 5_000


def run(
    settings: Settings,
    stop: threading.Event,
    params: SinkParams | None = None,
    ready: threading.Event | None = None,
) -> None:
    """Store events until `stop` is set; waits, without losing any, while a part is away.

    `ready` is set when tables and views are there and partitions are followed. After `stop` what
    still comes is stored for a moment, because an embedded broker ends with all that it holds.
    Raises ClickHouseRefused when ClickHouse refuses what is right here: after a restart, which
    brings the tables up to date, it goes on where it stood.
    """
    params = params or SinkParams()
    waiting = Patience(stop, params)
    try:
        database = waiting(connect, settings.clickhouse)
        try:
            changed = waiting(migrate, database)
            _log.info("sink.migrated", changed=len(changed))
            _Sink(settings, database, waiting, params).run(stop, ready or threading.Event())
        finally:
            database.close()
    except HostStopped as stopped:
        _log.info("sink.stopped", why=str(stopped))


class Patience:
    """Tries again, ever more slowly, while something that is needed cannot be reached."""

    def __init__(self, stop: threading.Event, params: SinkParams) -> None:
        self._stop = stop
        self._params = params

    def __call__(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the action gives, however long it takes.

        Raises HostStopped when it failed and the process is to stop; what was not stored will be
        read again.
        """
        pause = self._params.pause_ms
        while True:
            try:
                return action(*args, **kwargs)
            except Unavailable as error:
                _log.warning("sink.waits", why=str(error), pause_ms=pause)
                if self._stop.wait(pause / 1000):
                    raise HostStopped(f"stopped while waiting: {error}") from error
                pause = min(pause * 2, self._params.longest_pause_ms)


class _Sink:
    def __init__(
        self, settings: Settings, database: Database, waiting: Patience, params: SinkParams
    ) -> None:
        self._settings = settings
        self._database = database
        self._waiting = waiting
        self._params = params
        self._cluster = waiting(kafka.cluster_id, settings.kafka)
        self._starts = waiting(positions, database, self._cluster)
        self._registry = Registry(settings.registry)
        self._codec = self._registry.codec()
        self._producer = kafka.producer(settings.kafka)
        self._client = kafka.reader(
            settings.kafka, queued_max_messages_kbytes=_FETCH_KB, fetch_wait_max_ms=_FETCH_WAIT_MS
        )
        self._assigned: set[Place] = set()
        self._look_at = 0.0
        self._begin()

    def _begin(self) -> None:
        self._batch: list[kafka.RawMessage] = []
        self._bytes = 0
        self._since = 0.0

    def run(self, stop: threading.Event, ready: threading.Event) -> None:
        """Read and store until told to stop, then what is still there."""
        _log.info("sink.started", cluster=self._cluster, known=len(self._starts))
        try:
            while not stop.is_set():
                self._look()
                if self._assigned:
                    ready.set()
                self._take()
                if self._is_due():
                    self._store()
            self._take_rest()
            self._store()
        finally:
            self._client.close()
            self._registry.close()
            self._producer.flush(_DELIVERY_S)

    def _look(self) -> None:
        """Follow the topics there are: workers make theirs when they start."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + self._params.look_ms / 1000
        try:
            seen = kafka.places_seen(self._client, self._settings.kafka)
        except KafkaUnavailable as error:
            _log.warning("sink.waits", why=str(error))
            return
        new = {place for place in seen if is_stored(place[0])} - self._assigned
        if new:
            kafka.assign_more(self._client, {place: self._starts.get(place, 0) for place in new})
            self._assigned |= new

    def _take_rest(self) -> None:
        begun = heard = time.monotonic()
        while (now := time.monotonic()) - begun < _REST_S and now - heard < _QUIET_S:
            if self._take():
                heard = time.monotonic()
            if self._is_due():
                self._store()

    def _take(self) -> int:
        """Take messages into the batch, and return how many."""
        before = len(self._batch)
        left = min(_TAKEN, self._params.rows - len(self._batch))
        for message in kafka.drain(self._client, left, self._wait_s()):
            if message.error() is None:
                self._since = self._since or time.monotonic()
                self._batch.append(message)
                self._bytes += len(message.value() or b"")
            elif not kafka.is_eof(message):
                kafka.check_alive(self._settings.kafka, message)
        return len(self._batch) - before

    def _wait_s(self) -> float:
        if not self._batch:
            return _POLL_S
        age = time.monotonic() - self._since
        return min(_POLL_S, max(0.0, self._params.age_ms / 1000 - age))

    def _is_due(self) -> bool:
        if len(self._batch) >= self._params.rows or self._bytes >= self._params.bytes:
            return True
        age = time.monotonic() - self._since
        return bool(self._batch) and age * 1000 >= self._params.age_ms

    def _store(self) -> None:
        """Put the batch into ClickHouse: dead letters first, then one block for each table."""
        frames: dict[Table, list[pl.DataFrame]] = {}
        for name, messages in _by_topic(self._batch).items():
            topic = topic_named(name)
            partitions = sum(1 for place in self._assigned if place[0] == name)
            mine = meant_for(messages, NAME)
            rows = self._waiting(rows_of, topic, mine, self._codec, self._cluster, partitions)
            for first in range(0, len(rows.unusable), _REPORTED):
                self._waiting(self._report, rows.unusable[first : first + _REPORTED])
            for table, frame in rows.frames:
                frames.setdefault(table, []).append(frame)
        for table, parts in frames.items():
            self._waiting(self._database.insert, table.name, pl.concat(parts, how="diagonal"))
        self._begin()

    def _report(self, unusable: Sequence[Unusable]) -> None:
        """Have the broker confirm a dead letter for each message that cannot be stored."""
        failures: list[str] = []
        for bad in unusable:
            refused = Refused.of(bad.message)
            event = dead_letter(
                refused, bad.error, processor=NAME, now_ms=wall_ms(), cluster=self._cluster
            )
            self._producer.produce(
                topic_of(event),
                self._codec.encode(event),
                key_of(event),
                on_delivery=lambda error, _: failures.append(str(error)) if error else None,
            )
            self._producer.poll(0)
        if self._producer.flush(_DELIVERY_S) or failures:
            raise KafkaUnavailable(f"dead letters not delivered: {failures[:1] or 'no answer'}")
        _log.warning("sink.refused", messages=len(unusable), first=str(unusable[0].error))


def _by_topic(messages: Iterable[kafka.RawMessage]) -> dict[str, list[kafka.RawMessage]]:
    topics: dict[str, list[kafka.RawMessage]] = {}
    for message in messages:
        topics.setdefault(str(message.topic()), []).append(message)
    return topics

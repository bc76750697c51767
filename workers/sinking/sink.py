"""The ClickHouse sink: every event of every topic becomes a row, once as the views see it.

It belongs to no consumer group. Where it goes on, ClickHouse says: each partition begins after the
highest offset that the tables hold. A block of a table is inserted whole or not at all and in the
order of the log, so that offset never lies; what is inserted twice is one row under FINAL.
A message that cannot be stored becomes a dead letter, which is on Kafka before the rows around it
are in ClickHouse.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.decisions import DeadLetter
from schemas.topics import home_of, key_of, topic_of
from workers import telemetry
from workers.clickhouse import Database, connect
from workers.clock import wall_ms
from workers.deadletters import BadShare, Refused, dead_letter
from workers.errors import HostStopped, KafkaUnavailable, TooManyBad
from workers.kafka import clients as kafka
from workers.kafka.steady import SteadyProducer
from workers.payloads.store import store_of
from workers.registry import Registry
from workers.settings import Settings
from workers.sinking import storing as sink_storing
from workers.sinking.erasing import Erasing
from workers.sinking.migrations import migrate
from workers.sinking.positions import Place, is_stored, positions
from workers.sinking.rewinding import Rewinding
from workers.sinking.rows import Unusable
from workers.sinking.storing import REFUSED, Storing
from workers.sinking.waiting import Patience, Pauses

NAME = sink_storing.NAME
_LETTERS = home_of(DeadLetter).name
_FETCH_KB = 16_384
_FETCH_WAIT_MS = 240
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

    Rows; bytes; ms; ms; and the first and the longest pause between tries, ms, and after how long
    a silence it says that it waits, ms; and the longest wait for one answer of ClickHouse, s. What
    was stored within `again_ms` before the database's disk had trouble is stored again.
    """

    rows: int = 20_000
    bytes: int = 64 * 1_048_576
    age_ms: int = 300
    look_ms: int = 2_000
    pause_ms: int = 200
    longest_pause_ms: int = 5_000
    silence_ms: int = 5_000
    answer_s: float = 30.0
    again_ms: int = 10_000


def run(
    settings: Settings,
    stop: threading.Event,
    params: SinkParams | None = None,
    ready: threading.Event | None = None,
) -> None:
    """Store events until `stop` is set; waits, without losing any, while a part is away.

    `ready` is set while tables and views are there, partitions are followed and nothing is waited
    for. After `stop` what still comes is stored for a moment, because an embedded broker ends with
    all that it holds.
    Raises ClickHouseRefused when ClickHouse refuses what is right here: after a restart, which
    brings the tables up to date, it goes on where it stood. Raises TooManyBad when ClickHouse
    refuses most rows for what they hold.
    """
    params = params or SinkParams()
    pauses = Pauses(params.pause_ms, params.longest_pause_ms, params.silence_ms)
    waiting = Patience(stop, pauses, ready)
    try:
        database = waiting(connect, settings.clickhouse, params.answer_s)
        try:
            changed = waiting(migrate, database)
            _log.info("sink.migrated", changed=len(changed))
            _Sink(settings, database, waiting, params).run(stop)
        finally:
            database.close()
    except TooManyBad:
        raise
    except HostStopped as stopped:
        _log.info("sink.stopped", why=str(stopped))


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
        self._producer = SteadyProducer(settings.kafka)
        self._client = kafka.reader(
            settings.kafka,
            queued_max_messages_kbytes=_FETCH_KB,
            **kafka.patient(settings.kafka, _FETCH_WAIT_MS),
        )
        self._erasing = Erasing(database, store_of(settings), settings.privacy)
        self._storing = Storing(
            *(database, self._codec, self._cluster, waiting, self._tell),
            erase=self._erasing.stored,
            redact=settings.privacy.redact,
        )
        self._share = BadShare(settings.host.max_bad_share, NAME)
        self._assigned: set[Place] = set()
        self._rewinding = Rewinding(params.again_ms / 1000)
        self._look_at = 0.0
        self._begin()

    def _begin(self) -> None:
        self._batch: list[kafka.RawMessage] = []
        self._bytes = 0
        self._since = 0.0

    def run(self, stop: threading.Event) -> None:
        """Read and store until told to stop, then what is still there."""
        _log.info("sink.started", cluster=self._cluster, known=len(self._starts))
        try:
            self._waiting(self._erasing.all)
            while not stop.is_set():
                self._look()
                self._waiting(self._erasing.tend, wall_ms())
                if self._assigned:
                    self._waiting.follow()
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
            self._waiting.away(str(error))
            return
        self._waiting.back()
        new = {place for place in seen if is_stored(place[0])} - self._assigned
        if new:
            starts = {place: self._starts.get(place, 0) for place in new}
            kafka.assign_more(self._client, starts)
            self._rewinding.begin(starts)
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
        if self._batch:
            partitions = Counter(topic for topic, _ in self._assigned)
            self._storing.store(self._batch, partitions)
            self._share.count(len(self._batch), 0)
            if self._waiting.disk_trouble is None:
                self._rewinding.stored(self._batch)
        self._begin()
        if self._waiting.disk_trouble is not None:
            self._store_again(self._waiting.disk_trouble)

    def _store_again(self, since: float) -> None:
        """Read on from before the disk of the database had trouble: see sink_rewinding."""
        self._waiting.disk_trouble = None
        kafka.read_again(self._client, self._rewinding.before(since))
        _log.warning("sink.stores-again", before_s=self._params.again_ms / 1000)

    def _tell(self, unusable: Sequence[Unusable]) -> None:
        """Have dead letters made of messages that cannot be stored.

        A dead letter that ClickHouse refuses is in the log alone: another would be refused again.
        Raises TooManyBad when ClickHouse refuses most rows: then something here is wrong.
        """
        refused = [bad for bad in unusable if bad.error.kind == REFUSED]
        self._share.count(0, len(refused))
        lost = [bad for bad in refused if bad.message.topic() == _LETTERS]
        told = [bad for bad in unusable if bad not in lost]
        for first in range(0, len(told), _REPORTED):
            self._waiting(self._report, told[first : first + _REPORTED])
        for bad in lost:
            _log.error("sink.left-out", offset=bad.message.offset(), why=str(bad.error))

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
                key=key_of(event),
                on_delivery=lambda error, _: failures.append(str(error)) if error else None,
            )
            self._producer.poll(0)
        if self._producer.flush(_DELIVERY_S) or failures:
            raise KafkaUnavailable(f"dead letters not delivered: {failures[:1] or 'no answer'}")
        _log.warning("sink.refused", messages=len(unusable), first=str(unusable[0].error))

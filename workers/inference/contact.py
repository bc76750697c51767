"""What a worker has of its cluster, and what it lives on while it has none.

While Kafka is away, nothing ends: the last placement is served on, results and metrics wait on
disk, and the way back is looked for in a thread. One line in the log says so, one that it is over.
"""

import threading
import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken, DeadLetter, PlacementDecided
from schemas.errors import DecodeError
from schemas.inference import InferenceResult, InferenceTask
from schemas.observing import MetricReport
from schemas.registrations import InstanceReported
from schemas.topics import task_topic
from schemas.working import WorkerReported
from workers.clock import wall_ms
from workers.deadletters import Refused, dead_letter
from workers.edge.errors import StoreTrouble
from workers.edge.remembered import Remembered, of_node
from workers.edge.spool import Spool
from workers.edge.store import Store
from workers.edge.telling import lost_events
from workers.errors import RegistryUnavailable, WorkerError
from workers.inference.feed import Feed
from workers.inference.hosting import KINDS, PEERS
from workers.inference.link import Connection, Link
from workers.kafka.clients import RawMessage
from workers.kafka.outbox import Outbox
from workers.settings import Settings
from workers.telemetry import hush, logger

SENDS: Final = (
    InferenceResult,
    MetricReport,
    InstanceReported,
    WorkerReported,
    DeadLetter,
    ActionTaken,
)
MIB: Final = 1_048_576
COMMIT_EVERY_S: Final = 1.0
SYNC_EVERY_S: Final = 1.0
TELL_EVERY_S: Final = 60.0
CLIENT: Final = "librdkafka"
"""Whose every attempt to connect would be a line in the log."""
log = logger(__name__)


class Contact:
    """Reads tasks and sends events, to the broker or to the disk; belongs to the loop's thread."""

    def __init__(self, settings: Settings) -> None:
        own = settings.worker
        self._settings = settings
        self._node, self._worker = own.node, own.worker
        self._store = Store.at(settings.data_dir / "edge" / f"{quote(own.node, safe='')}.sqlite")
        self._spool = Spool(self._store, own.spool_mib * MIB)
        self._remembered = Remembered(self._store)
        self._feed = Feed()
        self._outbox = Outbox(settings.kafka, self._spool, self._feed.done)
        self._link = Link(settings, task_topic(own.worker), sends=SENDS, follows=_follows(settings))
        self._connection: Connection | None = None
        self._placed = self._remembered.catalogue()
        self._placed_by = self._remembered.cluster()
        self._stopping = threading.Event()
        self._cut = False
        self._clings = False
        self._syncing = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._next_commit = self._next_tell = 0.0

    def open(self) -> None:
        """Connect, or be content with what is remembered.

        Raises KafkaUnavailable or RegistryUnavailable when nothing is.
        """
        self._syncing.start()
        self._link.begin()
        self.tend()
        if self._connection is None:
            trouble = self._link.trouble
            if trouble is not None and not self._placed.of(PlacementDecided):
                raise trouble
            self._cut_off(str(trouble))

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None

    @property
    def spooled(self) -> tuple[int, int]:
        """Return how many events wait on disk for a broker, and the bytes that they take."""
        return len(self._spool), self._spool.held_bytes

    def catalogue(self) -> Catalogue:
        """Return the placements in force, the last that were known while there is no broker.

        When the broker that comes back is another cluster, in which nothing was placed yet, that
        does not end what the former one has placed.
        """
        connection = self._connection
        if connection is None:
            return self._placed
        try:
            current = connection.catalogue.current()
        except WorkerError as error:
            self._lose(str(error), spoiled=True)
            return self._placed
        waits = self._clings and connection.cluster != self._placed_by
        if current is self._placed or (waits and not current.of(PlacementDecided)):
            return self._placed
        self._clings = False
        self._placed, self._placed_by = current, connection.cluster
        try:
            self._remembered.keep(of_node(current, self._node), connection.cluster)
        except StoreTrouble as error:
            log.warning("placement.not_remembered", error=str(error))
        return current

    def past_results(self, most: int) -> list[InferenceResult]:
        """Return the last results that a former process could not send."""
        found = []
        for entry in self._spool.newest(most):
            try:
                event = entry.packed.event()
            except DecodeError:
                continue  # it is counted when its turn to be sent comes
            if isinstance(event, InferenceResult):
                found.append(event)
        return found

    def read(self, most: int, wait_s: float) -> list[RawMessage]:
        """Return tasks as they stand in the log, after waiting for a first one; none when cut off.

        Does not wait when cut off.
        """
        try:
            return self._feed.read(most, wait_s)
        except WorkerError as error:
            self._lose(str(error), spoiled=True)
            return []

    def begin(self, message: RawMessage) -> int:
        """Note a task that was read, and return the ticket by which its end is told."""
        return self._feed.begin(int(message.offset() or 0))

    def done(self, ticket: int) -> None:
        """Note that a task needs nothing more."""
        self._feed.done(ticket)

    def decode(self, message: RawMessage) -> InferenceTask:
        """Return the task in a message. Raises DecodeError, RegistryUnavailable."""
        if self._connection is None:
            raise RegistryUnavailable("there is no connection")
        return self._connection.codec.decode(message.value() or b"", InferenceTask)

    def refuse(self, message: RawMessage, error: DecodeError, ticket: int) -> None:
        """Send what is no task to the dead letters."""
        cluster = self._settings.kafka.cluster
        if not cluster and self._connection is not None:
            cluster = self._connection.cluster
        refused = Refused.of(message)
        now = wall_ms()
        letter = dead_letter(refused, error, processor="worker", now_ms=now, cluster=cluster)
        self.send([(letter, ticket)])

    def send(self, events: Iterable[tuple[Event, int | None]], *, safe: bool = False) -> None:
        """Send events, each with the ticket of the task that it ends.

        `safe` ones are on disk when this returns, as are all when cut off.
        """
        for event, ticket in events:
            self._outbox.send(event, ticket, safe=safe)
        self._outbox.settle()

    def tell(self, event: Event) -> None:
        """Send what is said again soon; nobody hears it when cut off."""
        self._outbox.tell(event)

    def tend(self) -> None:
        """Take acknowledgements, note the position, and see whether the broker is there."""
        self._outbox.poll()
        if self._connection is None:
            self._resume()
        elif (why := self._outbox.stalled) is not None:
            self._lose(why)
        elif self._outbox.heard:
            self._back()
        now = time.monotonic()
        if now >= self._next_commit:
            self._feed.commit()
            self._next_commit = now + COMMIT_EVERY_S

    def close(self, timeout_s: float) -> None:
        """Send what waits; what cannot be sent in time waits for the next process."""
        if not self._outbox.flush(timeout_s):
            self._outbox.disconnect()
            log.warning("worker.undelivered", waiting=self._outbox.waiting)
        self._feed.commit()
        self.abandon()

    def abandon(self) -> None:
        """Let go of everything."""
        self._stopping.set()
        if self._syncing.is_alive():
            self._syncing.join()
        self._link.stop()
        self._store.close()
        hush(CLIENT, quiet=False)

    def _resume(self) -> None:
        connection = self._link.current
        if connection is not None:
            self._connection = connection
            self._feed.attach(connection)
            self._outbox.connect(connection.codec)

    def _lose(self, why: str, *, spoiled: bool = False) -> None:
        self._outbox.disconnect()
        self._link.lose(self._feed.following, spoiled=spoiled)
        self._feed.detach()
        self._connection = None
        self._cut_off(why)

    def _cut_off(self, why: str) -> None:
        if not self._cut:
            log.warning("worker.cut_off", why=why, spool=str(self._store.path or "memory"))
            hush(CLIENT, quiet=True)
        self._cut = self._clings = True

    def _back(self) -> None:
        if self._cut:
            self._cut = False
            self._next_tell = 0.0
            log.info("worker.back", waiting=self._outbox.waiting)
            hush(CLIENT, quiet=False)
        now = time.monotonic()
        if now >= self._next_tell:
            self._next_tell = now + TELL_EVERY_S
            for lost in self._outbox.untold():
                event = lost_events(lost, self._node, self._worker, wall_ms())
                self.send([(event, None)], safe=True)
                self._outbox.told(lost)

    def _sync(self) -> None:
        while not self._stopping.wait(SYNC_EVERY_S):
            self._store.sync()


def _follows(settings: Settings) -> tuple[type[Event], ...]:
    """Return what is followed of the catalogue: of others only where they may be asked."""
    return (*KINDS, *PEERS) if settings.local_calls.elsewhere else KINDS

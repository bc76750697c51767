"""Worlds in which a scenario is played: a log in memory, the embedded broker, Apache Kafka."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from schemas.base import Event
from schemas.processing import Spec
from schemas.topics import TOPICS, key_of, topic_named, topic_of
from streams.embedded.apache import Apache
from streams.embedded.broker import Broker
from tests.hosts.samples import EPOCH
from workers.clock import Clock
from workers.hosting.host import BatchHost
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.local import LocalHost, LocalLog, local_codec
from workers.settings import HostSettings, KafkaSettings, Settings

CODEC = local_codec()
PATIENCE_S = 300.0
PATIENT = KafkaSettings(session_timeout_ms=6000)
"""Who leaves a group says so; a short session would expel hosts whose machine is merely busy."""
KILLED_SESSION_MS = 2_000
"""The session where hosts are killed, which say nothing: their successors wait for its end."""
LOGS = ("embedded", "apache")
"""The brokers on which hosts are tried."""
LOGS_OF_FAULTS = (pytest.param("embedded", marks=pytest.mark.faults), "apache")
"""The same where it takes long: what the weaker broker promises is then tried by `make faults`."""
LOGS_OF_FAUST = ("embedded", pytest.param("apache", marks=pytest.mark.faults))
"""The same where Faust is tried, to which both brokers are much alike."""


class World(Protocol):
    """What a scenario needs."""

    def produce(self, events: Sequence[Event]) -> None: ...
    def produce_raw(self, topic: str, value: bytes | None, key: bytes = b"") -> None: ...
    def run(self, spec: Spec, until: Callable[[], bool]) -> None: ...
    def crash(self, spec: Spec) -> None: ...
    def events(self, topic: str) -> list[Event]: ...


class LocalWorld:
    """The log in memory; its clock goes on by 5 s with every run."""

    def __init__(self, batch: int = 50) -> None:
        self.log = LocalLog(now_ms=EPOCH)
        self._batch = batch

    def produce(self, events: Sequence[Event]) -> None:
        self.log.produce(*events)

    def produce_raw(self, topic: str, value: bytes | None, key: bytes = b"") -> None:
        self.log.produce_raw(topic, value, key)

    def run(self, spec: Spec, until: Callable[[], bool]) -> None:
        host = LocalHost([spec], self.log, batch=self._batch)
        for _ in range(10):
            host.run_until_idle(self.log.now_ms + 5000)
            if until():
                return

    def crash(self, spec: Spec) -> None:
        host = LocalHost([spec], self.log, batch=self._batch)
        with pytest.raises(ZeroDivisionError):
            host.run_until_idle(self.log.now_ms + 5000)

    def events(self, topic: str) -> list[Event]:
        return self.log.events(topic)


class KafkaWorld:
    """Any broker; the host's clock starts at the epoch of the events.

    `exact` tells whether it keeps the promises of transactions.
    """

    def __init__(self, settings: Settings, broker_pid: int, *, exact: bool = True) -> None:
        self.settings = settings
        self.broker_pid = broker_pid
        self.exact = exact
        self._producer = kafka.producer(settings.kafka)
        self._producer.list_topics(timeout=60)
        self.clock = clock_from(EPOCH)

    def with_kafka(self, **values: int) -> None:
        """Let hosts that are started from now on have other settings of Kafka."""
        section = self.settings.kafka.model_copy(update=values)
        self.settings = self.settings.model_copy(update={"kafka": section})

    def produce(self, events: Sequence[Event]) -> None:
        for event in events:
            self._send(topic_of(event), CODEC.encode(event), key_of(event).encode())
        assert self._producer.flush(120) == 0

    def produce_raw(self, topic: str, value: bytes | None, key: bytes = b"") -> None:
        self._send(topic, value, key)

    def _send(self, topic: str, value: bytes | None, key: bytes) -> None:
        self._producer.produce(topic, value, key=key or None, timestamp=EPOCH)

    def run(self, spec: Spec, until: Callable[[], bool]) -> None:
        with self.running(spec) as running:
            wait_until(lambda: running.error is not None or until())

    @contextlib.contextmanager
    def running(self, spec: Spec, slot: str = "0") -> Iterator["Running"]:
        """Run a host in a thread; whatever it raises is raised at the end."""
        section = self.settings.host.model_copy(update={"slot": slot})
        settings = self.settings.model_copy(update={"host": section})
        assert self._producer.flush(120) == 0
        running = Running(BatchHost(spec, settings, codec=CODEC, clock=self.clock))
        with running:
            yield running
        if running.error is not None:
            raise running.error

    def crash(self, spec: Spec) -> None:
        with pytest.raises(ZeroDivisionError), self.running(spec) as running:
            wait_until(lambda: running.error is not None)

    def events(self, topic: str) -> list[Event]:
        found = kafka_reading.read_all(self.settings.kafka, [topic])
        classes = topic_named(topic).events
        return [CODEC.decode(message.value() or b"", *classes) for message in found]


class Running:
    """A host in a thread."""

    def __init__(self, host: BatchHost) -> None:
        self.host = host
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.host.run(self._stop)
        except Exception as error:  # noqa: BLE001 - the test that runs it looks at it
            self.error = error

    def __enter__(self) -> "Running":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(300)
        assert not self._thread.is_alive()


def wait_until(done: Callable[[], bool]) -> None:
    """Poll until it is done; fail after 5 min."""
    patience = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < patience, "it did not happen in time"
        time.sleep(0.05)


def clock_from(epoch: int) -> Clock:
    """Return a clock that reads `epoch` now, in ms."""
    begun = time.monotonic_ns()
    return lambda: epoch + (time.monotonic_ns() - begun) // 1_000_000


@contextlib.contextmanager
def kafka_world(folder: Path, cluster: Apache | None = None) -> Iterator[KafkaWorld]:
    """Start the embedded broker, or take a cluster that runs; either way all topics are empty."""
    with contextlib.ExitStack() as stack:
        if cluster is None:
            broker = stack.enter_context(Broker(folder / "broker.log"))
            stack.callback(lambda: os.kill(broker.pid, signal.SIGKILL))
            yield _world(broker.reached(PATIENT), broker.pid, exact=False)
        else:
            _forget_all(cluster.reached(PATIENT))
            yield _world(cluster.reached(PATIENT), cluster.pid, exact=True)


def cluster_of(request: pytest.FixtureRequest) -> Apache | None:
    """Return the cluster that a fixture's parameter asks for; None for the embedded broker."""
    return request.getfixturevalue("apache") if request.param == "apache" else None


def _world(section: KafkaSettings, broker_pid: int, *, exact: bool) -> KafkaWorld:
    """Make the topics: nothing in them expires, and the broker refuses nothing that is large."""
    rows = [replace(t, retention_ms=-1, max_bytes=t.max_bytes * 2) for t in TOPICS.values()]
    kafka.create_topics(section, rows)
    host = HostSettings(poll_ms=20, batch=50)
    return KafkaWorld(Settings(kafka=section, host=host), broker_pid, exact=exact)


def _forget_all(section: KafkaSettings) -> None:
    """Delete all topics; what groups had committed there goes with them."""

    def left() -> list[str]:
        return [name for name in kafka.partition_counts(section) if name.startswith("weir.")]

    kafka.delete_topics(section, left())
    wait_until(lambda: not left())

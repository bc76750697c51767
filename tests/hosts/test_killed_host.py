"""A process that is killed in the middle of its work, and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from schemas.codec import Codec
from schemas.observing import MetricReport, Observation
from schemas.topics import key_of
from streams.embedded.processes import free_port, launch, listens, stop
from streams.embedded.processes import wait_until as server_is_up
from tests.hosts.worlds import KafkaWorld, kafka_world, wait_until
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.registry import Registry
from workers.settings import RegistrySettings, Settings

SERIES = 20


@contextmanager
def registry(world: KafkaWorld, folder: Path) -> Iterator[Settings]:
    """Serve a registry that knows all events, and return the settings with it."""
    port, log = free_port(), folder / "registry.log"
    arguments = [sys.executable, "-m", "streams.embedded.registry", "--port", str(port)]
    process = launch(arguments, log, world.settings.environment())
    try:
        server_is_up(lambda: listens(port), process, "registry", log, 30)
        section = RegistrySettings(url=f"http://127.0.0.1:{port}")
        with closing(Registry(section)) as client:
            client.register_all()
        yield world.settings.model_copy(update={"registry": section})
    finally:
        stop(process, 60)


@contextmanager
def observing(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run observe in a process of its own, and end it by the signal of the test."""
    environment = os.environ | settings.environment()
    arguments = [sys.executable, "-m", "streams.cli", "run", "observe"]
    with log.open("ab") as out:
        process = subprocess.Popen(arguments, stderr=out, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Feed:
    """Produces metrics as they happen, and reads what was observed of them."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._kafka, self._codec = settings.kafka, codec
        self._producer = kafka.producer(settings.kafka)
        self.sent = 0

    def go_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for n in range(SERIES):
                self._send(MetricReport(event_time=now_ms(), app=f"app {n}", metric="m", value=n))
            self._producer.flush(120)
            time.sleep(0.02)

    def _send(self, event: MetricReport) -> None:
        value, key = self._codec.encode(event), key_of(event).encode()
        self._producer.produce("weir.metrics", value, key=key)
        self.sent += 1

    def observed(self) -> list[Observation]:
        found = kafka_reading.read_all(self._kafka, ["weir.observations"])
        return [self._codec.decode(message.value() or b"", Observation) for message in found]

    def counted(self) -> int:
        return sum(seen.count + seen.late_count for seen in self.observed())


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.faults
@pytest.mark.timeout(90)
def test_every_metric_is_observed_exactly_once(tmp_path: Path) -> None:
    with (
        kafka_world(tmp_path) as world,
        registry(world, tmp_path) as settings,
        closing(Registry(settings.registry)) as client,
    ):
        log, feed = tmp_path / "observe.log", Feed(settings, client.codec())
        with observing(settings, log) as process:
            wait_until(lambda: "host.restored" in log.read_text())
            feed.go_on(3.0)
            wait_until(lambda: feed.counted() > 0)
            feed.go_on(0.5)
            process.send_signal(signal.SIGKILL)
            process.wait()
        feed.go_on(0.5)
        with observing(settings, log) as process:
            wait_until(lambda: feed.counted() >= feed.sent)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert feed.counted() == feed.sent
        assert len({seen.event_id for seen in feed.observed()}) == len(feed.observed())

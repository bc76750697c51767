"""The apps of the control plane as processes: started by Faust, and stopped by a signal."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from schemas.base import Event
from schemas.codec import Codec
from schemas.decisions import (
    ActionTaken,
    Assignment,
    PlacementDecided,
    PlacementRequested,
    ServiceDemand,
)
from schemas.observing import Observation
from schemas.registrations import NodeReported, ServiceRegistered
from schemas.topics import home_of, key_of, topic_of
from streams.actuating.actuate import environment
from streams.embedded.processes import free_port, listens
from tests.examples import example
from tests.hosts.worlds import LOGS_OF_FAUST, KafkaWorld, cluster_of, kafka_world, wait_until
from tests.unit.placement import world as placing
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.registry import Registry
from workers.settings import KafkaSettings, LocalSettings, NodeSection, RegistrySettings

E = TypeVar("E", bound=Event)
NODES = (
    NodeSection(name="left", cpu_milli=2000, memory_mib=1024, labels={"site": "lab"}),
    NodeSection(name="right", cpu_milli=1000, memory_mib=512, speed=0.5),
)


@pytest.fixture(params=LOGS_OF_FAUST)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path, cluster_of(request)) as made:
        port = free_port()
        settings = made.settings.model_copy(
            update={
                "data_dir": tmp_path,
                "registry": RegistrySettings(url=f"http://127.0.0.1:{port}"),
                "local": LocalSettings(nodes=NODES, heartbeat_ms=200, expiry_ms=1000),
            }
        )
        made.settings = settings
        with process(made, "registry", "-m", "streams.embedded.registry", "--port", str(port)):
            wait_until(lambda: listens(port))
            yield made


@pytest.fixture
def topics(world: KafkaWorld) -> Iterator["Topics"]:
    registry = Registry(world.settings.registry)
    registry.register_all()
    yield Topics(world.settings.kafka, registry.codec())
    registry.close()


@contextmanager
def process(world: KafkaWorld, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python in a process; end it well. A test that fails shows its log."""
    log = world.settings.data_dir / f"{name}.log"
    with log.open("ab") as output:
        command = [sys.executable, *arguments]
        started = subprocess.Popen(
            command, env=environment(world.settings), stdout=output, stderr=output
        )
    try:
        yield started
    finally:
        started.terminate()
        code = started.wait(60)
        print(log.read_text("utf-8"))
    assert code == 0


class Topics:
    """Events on the topics, by the registry's ids."""

    def __init__(self, settings: KafkaSettings, codec: Codec) -> None:
        self._kafka = settings
        self._codec = codec

    def read(self, kind: type[E]) -> list[E]:
        """Return all events of a class."""
        messages = kafka_reading.read_all(self._kafka, [home_of(kind).name])
        return [self._codec.decode(message.value() or b"", kind) for message in messages]

    def status(self) -> dict[str, str]:
        """Return what was last said of each node."""
        return {event.node: event.status for event in self.read(NodeReported)}

    def done(self, kind: str) -> list[ActionTaken]:
        """Return the deeds of a kind that were done."""
        actions = self.read(ActionTaken)
        return [action for action in actions if (action.kind, action.status) == (kind, "done")]

    def send(self, *events: Event) -> None:
        """Send events, and wait for the broker."""
        producer = kafka.producer(self._kafka)
        for event in events:
            key = key_of(event).encode()
            producer.produce(topic_of(event), self._codec.encode(event), key=key)
        assert producer.flush(120) == 0


def placed(node: str) -> tuple[ServiceRegistered, PlacementDecided]:
    """Return a service and its placement on a node, which the placement processor leaves alone."""
    service = placing.service("digits", 100, 16, app="app", artifact="file:///nowhere.onnx")
    copy = Assignment(
        node=node, instance=f"digits.{node}", variant="", cpu_milli=100, memory_mib=16
    )
    decided = PlacementDecided(
        event_id="placed",
        service="digits",
        app="app",
        generation=1,
        status="placed",
        replicas=1,
        assignments=(copy,),
        score=1.0,
        algorithm="weir",
        reason="by hand",
        decided_at=wall_ms(),
        mode="act",
    )
    return service, decided


def workers_of(parent: int) -> list[psutil.Process]:
    """Return the worker processes that a process has started."""
    return [p for p in psutil.Process(parent).children() if "--worker" in p.cmdline()]


def ended(process: psutil.Process) -> bool:
    """Return whether a process is no more, or is kept as a zombie by whoever inherited it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_placements_start_workers_and_a_signal_ends_everything(
    world: KafkaWorld, topics: Topics
) -> None:
    arguments = ("-m", "faust", "-A", "streams.apps.control", "worker")
    with process(world, "control", *arguments) as control:
        wait_until(lambda: topics.status() == {"left": "ready", "right": "ready"})
        topics.send(*placed("left"))
        wait_until(lambda: bool(topics.done("worker.start")))
        (worker,) = workers_of(control.pid)
        assert "left-1" in worker.cmdline()
    assert topics.status() == {"left": "unknown", "right": "unknown"}
    assert ended(worker)
    log = (world.settings.data_dir / "control.log").read_text("utf-8")
    assert "actuate.worker.start" in log
    assert "Traceback" not in log
    assert (world.settings.data_dir / "logs" / "left-1.log").exists()
    assert [decided.generation for decided in topics.read(PlacementDecided)] == [1]


@pytest.mark.faults
def test_a_killed_actuator_takes_its_workers_along(world: KafkaWorld, topics: Topics) -> None:
    log = (world.settings.data_dir / "actuate.log").open("ab")
    command = [sys.executable, "-m", "streams.cli", "run", "actuate"]
    with log:
        control = subprocess.Popen(command, env=environment(world.settings), stdout=log, stderr=log)
    try:
        topics.send(*placed("right"))
        wait_until(lambda: len(topics.done("worker.start")) == 1)
        (worker,) = workers_of(control.pid)
    finally:
        control.kill()
        control.wait()
    wait_until(lambda: ended(worker))


@pytest.mark.faults
def test_load_that_is_observed_brings_more_copies(world: KafkaWorld, topics: Topics) -> None:
    service = placing.service("digits", 100, 16, app="app", max_replicas=2, target_load=0.5)
    request = replace(
        example(PlacementRequested),
        app="app",
        kind="ensemble",
        demands=(ServiceDemand(service="digits", replicas=1),),
    )

    def copies() -> list[int]:
        decided = topics.read(PlacementDecided)
        return [len(one.assignments) for one in decided if one.service == "digits"]

    def asked() -> list[tuple[str, int]]:
        requests = topics.read(PlacementRequested)
        return [(one.kind, one.demands[0].replicas) for one in requests]

    with process(world, "control", "-m", "streams.cli", "run", "control"):
        wait_until(lambda: topics.status() == {"left": "ready", "right": "ready"})
        topics.send(service, request)
        wait_until(lambda: copies()[-1:] == [1])
        end = wall_ms()
        topics.send(
            replace(
                example(Observation),
                app="app",
                service="digits",
                instance="digits.left",
                metric="execution",
                final=True,
                count=100,
                mean=20.0,
                window_start=end - 2_000,
                window_end=end,
            )
        )
        wait_until(lambda: copies()[-1:] == [2])
    assert asked() == [("ensemble", 1), ("load", 2)]

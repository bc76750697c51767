"""The worker's loop with a real model, over a link that is taken away and brought back."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas import files
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import Codec, frame, pack
from schemas.events import EVENTS
from schemas.inference import InferenceResult
from schemas.observing import MetricReport
from schemas.registrations import InstanceReported
from schemas.topics import key_of
from schemas.working import WorkerReported
from streams.embedded.processes import free_port
from tests.embedded.worker_world import placement, service, task, until
from tests.unit.workers.tiny_models import classifier
from workers.errors import KafkaUnavailable, RegistryUnavailable, WorkerError
from workers.inference import contact, loop
from workers.inference.link import Connection
from workers.kafka import clients as kafka
from workers.kafka import outbox as kafka_outbox
from workers.local import LocalMessage, local_codec
from workers.scheduling.orders.weir import Weir
from workers.settings import LocalCallSettings, Settings, WorkerSettings

CODEC = local_codec()
SENT = (InferenceResult, MetricReport, InstanceReported, WorkerReported)


class Broker:
    """What stands in for one: takes what producers send while it is there."""

    def __init__(self) -> None:
        self.there = True
        self.events: list[Event] = []

    def producer(self, *_: Any, **__: Any) -> "Broker.Client":
        return Broker.Client(self)

    class Client:
        def __init__(self, broker: "Broker") -> None:
            self.broker = broker
            self.held: list[tuple[bytes, Callable[[Any, Any], None]]] = []

        def produce(self, _: str, value: bytes, *, on_delivery: Any, **_key: str) -> None:
            self.held.append((value, on_delivery))

        def purge(self) -> None:
            self.held.clear()

        def flush(self, timeout_s: float) -> int:
            time.sleep(min(timeout_s, 0.005))
            return self.poll(0)

        def poll(self, _: float) -> int:
            if not self.broker.there:
                return 0
            held, self.held = self.held, []
            for value, told in held:
                self.broker.events.append(CODEC.decode(value, *SENT))
                told(None, None)
            return len(held)


class Parts:
    """A task log that is empty and a catalogue that says what it is told."""

    def __init__(self, *events: Event) -> None:
        entries: dict[type[Event], dict[str, Event]] = {}
        for event in events:
            entries.setdefault(type(event), {})[key_of(event)] = event
        self.known = Catalogue(entries)
        self.log: list[kafka.RawMessage] = []
        self.position: int | None = None

    def current(self) -> Catalogue:
        return self.known

    def read(self, _most: int, wait_s: float) -> list[kafka.RawMessage]:
        read, self.log = self.log, []
        time.sleep(0.0 if read else wait_s)
        return read

    def commit(self, position: int | None) -> None:
        self.position = position


class Link:
    """The connection is there as long as the broker is."""

    broker: Broker
    parts: Parts
    cluster = "one"
    codec = CODEC

    def __init__(self, *_: Any, **__: Any) -> None:
        self._current: Connection | None = None
        self.trouble: WorkerError | None = None

    @property
    def current(self) -> Connection | None:
        return self._current if self.broker.there else None

    def begin(self) -> None:
        parts: Any = self.parts
        self._current = Connection(self.cluster, 0, parts, self.codec, parts, parts)
        self.trouble = None if self.broker.there else KafkaUnavailable("no broker answers")

    def lose(self, position: int | None, *, spoiled: bool = False) -> None:
        assert (position, spoiled) == (None, False)

    def stop(self) -> None:
        self._current = None


class World:
    def __init__(self, folder: Path, broker: Broker) -> None:
        self.broker = broker
        self.port = free_port()
        self.settings = Settings(
            worker=WorkerSettings(node="edge", worker="edge-1", heartbeat_ms=50),
            local_calls=LocalCallSettings(port=self.port),
            data_dir=folder / "data",
        )

    @contextmanager
    def worker(self) -> Iterator[None]:
        stop, failed = threading.Event(), list[Exception]()
        made = loop.Worker(self.settings, Weir())

        def run() -> None:
            try:
                made.run(stop)
            except WorkerError as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            until(lambda: bool(failed) or self.answers())
            yield
        finally:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()
        if failed:
            raise failed[0]

    def ask(self, largest: int = 1) -> tuple[int, dict[str, Any]]:
        data = [5.0 if n == largest else 0.0 for n in range(3)]
        tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": data}
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            link.request("POST", "/v2/models/sharp/infer", json.dumps({"inputs": [tensor]}))
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    def answers(self) -> bool:
        try:
            return self.ask()[0] == 200
        except OSError:
            return False

    def asked(self, count: int) -> list[str]:
        """Ask some times; return the ids of the requests, all answered."""
        told = [self.ask(n % 3) for n in range(count)]
        assert {status for status, _ in told} == {200}
        assert [each["outputs"][0]["data"] for _, each in told] == [[n % 3] for n in range(count)]
        return [each["parameters"]["request_id"] for _, each in told]

    def results(self) -> list[InferenceResult]:
        return [event for event in self.broker.events if isinstance(event, InferenceResult)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    broker = Broker()
    model = classifier(tmp_path / "sharp.onnx", 2.0)
    placed = (service("sharp", model), placement("sharp", "edge"))
    link = type("OurLink", (Link,), {"broker": broker, "parts": Parts(*placed)})
    monkeypatch.setattr(contact, "Link", link)
    monkeypatch.setattr(kafka, "producer", broker.producer)
    monkeypatch.setattr(kafka_outbox, "PATIENCE_S", 0.15)
    monkeypatch.setattr(kafka_outbox, "PURGE_S", 0.0)
    monkeypatch.setattr(loop, "DRAIN_S", 1.0)
    monkeypatch.setattr(loop, "TELEMETRY_EVERY_S", 0.1)
    return World(tmp_path, broker)


def test_taken_away_and_brought_back_nothing_is_lost_and_all_is_in_order(world: World) -> None:
    with world.worker():
        before = world.asked(5)
        until(lambda: set(before) <= {result.request_id for result in world.results()})
        world.broker.there = False
        meanwhile = world.asked(10)
        time.sleep(0.3)
        meanwhile += world.asked(10)
        assert not set(meanwhile) & {result.request_id for result in world.results()}
        world.broker.there = True
        until(lambda: set(meanwhile) <= {result.request_id for result in world.results()})
        after = world.asked(5)
    found = [result for result in world.results() if result.request_id in {*meanwhile, *after}]
    one = {result.event_id: result for result in found}
    assert [result.request_id for result in one.values()] == [*meanwhile, *after]
    assert all(one[result.event_id] == result for result in found)
    times = [result.finished_at for result in one.values()]
    assert times == sorted(times)
    metrics = [event for event in world.broker.events if isinstance(event, MetricReport)]
    told = {(m.instance, m.metric, m.event_time) for m in metrics}
    assert len(told) > 0


def test_started_again_without_a_broker_it_serves_its_last_placement(world: World) -> None:
    with world.worker():
        world.asked(1)
        world.broker.there = False
        first = world.asked(5)
    with world.worker():
        second = world.asked(5)
        assert not set(first) & {result.request_id for result in world.results()}
        world.broker.there = True
        wanted = {*first, *second}
        until(lambda: wanted <= {result.request_id for result in world.results()})


def test_another_cluster_that_has_placed_nothing_ends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.worker():
        world.asked(1)
    world.broker.there = False
    link: Any = vars(contact)["Link"]
    monkeypatch.setattr(link, "parts", Parts())
    monkeypatch.setattr(link, "cluster", "two")
    with world.worker():
        wanted = set(world.asked(2))
        world.broker.there = True
        until(lambda: wanted <= {result.request_id for result in world.results()})
        time.sleep(0.1)
        world.asked(2)


def test_a_task_that_waits_for_the_registry_holds_up_no_local_caller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    link: Any = vars(contact)["Link"]
    known: dict[int, str] = {}

    def schema_of(number: int) -> str:
        if number not in known:
            raise RegistryUnavailable("away")
        return known[number]

    ids = {kind: number for number, kind in enumerate(EVENTS.values(), start=1)}
    monkeypatch.setattr(link, "codec", Codec(ids, schema_of))
    monkeypatch.setattr(loop, "REGISTRY_S", 0.02)
    with world.worker():
        asked = task(7, "sharp", "edge-1", "edge")
        link.parts.log = [LocalMessage(("t", 0), 5, 0, b"k", frame(900, pack(asked)), 0)]
        world.asked(5)
        assert asked.task_id not in {result.task_id for result in world.results()}
        known[900] = files.text("InferenceTask")
        until(lambda: asked.task_id in {result.task_id for result in world.results()})
    assert link.parts.position == 6


def test_without_a_broker_and_without_a_memory_it_cannot_begin(world: World) -> None:
    world.broker.there = False
    with pytest.raises(KafkaUnavailable, match="no broker answers"), world.worker():
        pass

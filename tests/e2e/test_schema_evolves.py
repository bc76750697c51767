"""A schema goes from version 1 to 2 and back while everything runs, and nobody notices.

A stranger who knows broker and registry alone sends metrics, registrations and requests, now in
one version, now in the other. All is observed, stored, placed and answered exactly once.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas import files, introspect
from schemas.base import Event
from schemas.decisions import EnsembleSelected
from schemas.graphs import Stage
from schemas.inference import InferenceRequest, InferenceResponse
from schemas.observing import MetricReport
from schemas.registrations import ApplicationRegistered, InstanceReported, ServiceRegistered
from schemas.topics import home_of, key_of, subject_of, topic_of
from streams.embedded.cluster import Cluster
from streams.embedded.stack import Stack
from streams.entries import Entries
from tests.broker.cluster import kafka_or_skip
from tests.unit.workers.tiny_models import classifier
from workers.clickhouse import Database, connect
from workers.client import tensors
from workers.clock import wall_ms
from workers.kafka import reading as kafka_reading
from workers.registry import Registry
from workers.settings import LocalSettings, NodeSection, Settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
PATIENCE_S = 60.0
METRICS = 300
REQUESTS = 20
SERVICES = ("first", "second", "third")
ORDER = (1, 1, 2, 1, 2, 2, 1, 1)
"""Which version speaks, in turns: the old one, both, the old one again."""
RACK = {
    "type": "record",
    "name": "Rack",
    "fields": [{"name": "row", "type": "long"}, {"name": "note", "type": "string", "default": ""}],
}
MORE = (
    {"name": "watts", "type": "double", "default": 0.0, "doc": "New."},
    {"name": "rack", "type": ["null", RACK], "default": None, "doc": "New."},
    {"name": "turns", "type": {"type": "array", "items": "int"}, "default": [], "doc": "New."},
)
GIVEN = {"watts": 4.5, "rack": {"row": 7, "note": "n"}, "turns": [1, 2]}


def second(record: str) -> str:
    """The version after the newest: further fields, at the front, inside and at the end."""
    schema = files.schema(record)
    for place, field in zip((0, 3, len(schema["fields"]) + 2), MORE, strict=True):
        schema["fields"].insert(place, field)
    return json.dumps(schema)


class Stranger:
    """Sends events with Confluent's serializer, in either version; registers what it sends."""

    def __init__(self, settings: Settings) -> None:
        self.registry = SchemaRegistryClient({"url": settings.registry.url})
        config = {"bootstrap.servers": settings.kafka.bootstrap, "partitioner": "murmur2_random"}
        self._producer = Producer(config)
        self._writers: dict[tuple[str, int], AvroSerializer] = {}

    def send(self, event: Event, version: int) -> None:
        record, topic = type(event).__name__, topic_of(event)
        text = files.text(record) if version == 1 else second(record)
        if (record, version) not in self._writers:
            self._writers[record, version] = AvroSerializer(self.registry, text)
        plain = introspect.to_plain(type(event))(event) | (GIVEN if version == 2 else {})
        context = SerializationContext(topic, MessageField.VALUE)
        value = self._writers[record, version](plain, context)
        self._producer.produce(topic, value, key=key_of(event))

    def flush(self) -> None:
        assert self._producer.flush(60) == 0


@pytest.fixture(scope="module", params=["embedded", "apache"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("evolving")
    broker: Cluster | None = None
    if request.param == "apache":
        broker = kafka_or_skip(folder / "kafka")
    nodes = (NodeSection(name="here", cpu_milli=4000, memory_mib=4096),)
    with Stack(Settings(data_dir=folder, local=LocalSettings(nodes=nodes)), broker=broker) as ready:
        yield ready
        assert [part.name for part in ready.state().parts if part.restarts] == []


@pytest.fixture(scope="module")
def database(stack: Stack) -> Iterator[Database]:
    found = connect(stack.settings.clickhouse)
    yield found
    found.close()


@pytest.fixture(scope="module")
def stranger(stack: Stack) -> Iterator[Stranger]:
    made = Stranger(stack.settings)
    yield made
    made.registry.close()


def until(condition: Callable[[], bool], what: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


def nobody_noticed(stack: Stack, database: Database) -> None:
    """Two versions stand in use; no dead letter was written, and no process ended."""
    assert database.query("SELECT error, message FROM dead_letters").records() == []
    letters = kafka_reading.read_all(stack.settings.kafka, ["weir.deadletters"])
    assert list(letters) == []
    assert [part.name for part in stack.state().parts if part.restarts] == []
    assert stack.ready()


def versions_in(stranger: Stranger, kind: type[Event]) -> list[int]:
    versions: list[int] = stranger.registry.get_versions(subject_of(kind))
    return versions


def test_every_metric_is_stored_and_observed_once(
    stack: Stack, database: Database, stranger: Stranger
) -> None:
    sent = 0
    for version in ORDER:
        for _ in range(METRICS):
            sent += 1
            report = MetricReport(
                event_time=wall_ms(), app=f"steps {sent % 5}", metric="m", value=float(sent)
            )
            stranger.send(report, version)
        stranger.flush()
        time.sleep(0.3)
    stored = "SELECT count() AS n, uniqExact(value) AS u, sum(value) AS s FROM metrics FINAL "
    stored += "WHERE startsWith(app, 'steps')"
    observed = "SELECT sum(count) + sum(late_count) AS n, sum(count * mean) AS s FROM observations "
    observed += "FINAL WHERE startsWith(app, 'steps')"
    until(lambda: database.query(stored).records()[0]["n"] >= sent, lambda: database.query(stored))
    until(lambda: database.query(observed).records()[0]["n"] >= sent)
    total = sent * (sent + 1) / 2
    assert database.query(stored).records() == [{"n": sent, "u": sent, "s": total}]
    found = database.query(observed).records()[0]
    assert found["n"] == sent
    assert found["s"] == pytest.approx(total)
    assert versions_in(stranger, MetricReport) == [1, 2]
    nobody_noticed(stack, database)


def service(name: str, model: Path) -> ServiceRegistered:
    return ServiceRegistered(
        service=name,
        service_id=name,
        app="evolving",
        stage="only",
        model=name,
        image="",
        artifact=f"file://{model}",
        format="onnx",
        cpu_milli=100,
        memory_mib=64,
        accuracy=0.9,
        latency_ms=1.0,
        registered_at=wall_ms(),
        event_id=name,
    )


def application() -> ApplicationRegistered:
    return ApplicationRegistered(
        app="evolving",
        app_id="evolving",
        run="r",
        user="u",
        owner="o",
        stages=(Stage(stage="only", stage_id="s", services=SERVICES),),
        registered_at=wall_ms(),
        event_id="evolving",
    )


def test_services_are_placed_and_requests_answered(
    stack: Stack, database: Database, stranger: Stranger, tmp_path: Path
) -> None:
    made = [service(name, classifier(tmp_path / f"{name}.onnx")) for name in SERVICES]
    for one, version in zip(made, (1, 2, 1), strict=True):
        stranger.send(one, version)
    stranger.flush()
    with Entries(stack.settings) as entries, entries.follow(InstanceReported) as instances:
        entries.send([application()])

        def ready() -> set[str]:
            found = instances.current().of(InstanceReported).values()
            return {one.service for one in found if one.health == "ready"}

        with entries.follow(EnsembleSelected) as selected:
            until(lambda: ready() >= set(SERVICES), ready)
            until(lambda: "evolving" in str(selected.current().of(EnsembleSelected)))
            for one, version in zip(made, (2, 1, 2), strict=True):
                stranger.send(replace(one, cost=0.5, event_id=f"{one.service} again"), version)
            stranger.flush()
            ask(stack, stranger)
    rows = database.query("SELECT DISTINCT service FROM placements ORDER BY service").records()
    assert [row["service"] for row in rows] == sorted(SERVICES)
    until(lambda: database.query(REGISTERED).records() == [{"n": 6, "names": 3}])
    assert versions_in(stranger, ServiceRegistered) == [1, 2]
    assert versions_in(stranger, InferenceRequest) == [1, 2]
    nobody_noticed(stack, database)


REGISTERED = "SELECT count() AS n, uniqExact(service) AS names FROM services WHERE app = 'evolving'"


def ask(stack: Stack, stranger: Stranger) -> None:
    """Send requests in either version; each has one answer, and that a whole one."""
    asked = []
    for turn, version in enumerate(ORDER):
        for number in range(REQUESTS):
            asked.append(f"q{turn}-{number}")
            request = InferenceRequest(
                request_id=asked[-1],
                app="evolving",
                created_at=wall_ms(),
                deadline=wall_ms() + 10_000,
                inputs=tensors({"x": np.array([0, 5, 0], np.float32)}),
            )
            stranger.send(request, version)
        stranger.flush()
    registry = Registry(stack.settings.registry)
    codec, topic = registry.codec(), home_of(InferenceResponse).name

    def answers() -> list[InferenceResponse]:
        messages = kafka_reading.read_all(stack.settings.kafka, [topic])
        return [codec.decode(message.value() or b"", InferenceResponse) for message in messages]

    until(lambda: len(answers()) >= len(asked), lambda: len(answers()))
    given = answers()
    registry.close()
    assert sorted(answer.request_id for answer in given) == sorted(asked)
    assert {(a.status, a.label, a.reason) for a in given} == {("complete", "1", None)}

"""A node agent against a real broker and registry: what it tells, and that it takes its leave."""

import threading
from collections.abc import Iterator

import pytest

from schemas.observing import MetricReport
from schemas.records import KeyValue
from schemas.registrations import InstanceReported, NodeReported
from schemas.topics import TOPICS, key_of, topic_of
from streams.embedded.broker import Broker
from tests.embedded.conftest import Server
from tests.unit.workers.probe_world import until
from workers.agent.facts import gather
from workers.agent.gpus import NoGpus
from workers.agent.known_nodes import KnownNodes
from workers.agent.responder import Responder
from workers.agent.service import Agent, Plan
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.kafka.reading import read_all
from workers.registry import Registry
from workers.settings import Identity, KafkaSettings, RegistrySettings, Settings


@pytest.fixture
def settings(broker: Broker, registry: Server) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap=broker.bootstrap),
        registry=RegistrySettings(url=f"http://127.0.0.1:{registry.port}"),
        identity=Identity(app="nodes", service="agent", instance="agent.mill", node="mill"),
    )


@pytest.fixture
def made(settings: Settings) -> Iterator[Registry]:
    registry = Registry(settings.registry)
    kafka.create_topics(settings.kafka, TOPICS.values())
    registry.register_all((MetricReport, NodeReported, InstanceReported))
    yield registry
    registry.close()


@pytest.fixture
def nodes(settings: Settings, made: Registry) -> Iterator[KnownNodes]:
    known = KnownNodes(settings.kafka, made.codec())
    yield known
    known.close()


def test_an_agent_tells_of_machine_node_and_neighbours(
    settings: Settings, made: Registry, nodes: KnownNodes
) -> None:
    stop = threading.Event()
    with Responder("127.0.0.1", 0) as responder:
        _tell(settings, made, "brook", f"127.0.0.1:{responder.port}")
        facts = gather("mill", NoGpus(), zone="west")
        agent = Agent(settings, facts, Plan(every_s=0.05), NoGpus(), nodes.all)
        thread = threading.Thread(target=agent.run, args=(stop,))
        thread.start()
        until(lambda: "mill" in (nodes.all() or {}))
        assert (nodes.all() or {})["mill"].taints == ("observed",)
        until(lambda: "neighbour.brook.rtt" in _metrics(settings, made))
        assert agent.probe.reached
        assert agent.live
        stop.set()
        thread.join(60)
    until(lambda: (nodes.all() or {})["mill"].status == "unknown")
    found = _metrics(settings, made)
    assert {"cpu.used", "memory.used", "disk./.used", "agent.memory"} <= set(found)
    assert found["cpu.used"].node == "mill"
    assert agent.probe.dropped == 0


def _tell(settings: Settings, registry: Registry, name: str, agent_at: str) -> None:
    """Report a node as an agent does that answers at a place."""
    labels = (KeyValue(key="weir.agent", value=agent_at),)
    event = NodeReported(
        node=name, cpu_milli=1, memory_mib=1, labels=labels, architecture="a",
        operating_system="o", status="ready", heartbeat=wall_ms(), expires_at=wall_ms() + 60_000,
    )  # fmt: skip
    producer = kafka.producer(settings.kafka)
    producer.produce(topic_of(event), registry.codec().encode(event), key=key_of(event))
    producer.flush(60)


def _metrics(settings: Settings, registry: Registry) -> dict[str, MetricReport]:
    codec = registry.codec()
    values = [message.value() or b"" for message in read_all(settings.kafka, ["weir.metrics"])]
    found = [codec.decode(value, MetricReport) for value in values]
    return {each.metric: each for each in found if each.instance == "agent.mill"}

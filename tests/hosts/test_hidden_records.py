"""What transactions of others hide from readers for a while, or for ever."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.base import Event
from schemas.inference import InferenceTask
from schemas.observing import Observation
from schemas.registrations import ServiceRegistered
from schemas.topics import key_of, topic_named, topic_of
from streams.embedded.apache import Apache
from tests.examples import example
from tests.hosts.faust_world import faust_world
from tests.hosts.samples import metrics, observations, tally
from tests.hosts.test_every_host import counted, expected, numbers, statistics, watching
from tests.hosts.worlds import CODEC, KafkaWorld, kafka_world, wait_until
from workers.catalogue import CatalogueReader
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.kafka.tasks import TaskLog
from workers.snapshots import keeping as snapshots

HIDDEN_S = 3.0


@pytest.fixture
def world(apache: Apache, tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path, apache) as made:
        yield made


@contextmanager
def transaction(world: KafkaWorld, events: Sequence[Event]) -> Iterator[kafka.ProducerClient]:
    """Leave a transaction open that has written events."""
    producer = kafka.transactional_producer(world.settings.kafka, "another")
    producer.begin_transaction()
    for event in events:
        producer.produce(topic_of(event), CODEC.encode(event), key=key_of(event))
    assert producer.flush(120) == 0
    yield producer


def abort(world: KafkaWorld, events: Sequence[Event]) -> None:
    """Write events and void them."""
    with transaction(world, events) as producer:
        producer.abort_transaction(10)


def test_windows_wait_for_what_an_open_transaction_hides(world: KafkaWorld) -> None:
    events = metrics(600)
    wanted = expected(events)
    world.produce(events[:330])
    with world.running(watching()):
        wait_until(lambda: len(world.events("weir.observations")) > 0)
        with transaction(world, metrics(6)) as producer:
            world.produce(events[330:480])
            time.sleep(HIDDEN_S)
            producer.abort_transaction(10)
        world.produce(events[480:])
        wait_until(lambda: len(world.events("weir.observations")) >= len(wanted))
    assert without_places(statistics(world)) == without_places(wanted)


def without_places(events: Sequence[Event]) -> list[Event]:
    """Return observations without offsets: what was aborted takes some."""
    return [replace(e, sources=()) for e in events if isinstance(e, Observation)]


def test_no_host_sees_what_was_aborted(world: KafkaWorld) -> None:
    abort(world, observations(20, first=100))
    world.produce(observations(20))
    world.run(tally(), counted(world, 4))
    assert numbers(world) == {f"app {n}": [1, 2, 3, 4] for n in range(5)}


def test_faust_does_not_see_what_was_aborted(apache: Apache, tmp_path: Path) -> None:
    with faust_world(tmp_path, apache) as world:
        abort(world, observations(20, first=100))
        world.produce(observations(20))
        world.run(tally(), counted(world, 4))
        assert numbers(world) == {f"app {n}": [1, 2, 3, 4] for n in range(5)}


def test_no_reader_without_a_group_sees_what_was_aborted(world: KafkaWorld) -> None:
    section = world.settings.kafka
    service = replace(example(ServiceRegistered), service="a", image="a:1")
    task = replace(example(InferenceTask), worker="one")
    kafka.create_topics(section, [topic_named(topic_of(task))])
    log = TaskLog(section, topic_of(task))
    state = snapshots.make(tally(), 0, {("weir.observations", 0): 7}, b"", 0)
    world.produce([service, state])
    void = [replace(service, image="a:2"), replace(service, service="b"), task]
    abort(world, [*void, replace(state, positions=())])
    with CatalogueReader(section, CODEC, (ServiceRegistered,)) as reader:
        found = reader.current().of(ServiceRegistered)
        assert [each.image for each in found.values()] == ["a:1"]
    assert snapshots.read_latest(section, CODEC, {state.key}) == {state.key: state}
    places = {("weir.services", 0): (0, 10)}
    again = [m for part in kafka_reading.read_ranges(section, places) for m in part]
    assert len(again) == 1
    world.produce([replace(task, request_id="good")])
    assert [CODEC.decode(m.value() or b"", InferenceTask).request_id for m in log.read(9, 10)] == [
        "good"
    ]
    log.close()

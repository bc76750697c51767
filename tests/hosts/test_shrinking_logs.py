"""Logs that lose records: retention lets them begin above 0."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from schemas.topics import PARTITIONS
from streams.embedded.apache import Apache
from tests.hosts.samples import observations, tally
from tests.hosts.test_every_host import counted, numbers
from tests.hosts.worlds import KafkaWorld, kafka_world
from workers.kafka import clients as kafka

OBSERVATIONS = "weir.observations"


@pytest.fixture
def world(apache: Apache, tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path, apache) as made:
        yield made


def first_offsets(world: KafkaWorld, topic: str) -> list[int]:
    """Return where the partitions of a topic begin."""
    reader = kafka.reader(world.settings.kafka)
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    marks = [reader.get_watermark_offsets(place, timeout=60) for place in places]
    reader.close()
    return [low for low, _ in marks]


def cut(world: KafkaWorld, topic: str, offset: int) -> None:
    """Delete what stands before an offset in every partition, as retention does."""
    places = [TopicPartition(topic, number, offset) for number in range(PARTITIONS)]
    client = kafka.admin(world.settings.kafka)
    for future in client.delete_records(places).values():
        future.result(10)


def test_a_host_goes_on_behind_what_retention_has_deleted(world: KafkaWorld) -> None:
    world.produce(observations(50))
    world.run(tally(), counted(world, 10))
    world.produce(observations(50, first=50))
    cut(world, OBSERVATIONS, 12)
    assert first_offsets(world, OBSERVATIONS) == [12] * PARTITIONS
    left = sum(int(event.event_id) >= 50 for event in world.events(OBSERVATIONS))  # type: ignore[attr-defined]
    assert left < 50
    world.produce(observations(50, first=100))
    world.run(tally(), lambda: sum(map(len, numbers(world).values())) == 50 + left + 50)
    assert all(found == list(range(1, len(found) + 1)) for found in numbers(world).values())

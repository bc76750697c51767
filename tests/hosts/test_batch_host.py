"""What only a host on Kafka meets: other hosts, and a broker that does not answer."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from processors.observing.observe import ObserveParams, spec
from schemas.observing import Observation, QualityEvaluated
from schemas.processing import Batch, Output, Partition
from schemas.topics import PARTITIONS
from tests.hosts.samples import EPOCH, Tally, metrics, observations, tally, verdict
from tests.hosts.worlds import KafkaWorld, clock_from, kafka_world, wait_until
from workers.errors import Fenced, KafkaUnavailable, TooManyBad
from workers.hosting.host import BatchHost
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings, Settings


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path) as made:
        yield made


def told(world: KafkaWorld, rule: str = "number") -> list[tuple[str, int]]:
    """Return application and number of every output of the tally."""
    events = [e for e in world.events("weir.quality") if isinstance(e, QualityEvaluated)]
    return [(event.app, int(event.score)) for event in events if event.rule == rule]


def all_numbers(each: int, apps: int) -> Counter[tuple[str, int]]:
    """Return what the tally says when nothing is lost or repeated."""
    return Counter((f"app {app}", n) for app in range(apps) for n in range(1, each + 1))


def test_a_second_host_takes_over_some_partitions_with_their_state(world: KafkaWorld) -> None:
    with world.running(tally(), slot="a"):
        world.produce(observations(90, apps=9))
        wait_until(lambda: len(told(world)) == 90)
        with world.running(tally(), slot="b") as second:
            wait_until(lambda: second.host.ready)
            world.produce(observations(90, apps=9, first=90))
            wait_until(lambda: len(told(world)) >= 180)
        world.produce(observations(90, apps=9, first=180))
        wait_until(lambda: len(told(world)) >= 270)
    assert Counter(told(world)) == all_numbers(30, 9)


def test_a_host_stops_when_another_takes_its_slot(world: KafkaWorld) -> None:
    with world.running(tally()) as old:
        wait_until(lambda: old.host.ready)
        with world.running(tally()) as new:
            wait_until(lambda: new.host.ready)
            world.produce(observations(60))
            wait_until(lambda: old.error is not None)
            wait_until(lambda: len(set(told(world))) >= 60)
        error, old.error = old.error, None
    assert isinstance(error, Fenced)
    assert "WEIR_HOST__SLOT" in str(error)
    assert set(told(world)) == set(all_numbers(12, 5))


def test_a_broker_that_does_not_answer_for_a_while_costs_nothing(world: KafkaWorld) -> None:
    world.produce(observations(50))
    with world.running(tally()):
        wait_until(lambda: len(told(world)) > 0)
        world.produce(observations(200, first=50))
        os.kill(world.broker_pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(world.broker_pid, signal.SIGCONT)
        wait_until(lambda: len(set(told(world))) >= 250)
    assert Counter(told(world)) == all_numbers(50, 5)


def test_a_full_host_reads_on_when_the_clock_has_closed_windows(world: KafkaWorld) -> None:
    params = ObserveParams(most_rows=5, size_ms=1_000, allowed_lateness_ms=0, idle_ms=100)
    with world.running(spec(params)):
        world.produce(metrics(8, series=1, step_ms=1))
        wait_until(lambda: len(world.events("weir.observations")) >= 1)
        later = metrics(16, series=1, step_ms=1_000)[8:]
        world.produce(later)
        wait_until(lambda: len(world.events("weir.observations")) >= 9)
    found = [e for e in world.events("weir.observations") if isinstance(e, Observation)]
    assert sum(e.count for e in found) == 16


def test_a_host_stops_when_most_messages_are_bad(world: KafkaWorld) -> None:
    for _ in range(600):
        world.produce_raw("weir.observations", b"no avro", b"app 0")
    with world.running(tally()) as running:
        wait_until(lambda: running.error is not None)
        error, running.error = running.error, None
    assert isinstance(error, TooManyBad)
    assert "weir.deadletters" in str(error)
    assert len(world.events("weir.deadletters")) > 500


class Patient(Tally):
    """Needs everything from the first observation that has not had five followers."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Partition, int, str]] = []

    def process(self, batch: Batch) -> Sequence[Output]:
        outputs: list[Output] = []
        for record in batch.records:
            place = (record.topic, record.partition)
            self._waiting.append((place, record.offset, record.event.event_id))  # type: ignore[attr-defined]
            if len(self._waiting) > 5:
                _, offset, _ = self._waiting.pop(0)
                outputs.append(verdict("app 0", "number", offset, 0))
        return outputs

    def oldest_needed(self) -> Mapping[Partition, int]:
        place, offset, _ = self._waiting[0]
        return {place: offset}


def test_without_transactions_what_is_still_needed_is_read_again(world: KafkaWorld) -> None:
    spec = replace(tally(Patient), transactional=False)
    world.produce(observations(20, apps=1))
    with world.running(spec):
        wait_until(lambda: len(told(world)) == 15)
    world.produce(observations(10, apps=1, first=20))
    with world.running(spec):
        wait_until(lambda: len(set(told(world))) == 25)
    assert told(world) == [("app 0", n) for n in range(25)]


def test_without_transactions_offsets_follow_while_it_runs(world: KafkaWorld) -> None:
    spec = replace(tally(), transactional=False)
    world.produce(observations(20, apps=1))
    places = [TopicPartition("weir.observations", p) for p in range(PARTITIONS)]
    asking = kafka.consumer(world.settings.kafka, f"weir-{spec.name}")
    with closing(asking), world.running(spec):
        wait_until(lambda: 20 in {p.offset for p in asking.committed(places, 5)})


def test_missing_topics_and_brokers_are_named(world: KafkaWorld) -> None:
    spec = replace(tally(), inputs=("weir.tasks.nobody",))
    with pytest.raises(KafkaUnavailable, match=r"weir\.tasks\.nobody"), world.running(spec):
        pass
    nowhere = Settings(kafka=KafkaSettings(bootstrap="127.0.0.1:1"))
    host = BatchHost(tally(), nowhere, clock=clock_from(EPOCH))
    assert not host.ready

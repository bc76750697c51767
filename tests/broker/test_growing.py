"""Topics in use grow on a real broker: nothing lost, nothing counted twice, order kept."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.base import Event
from schemas.codec import unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import MetricReport, Observation
from schemas.partitioning import partition_of
from schemas.topics import TOPICS, key_of
from streams.topics.growing import Growth, Terms, grow, planned
from streams.topology import spec_named
from tests.broker.cluster import kafka_or_skip
from tests.hosts.samples import metrics
from tests.hosts.worlds import CODEC, KafkaWorld, wait_until
from workers.errors import RecoveryRefused, SnapshotRefused
from workers.kafka import clients as kafka
from workers.kafka import growing as kafka_growing
from workers.settings import HostSettings, KafkaSettings, Settings
from workers.snapshots.care import read_saved

pytestmark = pytest.mark.faults
SERIES, EACH = 24, 50


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_or_skip(tmp_path) as cluster:
        section = KafkaSettings(bootstrap=cluster.bootstrap, session_timeout_ms=6000)
        kafka.create_topics(section, TOPICS.values())
        host = HostSettings(poll_ms=20, batch=200)
        yield KafkaWorld(Settings(kafka=section, host=host), 0)


def errors(first_ms: int) -> list[Event]:
    """Return metrics of many series, which drift watches too."""
    found = [e for e in metrics(SERIES * EACH, SERIES) if isinstance(e, MetricReport)]
    return [
        replace(e, metric="error", value=float(n % 2), event_time=e.event_time + first_ms)
        for n, e in enumerate(found)
    ]


def seen(world: KafkaWorld) -> list[Observation]:
    return [e for e in world.events("weir.observations") if isinstance(e, Observation)]


def observed(world: KafkaWorld) -> int:
    return sum(one.count for one in seen(world))


def growth(world: KafkaWorld, count: int) -> Growth:
    return planned(["weir.metrics"], count, kafka.partition_counts(world.settings.kafka))


class Growing:
    """A growth in a thread, as an operator has it in a terminal of its own."""

    def __init__(self, world: KafkaWorld, count: int) -> None:
        self.said: list[str] = []
        self.error: Exception | None = None
        self._world, self._count = world, count
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        terms = Terms(timeout_s=60.0, without_sink=True)
        try:
            grow(
                self._world.settings,
                CODEC,
                growth(self._world, self._count),
                terms,
                self.said.append,
            )
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def has_said(self, text: str) -> bool:
        assert self.error is None, self.error
        return any(text in line for line in self.said)


def test_a_growth_loses_nothing_and_keeps_the_order(world: KafkaWorld) -> None:
    both = [spec_named("observe"), spec_named("drift")]
    with ExitStack() as running:
        for spec in both:
            running.enter_context(world.running(spec))
        world.produce(errors(0))
        growing = Growing(world, 8)
        wait_until(lambda: growing.has_said("now stop every process"))
        assert observed(world) == SERIES * EACH
    growing.thread.join(60)
    assert growing.error is None
    assert growing.said[-1] == "start everything again"
    assert kafka.partition_counts(world.settings.kafka)["weir.metrics"] == 8
    check_shared(world)
    world = KafkaWorld(world.settings, 0)
    world.produce(errors(30_000))
    with world.running(both[1]):
        world.run(both[0], lambda: observed(world) == 2 * SERIES * EACH)
        wait_until(lambda: all(shared(world, n) for n in range(8)))
    check_observations(world)
    check_unasked(world)


def shared(world: KafkaWorld, partition: int) -> list[str]:
    """Return the keys of the series that the drift of one partition knows."""
    spec = spec_named("drift")
    for saved in read_saved(world.settings, CODEC, [spec]):
        if saved.partition == partition and saved.snapshot is not None:
            assert spec.state is not None
            state: Any = unpack_state(saved.snapshot.state, spec.state)
            return ["/".join(one.key) for one in state.series]
    return []


def check_shared(world: KafkaWorld) -> None:
    """What drift has learned of a series went along with it."""
    keys = {key_of(event) for event in errors(0)}
    held = {n: shared(world, n) for n in range(8)}
    assert sorted(key for found in held.values() for key in found) == sorted(keys)
    assert all(partition_of(key, 8) == n for n, found in held.items() for key in found)


def check_observations(world: KafkaWorld) -> None:
    """Every event is in one window of its series, and windows come in order."""
    counts: dict[str, int] = defaultdict(int)
    windows: dict[str, list[int]] = defaultdict(list)
    places: dict[str, list[int]] = defaultdict(list)
    for one in seen(world):
        counts[one.app] += one.count
        windows[one.app].append(one.window_start)
        places[one.app] += [source.partition for source in one.sources]
        assert one.late_count == 0
    assert counts == {f"app {n}": 2 * EACH for n in range(SERIES)}
    assert all(starts == sorted(set(starts)) for starts in windows.values())
    for key in {key_of(event) for event in errors(0)}:
        app = key.partition("/")[0]
        assert set(places[app]) == {partition_of(key, 4), partition_of(key, 8)}
    late = [e for e in world.events("weir.actions") if isinstance(e, ActionTaken)]
    assert [action.kind for action in late] == []


def check_unasked(world: KafkaWorld) -> None:
    """Topics that grow behind the back of their readers are noticed."""
    kafka_growing.grow(world.settings.kafka, {"weir.metrics": 12})
    with pytest.raises(SnapshotRefused, match="had 8 partitions, now they have 12"):
        world.run(spec_named("observe"), lambda: False)


def test_a_growth_waits_for_what_was_not_applied(world: KafkaWorld) -> None:
    observe = spec_named("observe")
    world.produce(errors(0))
    world.run(observe, lambda: observed(world) == SERIES * EACH)
    world.produce(errors(30_000))
    world.produce([])
    terms = Terms(timeout_s=3.0, without_sink=True, quiet_s=0.5)
    with pytest.raises(RecoveryRefused, match=r"observe has yet to apply: weir\.metrics/0"):
        grow(world.settings, CODEC, growth(world, 8), terms, lambda _: None)
    assert kafka.partition_counts(world.settings.kafka)["weir.metrics"] == 4

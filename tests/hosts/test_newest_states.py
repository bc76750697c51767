"""The newest state of each instance, looked for from the end of a log that keeps every old one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.decisions import Snapshot
from schemas.topics import TOPICS
from tests.hosts.samples import observations, tally
from tests.hosts.test_every_host import counted, numbers
from tests.hosts.worlds import CODEC, LOGS, KafkaWorld, cluster_of, kafka_world, wait_until
from workers.hosting.budget import SOONEST_MS
from workers.kafka.newest import GROWTH, PIECE, newest
from workers.snapshots import keeping as snapshots
from workers.snapshots.care import read_saved

LOG = PIECE * (1 + GROWTH) + 300
"""Three pieces: their edges are the first offsets of two of them."""
EDGES = (LOG - PIECE, LOG - PIECE * (1 + GROWTH))


@pytest.fixture(params=LOGS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path, cluster_of(request)) as made:
        yield made


def found(world: KafkaWorld, keys: set[bytes]) -> dict[bytes, tuple[int | None, bytes | None]]:
    """Return offset and value of the newest message per key."""
    read = newest(world.settings.kafka, snapshots.TOPIC, keys)
    return {key: (message.offset(), message.value()) for key, message in read.items()}


def test_it_is_found_at_every_edge_of_what_is_read(world: KafkaWorld) -> None:
    for offset in range(LOG):
        world.produce_raw(snapshots.TOPIC, b"v", b"%d" % offset)
    world.produce([])
    at = sorted({0, LOG - 1, *(edge + by for edge in EDGES for by in (-1, 0, 1))})
    for offset in at:
        key = b"%d" % offset
        assert found(world, {key}) == {key: (offset, b"v")}
    assert found(world, {b"%d" % offset for offset in at}) == {
        b"%d" % offset: (offset, b"v") for offset in at
    }
    assert found(world, {b"nobody's"}) == {}
    world.produce_raw(snapshots.TOPIC, None, b"0")
    world.produce([])
    assert found(world, {b"0"}) == {b"0": (LOG, None)}


def test_saved_states_are_read_no_further_back_than_they_stand(world: KafkaWorld) -> None:
    """A state of another processor at the very beginning tells how far was read."""
    world.produce_raw(snapshots.TOPIC, b"v", b"gone/0")
    for _ in range(LOG):
        world.produce_raw(snapshots.TOPIC, b"v", b"nobody's")
    world.produce(observations(20))
    before = read_saved(world.settings, CODEC, [tally()], others=True)
    assert [one.key for one in before] == ["gone/0"]
    assert read_saved(world.settings, CODEC, [tally()]) == []
    with world.running(tally()):
        wait_until(counted(world, 4))
    world.produce_raw(snapshots.TOPIC, b"v", b"late/0")
    world.produce_raw(snapshots.TOPIC, None, b"left/0")
    world.produce([])
    states = [f"tally/{partition}" for partition in range(TOPICS["weir.observations"].partitions)]
    after = read_saved(world.settings, CODEC, [tally()], others=True)
    assert [one.key for one in after] == ["late/0", *states]


def test_a_state_that_nothing_changes_is_written_again(world: KafkaWorld) -> None:
    spec = tally()
    world.produce(observations(20))
    with world.running(spec):
        wait_until(counted(world, 4))
    before, clock = written(world), world.clock
    world.clock = lambda: clock() + SOONEST_MS
    with world.running(spec):
        wait_until(lambda: all(after > before[key] for key, after in written(world).items()))
    assert numbers(world) == {f"app {n}": [1, 2, 3, 4] for n in range(5)}


def written(world: KafkaWorld) -> dict[str, int]:
    """Return when the newest state of each key was written, ms."""
    keys = {e.key for e in world.events(snapshots.TOPIC) if isinstance(e, Snapshot)}
    read = snapshots.read_latest(world.settings.kafka, CODEC, keys)
    return {key: one.taken_at for key, one in read.items()}

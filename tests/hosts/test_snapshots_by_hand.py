"""Saved states carried over and made anew over a real broker: as promised, as if undisturbed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from processors.observing.observe import ObserveParams
from processors.observing.observe import spec as observe
from schemas.base import Event
from schemas.codec import pack_state
from schemas.decisions import Snapshot
from schemas.observing import MetricReport, Observation, QualityEvaluated
from schemas.processing import Spec
from tests.hosts.samples import Unreadable, metrics, observations, tally
from tests.hosts.worlds import CODEC, KafkaWorld, LocalWorld, World, kafka_world, wait_until
from workers.errors import RecoveryRefused, SnapshotRefused
from workers.snapshots import keeping as snapshots
from workers.snapshots.care import carried, migrate, read_saved
from workers.snapshots.rebuilding import Terms, rebuild

OBSERVE, TALLY = ("weir-observe",), ("weir-tally",)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path) as made:
        yield made


def watching(**changed: int) -> Spec:
    """Return observe with windows of a second that only events close, or other parameters."""
    params = ObserveParams(size_ms=1000, allowed_lateness_ms=0, idle_ms=60_000)
    return observe(replace(params, **changed))


def seen(world: World) -> dict[tuple[str, int, int], tuple[int, float]]:
    """Return count and mean by application and window."""
    found = [e for e in world.events("weir.observations") if isinstance(e, Observation)]
    told = {(e.app, e.window_start, e.window_end): (e.count, e.mean) for e in found}
    assert len(told) == len(found)
    return told


def undisturbed(spec: Spec, events: list[Event]) -> dict[tuple[str, int, int], tuple[int, float]]:
    """Return what observe says on a log in memory without any interruption."""
    world = LocalWorld(batch=10_000)
    world.produce(events)
    world.run(spec, lambda: False)
    return seen(world)


def until_cut(world: KafkaWorld, spec: Spec, events: list[Event]) -> None:
    """Let observe take events until it has applied them all, with some windows open."""
    world.produce(events)
    ends = {e.app: 0 for e in events if isinstance(e, MetricReport)}
    with world.running(spec):
        wait_until(lambda: applied(world) == len(events) and len(seen(world)) >= len(ends))


def applied(world: KafkaWorld) -> int:
    """Return how many messages the saved states of observe have applied."""
    saved = read_saved(world.settings, CODEC, [watching()])
    return sum(p.next_offset for one in saved if one.snapshot for p in one.snapshot.positions)


def test_what_changes_no_window_is_carried_over_as_if_nothing_was(world: KafkaWorld) -> None:
    events = metrics(600)
    until_cut(world, watching(), events[:330])
    changed = watching(idle_ms=55_000)
    with pytest.raises(SnapshotRefused, match="other parameters"):
        world.run(changed, lambda: False)
    with world.running(watching()) as running:
        wait_until(lambda: running.host.ready)
        with pytest.raises(RecoveryRefused, match="members of weir-observe are alive"):
            migrate(world.settings, CODEC, changed, OBSERVE)
    done = migrate(world.settings, CODEC, changed, OBSERVE)
    assert {one.told for one in done} == {"carried over"}
    assert migrate(world.settings, CODEC, changed, OBSERVE) == []
    world.produce(events[330:])
    wanted = undisturbed(watching(), events)
    world.run(changed, lambda: len(seen(world)) >= len(wanted))
    assert seen(world) == wanted


@pytest.mark.faults
def test_other_windows_are_made_anew_as_if_they_had_always_been(world: KafkaWorld) -> None:
    events = metrics(600)
    until_cut(world, watching(), events[:330])
    before = seen(world)
    wider = watching(size_ms=2_000)
    rebuild(world.settings, CODEC, wider, OBSERVE, Terms())
    assert seen(world) == before, "nothing is emitted while the log is read again"
    world.produce(events[330:])
    newest = {e.app: e.event_time for e in events[:330] if isinstance(e, MetricReport)}
    wanted = {
        key: value for key, value in undisturbed(wider, events).items() if key[2] > newest[key[0]]
    }
    world.run(wider, lambda: len(seen(world)) >= len(before) + len(wanted))
    assert seen(world) == before | wanted


def numbers(world: World) -> dict[str, list[int]]:
    """Return what the tally said, per application, in order."""
    found: dict[str, list[int]] = {}
    for event in world.events("weir.quality"):
        assert isinstance(event, QualityEvaluated)
        if event.rule == "number":
            found.setdefault(event.app, []).append(int(event.score))
    return found


def counted(world: World, each: int) -> bool:
    """Return whether every application was counted so far."""
    found = numbers(world)
    return len(found) == 5 and all(len(values) >= each for values in found.values())


@pytest.mark.faults
def test_a_state_bound_to_parameters_is_made_anew_from_the_log(world: KafkaWorld) -> None:
    world.produce(observations(50))
    world.run(tally(Unreadable), lambda: counted(world, 10))
    changed = tally(parameters="2")
    with pytest.raises(RecoveryRefused, match="bound to the parameters"):
        migrate(world.settings, CODEC, changed, TALLY)
    with pytest.raises(RecoveryRefused, match="--accept-loss"):
        rebuild(world.settings, CODEC, changed, TALLY, Terms(replays=False))
    done = rebuild(world.settings, CODEC, changed, TALLY, Terms())
    assert done[0].told == "made anew from 50 messages"
    world.produce(observations(25, first=50))
    world.run(changed, lambda: counted(world, 15))
    assert numbers(world) == {f"app {n}": list(range(1, 16)) for n in range(5)}


@pytest.mark.faults
def test_what_is_begun_afresh_goes_on_where_it_stood(world: KafkaWorld) -> None:
    world.produce(observations(50))
    world.run(tally(), lambda: counted(world, 10))
    changed = tally(parameters="2")
    rebuild(world.settings, CODEC, changed, TALLY, Terms(replays=False, accept_loss=True))
    world.produce(observations(25, first=50))
    world.run(changed, lambda: counted(world, 15))
    assert numbers(world)["app 3"] == [*range(1, 11), *range(1, 6)]


@dataclass(frozen=True)
class Older:
    """What observe might have saved once: all but `late`, and a field that is no more."""

    newest: int | None
    gone: str


def test_a_format_that_cannot_be_read_is_refused_with_what_can_be_done() -> None:
    state = pack_state(Older(1, "x"))
    old = snapshots.make(watching(), 0, {("weir.metrics", 0): 7}, state, 1_000)
    newer = replace(watching(), format=watching().format + 1)
    with pytest.raises(RecoveryRefused, match=r"observe/0: .*weir snapshots rebuild observe"):
        carried(newer, old)
    with pytest.raises(RecoveryRefused, match="written by a newer version"):
        carried(watching(), replace(old, format=newer.format))


def test_a_format_that_is_described_is_carried_over() -> None:
    spec = watching()
    state = spec.build(0).snapshot()
    kept = snapshots.make(spec, 0, {("weir.metrics", 0): 7}, state, 1_000)
    newer = spec.format + 1
    found = carried(replace(spec, format=newer, parameters="other"), kept)
    assert found == replace(kept, format=newer, parameters="other")


@pytest.mark.faults
def test_states_that_nobody_can_read_are_listed_with_the_others(world: KafkaWorld) -> None:
    world.produce(observations(10))
    world.run(tally(), lambda: counted(world, 2))
    world.produce_raw(snapshots.TOPIC, b"\x07", b"tally/0")
    world.produce_raw(snapshots.TOPIC, b"\x07", b"no key")
    world.produce([])
    found = read_saved(world.settings, CODEC, [tally()])
    assert [one.key for one in found if one.unreadable] == ["tally/0"]
    assert all(isinstance(one.snapshot, Snapshot) for one in found if not one.unreadable)
    with pytest.raises(RecoveryRefused, match="tally/0 cannot be read"):
        migrate(world.settings, CODEC, tally(), TALLY)


def test_nothing_saved_is_nothing_to_carry(world: KafkaWorld) -> None:
    with pytest.raises(RecoveryRefused, match="no state of tally is saved"):
        migrate(world.settings, CODEC, tally(), TALLY)

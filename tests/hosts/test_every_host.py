"""The same scenario gives the same events on every host."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from processors.deriving import derive
from processors.observing.observe import ObserveParams
from processors.observing.observe import spec as observe
from schemas.base import Event
from schemas.decisions import DeadLetter
from schemas.inference import GroundTruth, InferenceResult
from schemas.observing import MetricReport, Observation, QualityEvaluated
from schemas.processing import Spec
from schemas.quality import RuleDefined
from tests.examples import example
from tests.hosts.samples import (
    EPOCH,
    Unreadable,
    crashing_after,
    metrics,
    observations,
    tally,
    wordy,
)
from tests.hosts.worlds import CODEC, LOGS, LocalWorld, World, cluster_of, kafka_world
from workers.errors import SnapshotRefused
from workers.local import LocalHost

LETTERS = "weir.deadletters"


@pytest.fixture(params=["local", *LOGS])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "local":
        yield LocalWorld()
        return
    with kafka_world(tmp_path, cluster_of(request)) as made:
        yield made


def numbers(world: World, rule: str = "number") -> dict[str, list[int]]:
    """Return what the tally said, per application, in order."""
    found: dict[str, list[int]] = {}
    for event in world.events("weir.quality"):
        assert isinstance(event, QualityEvaluated)
        if event.rule == rule:
            found.setdefault(event.app, []).append(int(event.score))
    return found


def counted(world: World, each: int, apps: int = 5) -> Callable[[], bool]:
    """Return whether the tally has told the total of every application."""
    totals = {f"app {n}": each for n in range(apps)}

    def done() -> bool:
        told = numbers(world, "total")
        return {app: values[-1] for app, values in told.items()} == totals

    return done


def test_every_record_is_applied_once_and_in_order(world: World) -> None:
    world.produce(observations(200))
    world.run(tally(), counted(world, 40))
    assert numbers(world) == {f"app {n}": list(range(1, 41)) for n in range(5)}


def test_a_crash_loses_nothing_and_repeats_nothing(world: World) -> None:
    world.produce(observations(150))
    world.run(tally(), counted(world, 30))
    world.produce(observations(150, first=150))
    world.crash(tally(crashing_after(120)))
    world.run(tally(), counted(world, 60))
    assert numbers(world) == {f"app {n}": list(range(1, 61)) for n in range(5)}


def test_a_state_of_others_is_refused_and_left_as_it_is(world: World) -> None:
    world.produce(observations(50))
    world.run(tally(), counted(world, 10))
    world.produce(observations(25, first=50))
    with pytest.raises(SnapshotRefused, match=r"tally/\d.*weir snapshots migrate tally"):
        world.run(tally(parameters="2"), lambda: False)
    assert numbers(world) == {f"app {n}": list(range(1, 11)) for n in range(5)}
    world.run(tally(), counted(world, 15))
    assert numbers(world) == {f"app {n}": list(range(1, 16)) for n in range(5)}


def test_the_catalogue_is_read_before_the_first_record(world: World) -> None:
    world.produce([replace(example(RuleDefined), name=f"rule {n}") for n in range(3)])
    world.produce(observations(1))
    world.run(tally(), counted(world, 1, apps=1))
    (first, *_) = world.events("weir.quality")
    assert isinstance(first, QualityEvaluated)
    assert first.severity == "3"


def test_bad_messages_become_dead_letters_and_everything_else_goes_on(world: World) -> None:
    good = observations(12, apps=1)
    other = CODEC.encode(example(MetricReport))
    bad = {
        b"\x07no avro": "not-framed",
        b"\x00\x00\x00\x03\xe7" + CODEC.encode(good[0])[5:]: "unknown-schema",
        other: "wrong-record",
        CODEC.encode(good[0])[:-3]: "malformed",
        CODEC.encode(good[0]) + CODEC.encode(good[1])[5:]: "trailing-bytes",
        b"\x00" * 1_048_577: "too-large",
        CODEC.encode(replace(example(Observation), app="")): "empty",
    }
    for value, event in zip(bad, good, strict=False):
        world.produce([event])
        world.produce_raw("weir.observations", value, b"app 0")
    world.produce(good[len(bad) :])
    world.run(tally(), counted(world, 12, apps=1))
    assert numbers(world) == {"app 0": list(range(1, 13))}
    letters = dead_letters(world)
    assert [letter.error for letter in letters] == list(bad.values())
    assert [letter.length for letter in letters] == [len(value) for value in bad]
    assert all(len(letter.payload) <= 65_536 for letter in letters)
    assert all(letter.message and letter.processor == "tally" for letter in letters)
    assert next(letter.field for letter in letters if letter.error == "empty") == "app"


def test_an_output_that_kafka_refuses_for_its_size_ends_nothing(world: World) -> None:
    world.produce(observations(100))
    world.run(tally(wordy("app 1", 3.0)), lambda: counted_but(world))
    said = numbers(world)
    assert said.pop("app 1") == [n for n in range(1, 21) if n != 3]
    assert said == {f"app {n}": list(range(1, 21)) for n in (0, 2, 3, 4)}
    refused = [letter for letter in dead_letters(world) if letter.error == "output-too-large"]
    assert {(one.topic, one.partition, one.offset) for one in refused} == {("weir.quality", -1, -1)}
    assert all(one.length > 1_048_576 and len(one.payload) == 65_536 for one in refused)
    assert all(one.message.startswith("tally decided 10") for one in refused)


def counted_but(world: World) -> bool:
    """Tell whether the answers to 100 observations are there, all that fit."""
    return sum(map(len, numbers(world).values())) == 99


def dead_letters(world: World) -> list[DeadLetter]:
    """Return all dead letters in order."""
    return [event for event in world.events(LETTERS) if isinstance(event, DeadLetter)]


def watching() -> Spec:
    """Return observe with windows of a second."""
    return observe(ObserveParams(size_ms=1000, allowed_lateness_ms=0, idle_ms=1500))


def statistics(world: World) -> list[Event]:
    """Return the observations without what the clock decides, ordered."""
    found = [event for event in world.events("weir.observations") if isinstance(event, Observation)]
    return sorted(
        (replace(event, emitted_at=0) for event in found),
        key=lambda event: (event.app, event.window_start),
    )


def expected(events: list[Event]) -> list[Event]:
    """Return what observe says to events on a log in memory, without any interruption."""
    world = LocalWorld(batch=10_000)
    world.produce(events)
    world.run(watching(), lambda: False)
    assert world.events("weir.observations")
    return statistics(world)


def test_open_windows_are_built_again_after_a_crash(world: World) -> None:
    events = metrics(600)
    wanted = expected(events)
    world.produce(events[:330])
    world.run(watching(), lambda: len(world.events("weir.observations")) > 0)
    world.produce(events[330:])
    world.run(watching(), lambda: len(world.events("weir.observations")) >= len(wanted))
    assert statistics(world) == wanted


def test_absence_is_not_taken_for_silence() -> None:
    events = metrics(600)
    wanted = expected(events)
    world = LocalWorld(batch=10)
    world.produce(events[:330])
    host = LocalHost([watching()], world.log, batch=10)
    while host.turn("observe"):
        pass
    world.produce(events[330:])
    LocalHost([watching()], world.log, batch=1).run_until_idle(EPOCH + 3_000)
    world.run(watching(), lambda: len(world.events("weir.observations")) >= len(wanted))
    assert statistics(world) == wanted


def test_in_columns_exactly_the_bad_messages_are_refused(world: World) -> None:
    events = metrics(60, series=1)
    values = [CODEC.encode(event) for event in events]
    two_in_one = values[3] + values[4][5:]
    bad = [two_in_one, values[5] + b"\x02", values[6][:-2], values[7][:-1], b""]
    late = replace(example(MetricReport), event_time=EPOCH + 31_536_000_000, app="app 0")
    bad += [CODEC.encode(late), CODEC.encode(replace(late, event_time=EPOCH, value=float("nan")))]
    world.produce(events[:30])
    for value in bad:
        world.produce_raw("weir.metrics", value, b"app 0/////latency")
    world.produce(events[30:])
    wanted = [replace(event, sources=()) for event in expected(events)]  # type: ignore[type-var]
    world.run(watching(), lambda: len(world.events("weir.observations")) >= len(wanted))
    assert [replace(e, sources=()) for e in statistics(world)] == wanted  # type: ignore[type-var]
    letters = dead_letters(world)
    assert [letter.length for letter in letters] == [len(value) for value in bad]
    assert [letter.error for letter in letters][-2:] == ["time-ahead", "not-finite"]


def test_what_stands_in_a_wrong_partition_is_sent_home(world: World) -> None:
    for number in range(20):
        request = f"request {number}"
        result = replace(example(InferenceResult), request_id=request, event_id=request)
        result = replace(result, status="ok", label="7", finished_at=EPOCH)
        truth = replace(example(GroundTruth), request_id=request, label="7", known_at=EPOCH)
        world.produce([replace(result, app=truth.app)])
        world.produce_raw("weir.labels", CODEC.encode(truth), b"any key, always the same")
    world.run(derive.spec(), lambda: len(accuracies(world)) >= 20)
    assert accuracies(world) == [1.0] * 20


def accuracies(world: World) -> list[float]:
    """Return what was derived by joining results with labels."""
    found = [event for event in world.events("weir.metrics") if isinstance(event, MetricReport)]
    return [event.value for event in found if event.metric == "accuracy"]


def test_in_columns_what_has_no_key_is_sent_home(world: World) -> None:
    events = metrics(60, series=3)
    for event in events:
        world.produce_raw("weir.metrics", CODEC.encode(event))
    wanted = expected(events)
    world.run(watching(), lambda: len(world.events("weir.observations")) >= len(wanted))
    assert [told(event) for event in statistics(world)] == [told(event) for event in wanted]


def told(event: Event) -> tuple[str, int, int, float, float]:
    """Return what does not depend on the order in which values came."""
    assert isinstance(event, Observation)
    return event.app, event.window_start, event.count, event.min, event.max


def test_a_state_that_cannot_be_read_is_refused(world: World) -> None:
    world.produce(observations(50))
    world.run(tally(Unreadable), counted(world, 10))
    world.produce(observations(25, first=50))
    with pytest.raises(SnapshotRefused, match="can be read"):
        world.run(tally(), lambda: False)
    assert numbers(world) == {f"app {n}": list(range(1, 11)) for n in range(5)}

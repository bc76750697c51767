"""The laws of a processor, held by every one of them."""

import copy
import os
from functools import cache

import pytest

from schemas.base import Event
from schemas.codec import pack
from schemas.decisions import Snapshot
from schemas.processing import Columns, Directed, Output, Rebuildable
from tests.contracts.laws import AnyBatch, Driver, Scenario, run, scenarios, size, split, timer

SCENARIOS = scenarios()
SEEDS = range(1, 21) if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else range(1, 3)


@pytest.fixture(params=sorted(SCENARIOS))
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return SCENARIOS[request.param]


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def batches(scenario: Scenario, seed: int) -> list[AnyBatch]:
    return _batches(scenario.name, seed)


@pytest.fixture
def undisturbed(scenario: Scenario, seed: int) -> list[Output]:
    return _undisturbed(scenario.name, seed)


@cache
def _batches(name: str, seed: int) -> list[AnyBatch]:
    return SCENARIOS[name].batches(seed)


@cache
def _undisturbed(name: str, seed: int) -> list[Output]:
    return run(SCENARIOS[name], _batches(name, seed))


@cache
def _snapshots(name: str, seed: int) -> list[bytes]:
    """Return what is saved after each batch."""
    driver, taken = Driver(SCENARIOS[name].spec), []
    for batch in _batches(name, seed):
        driver.feed([batch])
        taken.append(driver.processor.snapshot())
    return taken


def test_the_scenario_says_something(scenario: Scenario, undisturbed: list[Output]) -> None:
    assert undisturbed, "a scenario without outputs tests nothing"
    for event in (_event(output) for output in undisturbed):
        assert type(event) in scenario.spec.outputs
        assert type(event) is not Snapshot
        pack(event)


def test_splitting_a_batch_anywhere_changes_nothing(
    scenario: Scenario, batches: list[AnyBatch], seed: int, undisturbed: list[Output]
) -> None:
    assert run(scenario, split(batches, seed)) == undisturbed


def test_a_restart_at_any_cut_changes_nothing(
    scenario: Scenario, batches: list[AnyBatch], undisturbed: list[Output]
) -> None:
    driver, fed = Driver(scenario.spec), 0
    for place in range(1, len(batches), max(1, len(batches) // 6)):
        driver.feed(batches[fed:place])
        fed = place
        other = driver.restarted(scenario.spec)
        other.feed(batches[place:])

        assert other.finish(scenario.tail_ms) == undisturbed, f"restarted before batch {place}"


def test_the_same_input_gives_the_same_events(
    scenario: Scenario, seed: int, undisturbed: list[Output]
) -> None:
    assert run(scenario, scenario.batches(seed)) == undisturbed


def test_the_batch_is_not_mutated(scenario: Scenario, batches: list[AnyBatch]) -> None:
    driver = Driver(scenario.spec)
    for batch in batches:
        before = _frozen(batch)
        driver.feed([batch])
        assert _same(before, batch)


def test_an_empty_batch_before_its_time_does_nothing(
    scenario: Scenario, batches: list[AnyBatch], undisturbed: list[Output]
) -> None:
    driver = Driver(scenario.spec)
    for batch in batches:
        driver.feed([batch])
        wake = driver.processor.wake_at()
        assert wake is None or wake > batch.now_ms, "a timer due at once never ends"
        before = driver.processor.snapshot()
        early = batch.now_ms if wake is None else min(wake - 1, batch.now_ms + 1_000)
        assert list(driver.processor.process(timer(batch, early))) == []
        assert driver.processor.snapshot() == before
    assert driver.finish(scenario.tail_ms) == undisturbed


def test_restore_of_a_snapshot_is_a_fixed_point(scenario: Scenario, seed: int) -> None:
    for snapshot in _snapshots(scenario.name, seed):
        other = scenario.spec.build(0)
        other.restore(snapshot)
        assert other.snapshot() == snapshot


def test_state_stays_within_its_bound(scenario: Scenario, seed: int) -> None:
    assert max(map(len, _snapshots(scenario.name, seed))) <= scenario.bound


def test_a_batch_replayed_after_restore_gives_the_same_events(
    scenario: Scenario, batches: list[AnyBatch]
) -> None:
    driver = Driver(scenario.spec)
    for batch in batches:
        driver.fire(batch.now_ms, batch)
        again = driver.restarted(scenario.spec)
        told = len(driver.outputs)
        driver.feed([batch])
        again.feed([batch])
        assert again.outputs[told:] == driver.outputs[told:]


def test_what_is_needed_from_the_log_has_been_applied(
    scenario: Scenario, batches: list[AnyBatch]
) -> None:
    driver = Driver(scenario.spec)
    if not isinstance(driver.processor, Rebuildable):
        pytest.skip("nothing is rebuilt from the log")
    applied: dict[tuple[str, int], int] = {}
    for batch in batches:
        driver.feed([batch])
        applied |= _ends(batch)
        for place, oldest in driver.processor.oldest_needed().items():
            assert 0 <= oldest < applied[place]


def _ends(batch: AnyBatch) -> dict[tuple[str, int], int]:
    if isinstance(batch, Columns):
        last = int(batch.frame["_offset"][-1]) + 1 if size(batch) else 0
        return {(batch.topic, batch.partition): last} if size(batch) else {}
    return {(record.topic, record.partition): record.offset + 1 for record in batch.records}


def _event(output: Output) -> Event:
    return output.event if isinstance(output, Directed) else output


def _frozen(batch: AnyBatch) -> AnyBatch:
    return batch if isinstance(batch, Columns) and size(batch) == 0 else copy.deepcopy(batch)


def _same(one: AnyBatch, other: AnyBatch) -> bool:
    if isinstance(one, Columns) and isinstance(other, Columns):
        same = one.series is other.series is None or (
            one.series is not None and other.series is not None and one.series.equals(other.series)
        )
        return same and one.frame.equals(other.frame) and one.now_ms == other.now_ms
    return one == other

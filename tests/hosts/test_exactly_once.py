"""Hosts that are killed, stopped and expelled in the middle of a transaction.

On Apache Kafka every output stands there exactly once. The embedded broker promises less: it shows
what was aborted and takes commits of expelled members, so there the same events may stand twice,
and are made exact by their ids.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from processors.observing.observe import ObserveParams
from processors.observing.observe import spec as observe
from schemas.base import Event
from schemas.observing import Observation, QualityEvaluated
from schemas.processing import Spec
from tests.hosts.doomed import POINTS, Blow, points, process
from tests.hosts.samples import metrics, observations, tally
from tests.hosts.worlds import (
    KILLED_SESSION_MS,
    LOGS_OF_FAULTS,
    KafkaWorld,
    LocalWorld,
    cluster_of,
    kafka_world,
    wait_until,
)

TIMEOUT_MS = 2_000
SESSION_MS = 3_000
T = TypeVar("T")


@pytest.fixture(params=LOGS_OF_FAULTS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path, cluster_of(request)) as made:
        made.with_kafka(transaction_timeout_ms=TIMEOUT_MS, session_timeout_ms=KILLED_SESSION_MS)
        yield made


def numbers(world: KafkaWorld) -> list[tuple[str, int]]:
    """Return application and number of every number that the tally said."""
    events = [e for e in world.events("weir.quality") if isinstance(e, QualityEvaluated)]
    return [(event.app, int(event.score)) for event in events if event.rule == "number"]


def all_numbers(each: int) -> Counter[tuple[str, int]]:
    """Return what the tally says of five applications, each number once."""
    return Counter((f"app {app}", n) for app in range(5) for n in range(1, each + 1))


def assert_promised(world: KafkaWorld, found: Counter[T], wanted: Counter[T]) -> None:
    """Assert the promise: exactly once on Apache Kafka, at least once on the embedded broker."""
    if world.exact:
        assert found == wanted
    else:
        assert set(found) == set(wanted)


def struck(signal_number: int, process: BaseProcess) -> bool:
    """Tell whether the signal of a blow has had its effect."""
    if signal_number == signal.SIGKILL:
        return not process.is_alive()
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


def suffer(world: KafkaWorld, make: Callable[[], Spec], blow: Blow) -> None:
    """Run a host until it is killed at a point of its cycle."""
    with process(world, make, blow) as doomed:
        wait_until(lambda: struck(blow.signal, doomed))
        assert doomed.exitcode == -signal.SIGKILL


def blows(world: KafkaWorld, seed: int, count: int) -> list[Blow]:
    """Return kills at points drawn by the seed; each point comes before any comes again."""
    draw = random.Random(seed)
    passed = points(exact=world.exact)
    drawn = [point for _ in range(count) for point in draw.sample(passed, len(passed))]
    return [Blow(point, time=draw.randint(1, 3)) for point in drawn[:count]]


def kill_again_and_again(world: KafkaWorld, seed: int, times: int) -> None:
    """Kill the tally at points of its cycle while events come, then let it finish."""
    for turn, blow in enumerate(blows(world, seed, times)):
        print(f"seed {seed}: {blow}")
        world.produce(observations(200, first=200 * turn))
        suffer(world, tally, blow)
    each = 40 * times
    with process(world, tally):
        wait_until(lambda: len(set(numbers(world))) >= 5 * each)
    assert_promised(world, Counter(numbers(world)), all_numbers(each))


def test_a_host_that_is_killed_anywhere_in_its_cycle_doubles_and_loses_nothing(
    world: KafkaWorld,
) -> None:
    kill_again_and_again(world, seed=1, times=2)


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [2, 3])
def test_a_host_that_is_killed_at_every_point_doubles_and_loses_nothing(
    world: KafkaWorld, seed: int
) -> None:
    kill_again_and_again(world, seed, times=2 * len(POINTS))


def watching() -> Spec:
    """Return observe with windows of a second."""
    return observe(ObserveParams(size_ms=1000, allowed_lateness_ms=0, idle_ms=1500))


def windows(events: Sequence[Event]) -> Counter[Event]:
    """Return observations without what the clock decides."""
    return Counter(replace(e, emitted_at=0) for e in events if isinstance(e, Observation))


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_windows_are_the_same_wherever_their_host_is_killed(world: KafkaWorld) -> None:
    seed, each = 4, 200
    events = metrics(each * len(POINTS) * 2)
    undisturbed = LocalWorld(batch=10_000)
    undisturbed.produce(events)
    undisturbed.run(watching(), lambda: False)
    wanted = windows(undisturbed.events("weir.observations"))
    for turn, blow in enumerate(blows(world, seed, len(POINTS) * 2)):
        print(f"seed {seed}: {blow}")
        world.produce(events[each * turn : each * (turn + 1)])
        suffer(world, watching, replace(blow, time=1))
    with process(world, watching):
        wait_until(lambda: len(windows(world.events("weir.observations"))) >= len(wanted))
    assert_promised(world, windows(world.events("weir.observations")), wanted)


def test_an_expelled_member_commits_nothing_and_comes_back(world: KafkaWorld) -> None:
    world.produce(observations(100))
    blow = Blow("after begin_transaction", signal.SIGSTOP)
    with process(world, tally, blow) as expelled:
        wait_until(lambda: struck(blow.signal, expelled))
        with world.running(tally(), slot="another") as other:
            wait_until(lambda: len(numbers(world)) == 100)
            os.kill(expelled.pid or 0, signal.SIGCONT)
            wait_until(lambda: 0 < len(other.host.owned) < 4)
            world.produce(observations(100, first=100))
            wait_until(lambda: len(set(numbers(world))) == 200)
        assert expelled.is_alive()
    assert expelled.exitcode == 0
    assert_promised(world, Counter(numbers(world)), all_numbers(40))


def test_a_zombie_is_fenced_by_its_successor(world: KafkaWorld) -> None:
    world.produce(observations(100))
    blow = Blow("before send_offsets_to_transaction", signal.SIGSTOP)
    with process(world, tally, blow) as zombie:
        wait_until(lambda: struck(blow.signal, zombie))
        with process(world, tally):
            begun = time.monotonic()
            wait_until(lambda: len(set(numbers(world))) == 100)
            took = time.monotonic() - begun
            os.kill(zombie.pid or 0, signal.SIGCONT)
            wait_until(lambda: not zombie.is_alive())
            world.produce(observations(100, first=100))
            wait_until(lambda: len(set(numbers(world))) == 200)
    assert zombie.exitcode == 1
    assert took < 15
    assert_promised(world, Counter(numbers(world)), all_numbers(40))


def test_an_abandoned_transaction_is_expired_and_readers_move_on(world: KafkaWorld) -> None:
    if not world.exact:
        pytest.skip("the embedded broker expires no transactions")
    world.produce(observations(100))
    suffer(world, tally, Blow("before commit_transaction"))
    with world.running(tally(), slot="another"):
        begun = time.monotonic()
        wait_until(lambda: len(numbers(world)) == 100)
        took = time.monotonic() - begun
    assert took < 15
    assert Counter(numbers(world)) == all_numbers(20)


@pytest.mark.faults
@pytest.mark.parametrize("slot", ["0", "another"])
def test_a_killed_host_has_a_successor_soon(world: KafkaWorld, slot: str) -> None:
    """With the session of the stack, and its host killed between transactions."""
    world.with_kafka(session_timeout_ms=SESSION_MS)
    world.produce(observations(100))
    with process(world, tally) as doomed:
        wait_until(lambda: len(set(numbers(world))) == 100)
        doomed.kill()
        doomed.join()
        begun = time.monotonic()
        world.produce(observations(100, first=100))
        with process(world, tally, slot=slot):
            wait_until(lambda: len(set(numbers(world))) == 200)
            took = time.monotonic() - begun
    print(f"its successor had done the work after {took:.1f} s")
    assert took < 15
    assert_promised(world, Counter(numbers(world)), all_numbers(40))

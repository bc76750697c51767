"""Members of one group come and go while events flow."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.base import Event
from schemas.observing import DriftDetected, QualityEvaluated
from schemas.processing import Batch, Output, Spec
from tests.examples import example
from tests.hosts.samples import Tally, observations, tally, verdict
from tests.hosts.worlds import (
    LOGS_OF_FAULTS,
    KafkaWorld,
    Running,
    cluster_of,
    kafka_world,
    wait_until,
)

INPUTS = ("weir.observations", "weir.drifts")
EACH = 50
APPS = 5


@pytest.fixture(params=LOGS_OF_FAULTS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path, cluster_of(request)) as made:
        yield made


class Both(Tally):
    """A tally of observations and drifts alike."""

    def process(self, batch: Batch) -> Sequence[Output]:
        outputs = []
        for record in batch.records:
            app: str = record.event.app  # type: ignore[attr-defined]
            self._counts[app] = self._counts.get(app, 0) + 1
            outputs.append(verdict(app, "number", self._counts[app], 0))
        return outputs


def joining() -> Spec:
    """Return the tally of two topics that are cut alike."""
    return replace(tally(Both), inputs=INPUTS)


def pairs(turn: int) -> list[Event]:
    """Return the events of one turn: half of them observations, half drifts."""
    base = example(DriftDetected)
    drifts = [replace(base, event_id=f"d {turn} {n}", app=f"app {n % APPS}") for n in range(EACH)]
    return [*observations(EACH, first=turn * EACH), *drifts]


class Slots:
    """Hosts by slot, each of which can be started and ended at any time."""

    def __init__(self, world: KafkaWorld) -> None:
        self._world = world
        self._stacks: dict[str, contextlib.ExitStack] = {}
        self.running: dict[str, Running] = {}

    def start(self, slot: str) -> None:
        """Start a host."""
        stack = self._stacks[slot] = contextlib.ExitStack()
        self.running[slot] = stack.enter_context(self._world.running(joining(), slot=slot))

    def end(self, slot: str) -> None:
        """End a host, as SIGTERM does, and raise what it raised.

        It has joined before: a member that leaves while it joins wedges the embedded broker's
        group for good.
        """
        host = self.running[slot].host
        wait_until(lambda: self._world.exact or bool(host.owned))
        del self.running[slot]
        self._stacks.pop(slot).close()

    def close(self) -> None:
        """End all hosts."""
        with contextlib.ExitStack() as every:
            for slot in list(self.running):
                every.callback(self.end, slot)

    def check(self) -> None:
        """Assert that whoever has a partition of one topic has it of the other too."""
        for running in self.running.values():
            owned = running.host.owned
            parts = [{p for topic, p in owned if topic == name} for name in INPUTS]
            assert parts[0] == parts[1]


def storm(world: KafkaWorld, seed: int, turns: int) -> Counter[tuple[str, int]]:
    """Let hosts come and go, with events in between, and return what was said."""
    draw = random.Random(seed)
    print(f"seed {seed}")
    slots = Slots(world)
    with contextlib.closing(slots):
        _storm(world, slots, draw, turns)
    return Counter(told(world))


def _storm(world: KafkaWorld, slots: "Slots", draw: random.Random, turns: int) -> None:
    slots.start("a")
    for turn in range(turns):
        world.produce(pairs(turn))
        slot = draw.choice("abc")
        if slot not in slots.running:
            slots.start(slot)
        elif len(slots.running) > 1:
            slots.end(slot)
        for _ in range(draw.randint(0, 4)):
            time.sleep(0.1)
            slots.check()
    wait_until(lambda: len(set(told(world))) >= turns * EACH * 2)


def told(world: KafkaWorld) -> list[tuple[str, int]]:
    """Return application and number of every output."""
    events = [e for e in world.events("weir.quality") if isinstance(e, QualityEvaluated)]
    return [(event.app, int(event.score)) for event in events]


def assert_all(world: KafkaWorld, found: Counter[tuple[str, int]], turns: int) -> None:
    """Assert that nothing was lost, and on Apache Kafka that nothing stands there twice."""
    each = turns * EACH * 2 // APPS
    wanted = Counter((f"app {app}", n) for app in range(APPS) for n in range(1, each + 1))
    assert set(found) == set(wanted)
    if world.exact:
        assert found == wanted


def test_nothing_is_lost_or_doubled_while_members_come_and_go(world: KafkaWorld) -> None:
    assert_all(world, storm(world, seed=1, turns=8), turns=8)


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_nothing_is_lost_or_doubled_in_a_storm(world: KafkaWorld, seed: int) -> None:
    if not world.exact:
        pytest.skip("a member that leaves while others join wedges the embedded broker's group")
    assert_all(world, storm(world, seed, turns=60), turns=60)

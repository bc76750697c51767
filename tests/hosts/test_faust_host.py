"""What is Faust's own: committed reads, repeats, rebalances, a killed process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from schemas import topics
from schemas.base import Event
from schemas.decisions import Snapshot
from schemas.observing import DriftDetected, QualityEvaluated
from schemas.partitioning import partition_of
from schemas.processing import Batch, Output
from streams.errors import HostingError
from streams.faust import host as faust_host
from tests.examples import example
from tests.hosts.faust_world import FaustWorld, faust_world
from tests.hosts.samples import Tally, observations, tally, verdict
from tests.hosts.worlds import LOGS_OF_FAUST, cluster_of, wait_until
from workers.settings import Settings

APPS = [f"app {number}" for number in range(5)]


@pytest.fixture(params=LOGS_OF_FAUST)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaustWorld]:
    with faust_world(tmp_path, cluster_of(request)) as made:
        yield made


def said(world: FaustWorld) -> dict[str, list[int]]:
    """Return what was said per application, in order; what is said twice must be the same."""
    found: dict[str, QualityEvaluated] = {}
    for event in world.events("weir.quality"):
        assert isinstance(event, QualityEvaluated)
        if event.rule == "number":
            assert found.setdefault(event.event_id, event) == event
    numbers: dict[str, list[int]] = {}
    for event in found.values():
        numbers.setdefault(event.app, []).append(int(event.score))
    return numbers


def complete(each: int) -> dict[str, list[int]]:
    return {app: list(range(1, each + 1)) for app in APPS}


def test_data_is_read_as_the_settings_say_and_repeats_are_recognised(world: FaustWorld) -> None:
    events = observations(60)
    with world.worker([tally()]) as worker:
        consumer = worker.app.consumer._thread._consumer
        assert consumer._isolation_level == f"read_{'' if world.exact else 'un'}committed"
        world.produce([*events, *events[40:]])
        wait_until(lambda: said(world) == complete(12))
        world.produce([*events[20:], *observations(5, first=60)])
        wait_until(lambda: said(world) == complete(13))
    assert sum(len(numbers) for numbers in said(world).values()) == 65


class Slow(Tally):
    """A Tally that takes its time, so that it can be interrupted."""

    def process(self, batch: Batch) -> Sequence[Output]:
        time.sleep(0.0015 * len(batch.records))
        return super().process(batch)


PROGRAM = """
from streams.faust import app as faust_app
from streams.faust import host as faust_host
from tests.hosts.samples import tally
from tests.hosts.test_faust_host import Slow
from tests.hosts.worlds import CODEC
from workers.settings import Settings
settings = Settings.model_validate_json({settings!r})
faust_app.run(faust_host.build_app("tally", settings, [tally(Slow)], codec=CODEC))
"""


def launch(settings: Settings) -> subprocess.Popen[bytes]:
    program = PROGRAM.format(settings=settings.model_dump_json())
    with (settings.data_dir / "worker.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log)


@pytest.mark.faults
def test_a_killed_worker_loses_nothing_and_repeats_only_equal_events(world: FaustWorld) -> None:
    world.produce(observations(1000))
    first = launch(world.settings)
    try:
        wait_until(lambda: bool(world.events("weir.quality")))
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    before = len(world.events("weir.quality"))
    second = launch(world.settings)
    try:
        wait_until(lambda: said(world) == complete(200))
    finally:
        second.terminate()
        ended = second.wait(60)
    assert 0 < before < 1000
    assert ended == 0
    log = (world.settings.data_dir / "worker.log").read_text("utf-8")
    assert "Traceback" not in log
    assert "restored=[]" in log
    assert "restored=['tally/" in log


class Both(Tally):
    """A Tally of observations and drifts alike."""

    def process(self, batch: Batch) -> Sequence[Output]:
        outputs = []
        for record in batch.records:
            app: str = record.event.app  # type: ignore[attr-defined]
            self._counts[app] = self._counts.get(app, 0) + 1
            outputs.append(verdict(app, "number", self._counts[app], 0))
        return outputs


def drifts(count: int, first: int) -> list[Event]:
    base = example(DriftDetected)
    numbers = range(first, first + count)
    return [replace(base, event_id=f"d{n}", app=APPS[n % len(APPS)]) for n in numbers]


def test_partitions_that_belong_together_move_with_their_state(world: FaustWorld) -> None:
    spec = replace(tally(Both), inputs=("weir.observations", "weir.drifts"))
    with world.worker([spec]) as one:
        world.produce([*observations(50), *drifts(50, 0)])
        wait_until(lambda: said(world) == complete(20))
        with world.worker([spec]) as two:
            wait_until(lambda: bool(one.owned()) and bool(two.owned()))
            world.produce([*observations(50, first=50), *drifts(50, 50)])
            wait_until(lambda: said(world) == complete(40))
            for worker in (one, two):
                assert worker.owned("weir.drifts") == worker.owned("weir.observations")
            assert one.owned() | two.owned() == set(range(topics.PARTITIONS))
            assert not one.owned() & two.owned()
    kept = {event.key for event in world.events("weir.snapshots") if isinstance(event, Snapshot)}
    assert kept == {f"tally/{partition_of(app, topics.PARTITIONS)}" for app in APPS}


@pytest.mark.parametrize("change", [{"columnar": True}, {"transactional": False}])
def test_processors_that_need_another_host_are_refused(change: dict[str, bool]) -> None:
    with pytest.raises(HostingError, match="weir run tally"):
        faust_host.build_app("tally", Settings(), [replace(tally(), **change)])  # type: ignore[arg-type]

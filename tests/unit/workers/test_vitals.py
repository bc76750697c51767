"""How the machine is doing, as the worker takes it: what counts, what does not, and who fails."""

import threading
from collections.abc import Iterator

import pytest

from tests.unit.workers.inference_world import T0, hosted, task
from workers.agent.readings import Reading
from workers.inference.engine import Engine, EngineParams
from workers.inference.measuring import Telemetry
from workers.inference.results import Home
from workers.inference.vitals import Vitals, readings_of
from workers.scheduling.pressure import Readings
from workers.scheduling.scheduler import SchedulerParams


def test_the_hottest_processor_counts_and_no_disk_or_radio() -> None:
    told = [
        Reading("temperature.coretemp.core_0", 61.0, "C"),
        Reading("gpu.0.temperature", 83.0, "C"),
        Reading("jetson.temperature.tj", 80.5, "C"),
        Reading("temperature.nvme.composite", 91.0, "C"),
        Reading("temperature.iwlwifi_1.0", 92.0, "C"),
        Reading("jetson.temperature.pmic", 100.0, "C"),
        Reading("jetson.temperature.tj.peak", 97.0, "C"),
        Reading("cpu.used", 40.0, "%"),
        Reading("memory.available", 256.0, "MiB"),
        Reading("memory.total", 1024.0, "MiB"),
    ]
    assert readings_of(told) == Readings(cpu=0.4, memory=0.75, temperature_c=83.0)


def test_what_is_not_told_is_unknown() -> None:
    assert readings_of([]) == Readings()
    assert readings_of([Reading("memory.available", 1.0, "MiB")]) == Readings()


class Scripted:
    """A source that says one thing after another, fails once, then says that it was all."""

    def __init__(self) -> None:
        self.asked = 0
        self.done = threading.Event()

    def read(self) -> Iterator[Reading]:
        self.asked += 1
        if self.asked == 2:
            raise OSError("the driver is gone")
        if self.asked == 4:
            self.done.set()
        yield Reading("cpu.used", 10.0 * self.asked, "%")


class Still:
    """A source that spoke once."""

    def __init__(self) -> None:
        self.left = [Reading("gpu.0.temperature", 70.0, "C")]

    def read(self) -> Iterator[Reading]:
        while self.left:
            yield self.left.pop()


def test_a_source_that_fails_ends_nothing_and_what_was_said_holds_for_a_while() -> None:
    script = Scripted()
    vitals = Vitals([script, Still()], every_s=0.01)
    vitals.begin()
    assert script.done.wait(10.0)
    vitals.close()
    told = vitals.take()
    assert told is not None
    assert told.temperature_c == 70.0
    assert told.cpu is not None
    assert told.cpu >= 0.3
    while vitals.take() is not None:  # the same is not taken twice, and no more is asked
        pass


@pytest.mark.parametrize(("spare", "refused"), [(True, True), (False, False)])
def test_a_hot_worker_refuses_work_and_tells_why_unless_it_is_not_to(
    *, spare: bool, refused: bool
) -> None:
    telemetry = Telemetry(Home("n", "w"), T0, expiry_ms=15_000)
    params = EngineParams(node="n", worker="w", scheduler=SchedulerParams(spare=spare))
    engine = Engine(params, observers=(telemetry,))
    engine.host(hosted(), (9.0, 10.0))
    for second in range(3):
        now = T0 + 1000.0 * second
        telemetry.pressed(engine.pressure(Readings(temperature_c=95.0), now))
        ended = [end for n in range(300) for end in engine.receive(task(1000 * second + n), 0, now)]
    assert any("machine" in (end.result.reason or "") for end in ended) is refused
    told = {one.metric: one.value for one in telemetry.metrics(T0 + 3000.0)}
    assert told["worker.degradation.heat"] == 1.0
    assert told["worker.degradation"] == 1.0

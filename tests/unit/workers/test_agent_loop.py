"""The agent's round: every sampler in its turn, on this machine; a failing one costs no other."""

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from schemas.registrations import NodeReported
from workers.agent.chosen import LOOK_S, Chosen
from workers.agent.facts import gather
from workers.agent.gpus import NoGpus
from workers.agent.loop import STUCK_S, Cost, Turn, ask, stuck, take_turns
from workers.agent.machine import Machine
from workers.agent.readings import Reading
from workers.agent.service import Agent, Plan
from workers.probing.periodic import following
from workers.settings import Identity, KafkaSettings, RegistrySettings, Settings


class Probe(list[tuple[str, float, str]]):
    """Keeps what is reported."""

    def report(self, metric: str, value: float, *, unit: str = "") -> None:
        self.append((metric, value, unit))


class Ticks:
    """Says how often it was asked; fails every second time, and ends the round at last."""

    def __init__(self, stop: threading.Event, last: int, failing: bool = False) -> None:
        self.asked = 0
        self._stop, self._last, self._failing = stop, last, failing

    def read(self) -> Iterator[Reading]:
        self.asked += 1
        if self.asked == self._last:
            self._stop.set()
        if self._failing and self.asked % 2:
            raise psutil.AccessDenied
        yield Reading("tick", self.asked, "1")


def test_each_has_its_pace_and_a_failing_one_is_asked_again() -> None:
    probe, stop = Probe(), threading.Event()
    fast, slow = Ticks(stop, 9, failing=True), Ticks(stop, 999)
    turns = [Turn("fast", fast, 0.02), Turn("slow", slow, 60.0)]
    take_turns(probe, turns, stop)
    assert (fast.asked, slow.asked) == (9, 1)
    assert [turn.failed for turn in turns] == [5, 0]
    assert sum(value != 1 for _, value, _ in probe) == 4


def test_turns_that_were_missed_are_left_out() -> None:
    assert following(0.0, 1.0, 50.0) == 51.0
    assert following(50.0, 1.0, 50.2) == 51.0
    assert following(50.0, 1.0, 57.0) == 58.0


def test_an_agent_is_stuck_when_turns_are_long_overdue() -> None:
    turns = [Turn("a", Ticks(threading.Event(), 9), 1.0), Turn("b", Ticks(threading.Event(), 9), 1)]
    assert not stuck(turns, 1e6)
    turns[0].due, turns[1].due = 100.0, 101.0
    assert not stuck(turns, 100.0 + STUCK_S)
    assert stuck(turns, 100.5 + STUCK_S)


def test_an_error_that_is_no_machines_is_not_hidden() -> None:
    class Wrong:
        def read(self) -> Iterator[Reading]:
            raise KeyError("bug")

    with pytest.raises(KeyError):
        ask(Probe(), Turn("wrong", Wrong(), 1.0))


def test_this_machine_tells_its_state() -> None:
    seconds = itertools.count(step=0.06).__next__
    machine = Machine(("/", "/no such place"), clock=seconds)
    assert "cpu.used" not in {reading.metric for reading in machine.read()}
    first = {reading.metric: reading for reading in machine.read()}
    cores = psutil.cpu_count()
    assert sum(name.startswith("cpu.core.") and name.endswith("used") for name in first) == cores
    assert len(machine.cores_used) == cores
    assert first["memory.total"].value == pytest.approx(psutil.virtual_memory().total / 2**20)
    assert 0 <= first["disk./.used"].value <= 100
    assert "disk./no such place.used" not in first
    assert not [name for name in first if name.startswith("net.lo")]
    assert all(reading.value >= 0 for reading in first.values() if reading.unit == "B/s")
    seconds = itertools.count(step=1.0).__next__
    lean = {reading.metric for reading in Machine(per_core=False, clock=seconds).read()}
    assert not [name for name in lean if name.startswith("cpu.core.")]
    assert "cpu.used" in lean


def test_chosen_processes_are_followed_and_missed_when_gone() -> None:
    code = "import time; x = b'x' * 20_000_000; print('up', flush=True); time.sleep(9)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        now, own = [0.0], str(child.pid)
        chosen = Chosen([own, "no such process", "9" * 30, str(os.getpid())], clock=lambda: now[0])
        found = {reading.metric: reading.value for reading in chosen.read()}
        assert found[f"process.{own}.count"] == 1
        assert found[f"process.{own}.memory"] > 15
        assert f"process.{own}.cpu" not in found
        assert f"process.{own}.cpu" in {reading.metric for reading in chosen.read()}
        assert found["process.no such process.count"] == 0
        child.kill()
        child.wait()
        now[0] = LOOK_S
        found = {reading.metric: reading.value for reading in chosen.read()}
    assert found[f"process.{own}.count"] == 0
    assert f"process.{own}.cpu" not in found
    assert chosen._followed[own] == {}
    assert found[f"process.{os.getpid()}.count"] == 1


def test_processes_are_found_by_name() -> None:
    name = psutil.Process().name()
    found = {reading.metric: reading.value for reading in Chosen([name]).read()}
    assert found[f"process.{name}.count"] >= 1


def test_the_agent_tells_what_it_costs() -> None:
    now, events = [10.0], [0]
    cost = Cost(lambda: events[0], clock=lambda: now[0])
    assert [reading.metric for reading in cost.read()] == ["agent.memory"]
    cost.wire.hear('{"tx_bytes": 5000}')
    now[0], events[0] = 12.0, 40
    found = {reading.metric: reading for reading in cost.read()}
    assert found["agent.sent"] == Reading("agent.sent", 2500.0, "B/s")
    assert found["agent.events"] == Reading("agent.events", 20.0, "1/s")
    assert found["agent.cpu"].unit == "%"


def test_a_node_is_told_of_only_where_nothing_else_tells_of_it() -> None:
    nowhere = Settings(
        identity=Identity(app="nodes", node="mill"),
        kafka=KafkaSettings(bootstrap="127.0.0.1:9"),
        registry=RegistrySettings(url="http://127.0.0.1:9"),
    )
    other = NodeReported(
        node="mill", cpu_milli=1, memory_mib=1, architecture="", operating_system="",
        status="ready", heartbeat=0, expires_at=1_000,
    )  # fmt: skip
    known: dict[str, NodeReported] = {}
    now, read = [0], [True]
    agent = Agent(
        nowhere,
        gather("mill", NoGpus()),
        Plan(),
        NoGpus(),
        lambda: known if read[0] else None,
        clock=lambda: now[0],
    )
    agent.probe.close(0.01)
    told = agent._beat
    assert [getattr(event, "node", "") for event in told()] == ["mill"]
    known["mill"] = other
    assert list(told()) == []
    now[0] = 1_000
    assert len(list(told())) == 1
    read[0] = False
    assert list(told()) == []

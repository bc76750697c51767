"""The live part of `weir bench worker`: its figures follow from what happened."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from schemas.inference import InferenceResult
from streams.bench import worker_alive, worker_live, worker_throughput
from streams.bench.worker_bed import QUICK, SLOW, Bed, Due, End, Ran, engine_of
from streams.errors import StackError
from tests.unit.workers.inference_world import FakeSession, hosted, port
from tests.unit.workers.tiny_models import classifier
from workers.clock import fine_ms
from workers.inference.engine import Engine, EngineParams
from workers.inference.serving import Bounds
from workers.runtimes.base import Array, Signature
from workers.scheduling.jobs import Decision, Ended, Job

IMAGE = np.zeros(2, np.float32)
X = Signature((port("X", None, 2),), (port("y", None, 2),))


class Slow(FakeSession):
    """Takes its time, by a count instead of the clock."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        for _ in range(20_000):
            pass
        return super().run(inputs)


def bed(max_batch: int = 1, queue_ms: float = 1e6) -> tuple[Bed, FakeSession]:
    session = Slow(X)
    engine = engine_of(Bounds(max_batch=max_batch), queue_ms)
    engine.host(hosted(session=session), (1.0,))
    return Bed(engine), session


def test_tasks_come_when_they_are_due_and_all_end() -> None:
    made, session = bed()
    lasted_ms = made.run(Due("double.n", at, 1e4, IMAGE) for at in (30.0, 0.0, 10.0))
    assert lasted_ms >= 30.0
    assert session.sizes == [1, 1, 1]
    assert [end.status for end in made.ends] == ["ok"] * 3
    assert all(0.0 < end.after_ms < lasted_ms for end in made.ends)
    assert [ran.size for ran in made.ran] == [1, 1, 1]


def test_what_comes_at_once_is_batched_and_what_is_late_ends_without_execution() -> None:
    made, session = bed(max_batch=4)
    made.run(Due("double.n", 0.0, 1e4, IMAGE) for _ in range(8))
    assert sum(session.sizes) == 8
    assert max(session.sizes) == 4
    made.run([Due("double.n", 0.0, 0.001, IMAGE)])
    assert made.ends[-1].status in {"expired", "dropped"}


class Hearing(FakeSession):
    """Does something while it executes for the first time."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__(X)
        self._meanwhile = meanwhile

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        if not self.sizes:
            self._meanwhile()
        return super().run(inputs)


class Noting:
    """Notes when each task was taken."""

    def __init__(self) -> None:
        self.came_at: list[float] = []

    def came(self, _job: Job, _now_ms: float, /) -> None:
        self.came_at.append(fine_ms())

    def decided(self, _decision: Decision, _now_ms: float, /) -> None:
        pass

    def ended(self, _result: InferenceResult, _ended: Ended | None, /) -> None:
        pass


def test_taking_what_came_meanwhile_is_part_of_the_busy_time() -> None:
    noting = Noting()
    engine = Engine(
        EngineParams(node="n", worker="w", bounds=Bounds(max_batch=1)), observers=(noting,)
    )
    due = Due("double.n", 0.0, 1e4, IMAGE)
    made = Bed(engine)
    comes = Hearing(lambda: made._coming.append(made._encoded(due, fine_ms())))
    engine.host(hosted(session=comes), (1.0,))
    made.run([due])
    ended_ms = made.ran[0].at_ms + made.ran[0].busy_ms
    assert made._began + ended_ms >= noting.came_at[1]


def test_what_was_not_answered_in_time_counts_as_dropped() -> None:
    made, _ = bed()
    ends = [("ok", 5.0), ("ok", 11.0), ("expired", 3.0), ("ok", 6.0)]
    made.ends = [End(QUICK, status, after) for status, after in ends]
    told = worker_live._told(made, QUICK, 10.0)
    assert (told["tasks"], told["drop_rate"], told["p50_ms"]) == (4, 0.5, 6.0)
    assert told["p99_ms"] == 11.0


def test_the_simulator_is_given_the_same_arrivals_and_the_measured_times() -> None:
    made, _ = bed()
    made.ran = [Ran(QUICK, 1, 0.0, 1.0), Ran(SLOW, 1, 0.0, 10.0)] * 20
    took, budgets = {QUICK: 1.0, SLOW: 10.0}, {QUICK: 33.0, SLOW: 100.0}
    light = {QUICK: [0.0, 20.0], SLOW: [5.0, 50.0]}
    assert worker_live._predicted(made, took, budgets, light, 100.0) == {QUICK: 0.0, SLOW: 0.0}
    gaps = {QUICK: 2.5, SLOW: 6.25}
    twice = {name: [gap * place for place in range(int(2_000 / gap))] for name, gap in gaps.items()}
    dropped = worker_live._predicted(made, took, budgets, twice, 2_000.0)
    assert dropped[QUICK] < 0.02
    assert dropped[SLOW] == pytest.approx(1 - 0.6 / 1.6, abs=0.05)


def test_a_machine_that_slows_down_slows_the_simulated_one() -> None:
    at = [50.0 * place for place in range(40)]
    ran = [Ran(SLOW, 1, 0.0, 10.0)]
    ran += [Ran(SLOW, 1, then, 10.0 if then < 1_000.0 else 30.0) for then in at]
    steps = worker_live._steps(ran)
    found = [(step.ran[0].at_ms, step.pace) for step in steps]
    assert found == [(0.0, 1.0), (500.0, 1.0), (1_000.0, 3.0), (1_500.0, 3.0)]
    assert set(worker_live._at_usual_pace(steps, SLOW)) == {10.0}


def test_one_long_execution_does_not_make_a_slow_machine() -> None:
    ran = [Ran(QUICK, 1, 600.0 * place, 500.0 if place == 3 else 10.0) for place in range(12)]
    (step,) = worker_live._steps(ran)
    assert step.pace == pytest.approx((11 * 10 + 500) / 120)
    assert worker_live._steps(ran[:3])[0].pace == 1.0


def test_loads_add_up_to_two() -> None:
    assert sum(worker_live.LOADS.values()) == 2.0
    instants = worker_live._arrivals(5.0, 1_000.0, "any")
    assert len(instants) == 200
    assert all(0.0 <= at - 5.0 * place <= 2.5 for place, at in enumerate(instants))


def test_a_saturated_worker_is_told_of_by_its_rate(tmp_path: Path) -> None:
    model, images = classifier(tmp_path / "m.onnx"), np.zeros((24, 3), np.float32)
    found = worker_throughput.measure(SLOW, model, images, 1, lambda _: None)
    rates = found["throughput"]
    assert found["throughput_ratio"] == rates["worker_per_s"] / rates["session_per_s"] > 0.0
    assert rates["cpu_ratio"] > 0.0


def test_no_rate_is_told_of_a_worker_that_dropped_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_throughput, "_LONG_MS", 0.001)
    model, images = classifier(tmp_path / "m.onnx"), np.zeros((24, 3), np.float32)
    with pytest.raises(StackError, match="a task ended without an answer"):
        worker_throughput.measure(SLOW, model, images, 1, lambda _: None)


def test_missed_goals_of_the_live_part_are_told() -> None:
    live = {"high_p99_ms": 10.0, "budget_ms": 20.0, "drop_error": 0.1}
    good = {"live": live, "throughput_ratio": 0.9, "idle_added_ms": 2.0}
    assert not list(worker_alive.missed(good))
    bad = {"live": {"high_p99_ms": None, "budget_ms": 20.0, "drop_error": None}}
    assert (
        len(list(worker_alive.missed(bad | {"throughput_ratio": 0.8, "idle_added_ms": 3.0}))) == 4
    )

"""Parts of a run without Kafka: when frames come, what they hold, what is counted of a device."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.agent.gpus import NoGpus
from workers.agent.readings import Reading
from workers.inference.tensors import prepare
from workers.runtimes.base import Array, Port, Session, Signature
from workers.runtimes.errors import ExecutionFailed
from workers.runtimes.onnx import OnnxRuntime
from workers.scheduling.orders.weir import Weir
from workers.settings import Settings
from workers.smoke import checks
from workers.smoke.contention import judged
from workers.smoke.models import convolution, dense
from workers.smoke.samples import write_models
from workers.standalone.coming import coming
from workers.standalone.config import MODES, Mode, Run, Synthetic
from workers.standalone.drawn import drawn
from workers.standalone.errors import RunRefused
from workers.standalone.models import Unread
from workers.standalone.reading import mode_of, run_of
from workers.standalone.resources import Resources, watched
from workers.standalone.running import engine_of, minding
from workers.standalone.whole import Plan, carry_out, ready

SERVICE = {
    "name": "a",
    "budget_ms": 10_000.0,
    "model": {"artifact": "dense.onnx"},
    "arrivals": {"kind": "periodic", "every_ms": 10.0},
}


def made(*services: dict[str, Any], **fields: Any) -> Run:
    content = {"name": "made", "services": list(services or (SERVICE,)), **fields}
    return run_of(content, "made")


def test_a_load_brings_frames_closer_together() -> None:
    run = made(SERVICE, SERVICE | {"name": "b"}, duration_ms=40.0)
    plain = list(coming(run, Mode()))
    assert [one.at_ms for one in plain if one.service == "a"] == [0, 10, 20, 30]
    assert [one.service for one in plain] == ["a", "b"] * 4
    dense_ = list(coming(run, Mode(load=2.0)))
    assert [one.at_ms for one in dense_ if one.service == "b"] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(dense_))
    assert list(coming(run, Mode(), most=3)) == plain[:3]
    assert len(list(coming(run, Mode(duration_ms=20.0)))) == 4


def test_equal_seeds_bring_equal_frames() -> None:
    poisson = SERVICE | {"arrivals": {"kind": "poisson", "rate_per_s": 200.0}}
    first, again, other = (
        list(coming(made(poisson, seed=seed, duration_ms=500.0), Mode())) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_run_may_have_modes_of_its_own_and_change_those_there_are() -> None:
    run = made(mode="rush", modes={"rush": {"load": 9.0}, "overload": {"load": 4.0}})
    assert mode_of(run, "", "f").load == 9.0
    assert mode_of(run, "overload", "f").load == 4.0
    assert mode_of(run, "sustained", "f") == MODES["sustained"]
    with pytest.raises(RunRefused, match=r"f: --mode: 'calm' is unknown; one of normal, .*rush"):
        mode_of(run, "calm", "f")


def test_inputs_are_drawn_in_the_shape_of_the_model() -> None:
    signature = Signature(
        (Port("x", np.dtype("float32"), (None, 3, None)), Port("n", np.dtype("int64"), (2,))), ()
    )
    frames = drawn(Synthetic(different=3, open_size=5), signature, 0, "a", "f")
    assert len({tuple(one.data for one in frame) for frame in frames}) == 3
    for frame in frames:
        array, whole = prepare(frame, signature).arrays
        assert (array.shape, whole.shape) == ((1, 3, 5), (2,))
        assert (array.min() > 0, array.max() < 1, set(whole) <= {0, 1}) == (True, True, True)
    assert frames == drawn(Synthetic(different=3, open_size=5), signature, 0, "a", "f")
    assert frames != drawn(Synthetic(different=3, open_size=5), signature, 1, "a", "f")


def test_inputs_that_cannot_be_drawn_are_told() -> None:
    words = Signature((Port("x", np.dtype("str"), (None,)),), ())
    with pytest.raises(RunRefused, match="f: input x takes <U0, which is not drawn; give files"):
        drawn(Synthetic(), words, 0, "a", "f")
    huge = Signature((Port("x", np.dtype("float32"), (None, None, None, None)),), ())
    with pytest.raises(RunRefused, match="lower different or open_size"):
        drawn(Synthetic(open_size=5000), huge, 0, "a", "f")


class Giving:
    signature = Signature((), ())
    provider = "none"

    def __init__(self, *outputs: Array) -> None:
        self._outputs = list(outputs)

    def run(self, _: Sequence[Array]) -> list[Array]:
        return self._outputs


def test_outputs_that_no_event_could_carry_are_cut_and_others_are_not() -> None:
    small, large = np.ones((2, 3), np.float32), np.ones((2, 9000, 4), np.float32)
    kept, cut, number = Unread(Giving(small, large, np.ones(2))).run([])
    assert (kept is small, cut.shape, number.shape) == (True, (2, 0, 4), (2,))


def test_readings_are_counted_in_one_place_each() -> None:
    found = Resources()
    for value in (2.0, 4.0, 9.0):
        found.take([Reading("gpu.0.used", value, "%")])
    assert found.summary() == {
        "gpu.0.used": {"unit": "%", "count": 3, "min": 2.0, "mean": 5.0, "max": 9.0, "last": 9.0}
    }
    found.take(Reading(f"m{number}", 1.0) for number in range(1_000))
    assert len(found.summary()) == 300


def test_what_was_read_in_a_round_is_told_to_the_engine_once() -> None:
    found = Resources()
    found.take([Reading("gpu.0.temperature", 70.0, "C")])
    found.take([Reading("gpu.0.temperature", 95.0, "C"), Reading("cpu.used", 50.0, "%")])
    engine, telemetry = engine_of(made().worker, Weir())
    pressed = minding(engine, telemetry, found.vitals)
    pressed(1_000.0)
    assert telemetry.degradation() == {}
    found.round()
    pressed(2_000.0)
    assert telemetry.degradation()["worker.degradation.heat"] == 1.0
    assert found.vitals() is None


def test_a_machine_is_watched_until_the_block_is_left() -> None:
    with watched(0.05, NoGpus()) as found:
        pass
    assert found.summary()["memory.total"]["count"] == 1
    told = found.vitals()
    assert told is not None
    assert told.memory is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("models")
    write_models(where)
    return where


@pytest.mark.parametrize("sample", [dense(), convolution()], ids=lambda one: one.graph.name)
def test_written_models_compute_what_numpy_does(folder: Path, sample: Any) -> None:
    session = OnnxRuntime().load(folder / f"{sample.graph.name}.onnx")
    several = np.concatenate([sample.example, sample.example * 0.5])
    (given,) = session.run([several])
    np.testing.assert_allclose(given, sample.answer(several), rtol=1e-3, atol=1e-5)


class Wrong(Giving):
    def load(self, *_: object) -> "Wrong":
        return self


def test_a_runtime_that_answers_wrong_or_fails_has_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.runtimes import onnx

    here = checks.Device(nvidia=False, jetson=False)
    monkeypatch.setattr(onnx, "OnnxRuntime", lambda: Wrong(np.zeros((1, 10), np.float32)))
    first = next(checks.onnx_runtime(here, folder))
    assert (first.name, first.status) == ("onnxruntime-cpu", "failed")
    assert "off by" in first.detail


def test_what_is_not_there_is_absent_and_what_does_not_answer_has_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.runtimes import onnx

    monkeypatch.setattr(checks, "nvidia", NoGpus)
    plain = checks.Device(nvidia=False, jetson=False)
    assert checks.nvml(plain).status == "absent"
    assert checks.nvml(replace(plain, nvidia=True)).status == "failed"
    assert checks.nvml(replace(plain, nvidia=True, jetson=True)).status == "absent"
    monkeypatch.setattr(checks, "command", lambda _: None)
    assert checks.tegrastats(plain).status == "absent"
    assert checks.tegrastats(replace(plain, jetson=True)).status == "failed"
    monkeypatch.setattr(onnx, "available", lambda: ("CUDAExecutionProvider",))
    found = {check.name: check for check in checks.onnx_runtime(plain, folder)}
    assert found["onnxruntime-cuda"].status == "absent"
    assert "no GPU" in found["onnxruntime-cuda"].detail


def test_a_jetson_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "RAM 2448/7620MB (lfb 2x4MB) CPU [12%@1510] GR3D_FREQ 42% cpu@49.5C VDD_IN 4800mW/4800mW"
    told = ["sh", "-c", f"while echo '{line}'; do sleep 0.05; done"]
    monkeypatch.setattr(checks, "command", lambda _: told)
    found = checks.tegrastats(checks.Device(nvidia=True, jetson=True))
    assert (found.status, "readings" in found.detail) == ("ok", True)


def tally(**fields: int) -> dict[str, Any]:
    ends = dict.fromkeys(("in_time", "late", "failed", "dropped", "expired", "rejected"), 0)
    return {"arrived": 3, "executed": 3, "examples": {"failed": "why"}, **ends, **fields}


@pytest.mark.parametrize(
    ("services", "told"),
    [
        ({"dense": tally(in_time=3), "convolution": tally(in_time=2, expired=1)}, None),
        ({"dense": tally(in_time=3), "convolution": tally(in_time=2)}, "3 came and 2 ended"),
        ({"dense": tally(in_time=3)}, "nothing came for convolution"),
        ({"dense": tally(in_time=2, failed=1), "convolution": tally(in_time=3)}, "1 failed, why"),
        ({"dense": tally(expired=3, executed=0), "convolution": tally(late=3)}, "never executed"),
    ],
)
def test_contention_is_judged_by_what_became_of_every_frame(
    services: dict[str, Any], told: str | None
) -> None:
    found = judged({"services": services})
    assert found.status == ("ok" if told is None else "failed")
    assert told is None or told in found.detail


def plan_of(folder: Path, run: Run, **fields: Any) -> Plan:
    return Plan(
        run=run,
        where="made",
        folder=folder,
        mode_name="normal",
        mode=Mode(),
        order=Weir(),
        **fields,
    )


class Stopping:
    """Has the run stopped by its third execution."""

    def __init__(self, inner: Session, stopped: threading.Event) -> None:
        self.signature, self.provider = inner.signature, inner.provider
        self._inner, self._stopped, self._count = inner, stopped, 0

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self._count += 1
        if self._count == 3:
            self._stopped.set()
        return self._inner.run(inputs)


def test_a_run_that_is_stopped_says_so_and_loses_nothing(folder: Path) -> None:
    plan = plan_of(folder, made(duration_ms=3_600_000.0))
    stopped = threading.Event()
    with ready(plan, Settings(data_dir=folder)) as found:
        loaded = found.loaded["a"]
        session = Stopping(loaded.hosted.session, stopped)
        found.loaded["a"] = replace(loaded, hosted=replace(loaded.hosted, session=session))
        document = carry_out(plan, found, stopped)
    total = document["work"]["total"]
    assert (document["complete"], document["frames"]) == (False, total["arrived"])
    assert total["executed"] >= 3
    assert total["executed"] + total["dropped"] == total["arrived"]


class Failing(Giving):
    def run(self, _: Sequence[Array]) -> list[Array]:
        raise ExecutionFailed("it broke")


def test_a_model_that_fails_costs_the_others_nothing(folder: Path) -> None:
    run = made(SERVICE, SERVICE | {"name": "b"}, duration_ms=30.0)
    plan = plan_of(folder, run)
    with ready(plan, Settings(data_dir=folder)) as found:
        broken = found.loaded["b"]
        session = Failing()
        session.signature = broken.hosted.session.signature
        found.loaded["b"] = replace(broken, hosted=replace(broken.hosted, session=session))
        work = carry_out(plan, found, threading.Event())["work"]
    assert (work["services"]["a"]["in_time"], work["services"]["b"]["failed"]) == (3, 3)
    assert work["services"]["b"]["examples"]["failed"] == "it broke"

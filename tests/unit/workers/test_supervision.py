"""Models that hang or crash: stopped or replaced, with reasons, and nothing else is harmed."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schemas.records import KeyValue
from schemas.registrations import ServiceRegistered
from tests.unit.workers.inference_world import hosted, service
from tests.unit.workers.tiny_models import classifier, endless
from workers.artifacts.obtaining import Artifacts, artifacts_of
from workers.artifacts.store import Held, Store
from workers.inference.engine import Engine, EngineParams
from workers.inference.hosting import Hosting, Replica
from workers.inference.loading import LONG_WARM_UPS, WARM_UPS, Loader
from workers.inference.replicas import CPU, Wanted
from workers.inference.reporting import READY, STARTING
from workers.runtimes.artifacts import load
from workers.runtimes.base import Load, Runtime, Session
from workers.runtimes.errors import BrokenModel, ExecutionFailed
from workers.runtimes.isolation import Assignment, IsolatedSession
from workers.runtimes.onnx import OnnxRuntime
from workers.runtimes.options import Supervision, options_of
from workers.runtimes.resting import Resting
from workers.runtimes.watchdog import Watchdog
from workers.settings import ArtifactSettings, Settings

RUNTIMES: dict[str, Runtime] = {"onnx": OnnxRuntime()}
ONCE = np.array([3], np.float32)
ENDLESSLY = np.array([0], np.float32)


def registered(path: Path, **options: str) -> ServiceRegistered:
    entries = [KeyValue(key=f"runtime.{key}", value=value) for key, value in options.items()]
    other = KeyValue(key="HTTP_PROXY", value="of no concern")
    return service(artifact=path.as_uri(), environment=(other, *entries))


def loaded(path: Path, **options: str) -> Session:
    own = artifacts_of(Settings(data_dir=Path("/nowhere")))
    return load(RUNTIMES, own, registered(path, **options), CPU)[0]


def hosting_of(session: Session) -> tuple[Hosting, Replica]:
    """Return a worker's hosting, and an instance that executes on a session and is ready."""
    engine = Engine(EngineParams(node="n", worker="w"))
    loader = Loader(RUNTIMES, artifacts_of(Settings()))
    wanted = Wanted("double.n", "double", "digits", CPU, service())
    replica = Replica(wanted, READY, hosted=replace(hosted(), session=session))
    return Hosting("n", engine, loader, 1.0), replica


def eventually(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def test_an_execution_that_takes_too_long_is_stopped_and_the_model_rests(tmp_path: Path) -> None:
    session = loaded(endless(tmp_path / "endless.onnx"), deadline_ms="50")
    hosting, replica = hosting_of(session)
    assert session.run([ONCE])[0] == pytest.approx([3])
    why = "it was stopped after 50 ms; see runtime.deadline_ms"
    with pytest.raises(ExecutionFailed, match=f"^{re.escape(why)}$"):
        session.run([ENDLESSLY])
    with pytest.raises(ExecutionFailed, match=rf"^it rests for 0\.\d s more: {re.escape(why)}$"):
        session.run([ONCE])
    condition = hosting.condition(replica)
    assert (condition.health, condition.message) == (STARTING, why)
    eventually(lambda: hosting.condition(replica).health == READY)
    assert session.run([ONCE])[0] == pytest.approx([3])


def test_rests_double_until_something_succeeds() -> None:
    resting = Resting(1.0, 5.0)
    assert resting.left(0.0) == 0.0
    assert [resting.failed("why", now) for now in (10.0, 20.0, 30.0, 40.0)] == [1.0, 2.0, 4.0, 5.0]
    assert [resting.left(now) for now in (40.0, 44.0, 46.0)] == [5.0, 1.0, 0.0]
    resting.succeeded()
    assert resting.failed("again", 50.0) == 1.0


def test_options_of_a_registration_are_checked(tmp_path: Path) -> None:
    path = classifier(tmp_path / "a.onnx")
    supervision, rest = options_of(registered(path, isolated="true", threads="2"))
    assert supervision == Supervision(isolated=True)
    assert rest == {"threads": "2"}
    for options, why in (
        ({"thread": "2"}, r"option runtime\.thread: unknown key; did you mean 'threads'\?"),
        ({"threads": "0"}, r"option runtime\.threads: it is '0' and should be greater"),
        ({"deadline_ms": "nan"}, r"option runtime\.deadline_ms"),
        ({"isolated": "perhaps"}, r"option runtime\.isolated"),
        ({"optimization": "much"}, r"option runtime\.optimization"),
    ):
        with pytest.raises(BrokenModel, match=why):
            loaded(path, **options)


def test_options_reach_the_runtime(tmp_path: Path) -> None:
    session = OnnxRuntime().load(
        classifier(tmp_path / "a.onnx"),
        Load(options={"threads": "2", "parallel": "3", "spin": "0", "arena": "0", "pattern": "0"}),
    )
    options = session._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 3)
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (False, False)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_model_is_loaded_again_when_its_options_change(tmp_path: Path) -> None:
    def wanted(**options: str) -> tuple[str, ...]:
        return Wanted("i", "s", "a", CPU, registered(tmp_path / "a.onnx", **options)).artifact

    assert wanted() == wanted()
    assert wanted(threads="1", spin="0") == wanted(spin="0", threads="1")
    assert wanted(threads="1") != wanted(threads="2")


@pytest.mark.parametrize(
    "options",
    [
        {"threads": "2", "parallel": "2", "spin": "0"},
        {"arena": "0", "pattern": "0"},
        {"shrink": "1"},
        {"optimization": "none", "bind": "1"},
        {"provider.anything": "the CPU provider takes"},
        pytest.param({"isolated": "1", "threads": "2"}, marks=pytest.mark.faults),
    ],
)
def test_options_change_no_answer(tmp_path: Path, options: dict[str, str]) -> None:
    path = classifier(tmp_path / "a.onnx")
    inputs = [np.random.default_rng(1).random((5, 3), np.float32)[::-1]]
    for found, expected in zip(
        loaded(path, **options).run(inputs), loaded(path).run(inputs), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_process_that_hangs_or_is_killed_is_replaced(tmp_path: Path) -> None:
    terms = Load(deadline_ms=60_000)
    session = IsolatedSession(Assignment("onnx", endless(tmp_path / "endless.onnx"), terms))
    assert session.provider == "CPUExecutionProvider"
    assert session.run([ONCE])[0] == pytest.approx([3])
    first = session.process
    assert first is not None
    hosting, replica = hosting_of(session)
    assert hosting.condition(replica).health == READY
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ExecutionFailed, match="its process ended by SIGKILL; its process is"):
        session.run([ONCE])
    with pytest.raises(ExecutionFailed, match="its process is being replaced: its process ended"):
        session.run([ONCE])
    condition = hosting.condition(replica)
    assert (condition.health, condition.message) == (STARTING, "its process ended by SIGKILL")
    eventually(lambda: session.process is not None)
    assert hosting.condition(replica).health == READY
    assert session.process != first
    assert session.run([ONCE])[0] == pytest.approx([3])


@pytest.mark.faults
@pytest.mark.parametrize("stopped", [False, True])
def test_a_process_that_hangs_is_killed_and_replaced(tmp_path: Path, stopped: bool) -> None:
    terms = Load(deadline_ms=200)
    session = IsolatedSession(Assignment("onnx", endless(tmp_path / "endless.onnx"), terms))
    process = session.process
    assert process is not None
    if stopped:
        os.kill(process, signal.SIGSTOP)
    with pytest.raises(ExecutionFailed, match="it gave no answer in 200 ms; its process is replac"):
        session.run([ENDLESSLY])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    eventually(lambda: session.process is not None)
    assert session.run([ONCE])[0] == pytest.approx([3])


@pytest.mark.faults
def test_a_process_ends_with_its_session(tmp_path: Path) -> None:
    session = IsolatedSession(Assignment("onnx", classifier(tmp_path / "a.onnx"), Load()))
    process = session.process
    assert process is not None
    del session
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_slow_source_holds_up_no_other_model(tmp_path: Path) -> None:
    gate = threading.Event()

    class Slow(Artifacts):
        def obtain(self, uri: str, digest: str | None) -> tuple[Held, str]:
            if uri.endswith("slow"):
                assert gate.wait(20)
            return super().obtain(uri, digest)

    loader = Loader(RUNTIMES, Slow(ArtifactSettings(), Store(tmp_path, 1)))
    slow, quick = (
        loader.load(Wanted(name, name, "a", CPU, registered(classifier(tmp_path / name))))
        for name in ("slow", "quick")
    )
    assert quick.result(20).hosted.runtime == "onnxruntime"
    assert not slow.done()
    gate.set()
    assert LONG_WARM_UPS <= len(slow.result(20).warm_ms) <= WARM_UPS
    loader.close()


@pytest.mark.faults
def test_a_broken_model_is_told_from_its_process(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(BrokenModel, match=r"bad\.onnx"):
        loaded(tmp_path / "bad.onnx", isolated="1")


def test_the_watchdog_stops_what_is_late_and_nothing_else() -> None:
    watchdog = Watchdog()
    stopped: list[str] = []
    with watchdog.over(30.0, lambda: stopped.append("early")):
        with watchdog.over(0.01, lambda: stopped.append("late")):
            eventually(lambda: bool(stopped))
        with watchdog.over(0.02, lambda: stopped.append("later")):
            eventually(lambda: len(stopped) == 2)
    assert stopped == ["late", "later"]

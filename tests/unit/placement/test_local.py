"""The local actuator with real processes."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from placement.local.bounds import Bounds
from placement.local.fleet import (
    BoundWorker,
    ForgetWorker,
    KillWorker,
    ProcessView,
    RelieveWorker,
    StartWorker,
    StopWorker,
)
from placement.local.processes import UNKNOWN, LocalActuator, recorded

SLEEP = "import time; print('here', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


def command(code: str) -> Callable[[str, str], Sequence[str]]:
    return lambda node, worker: [sys.executable, "-c", code, node, worker]


@pytest.fixture(autouse=True)
def hang_up() -> Iterator[None]:
    """Let SIGHUP end processes, also where the tests run under nohup, which they would inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def actuator(tmp_path: Path) -> Iterator[LocalActuator]:
    made = LocalActuator(command(SLEEP), os.environ, tmp_path / "logs")
    yield made
    made.close(grace_s=0.2)


def ended(actuator: LocalActuator) -> ProcessView:
    """Wait for the only process to end."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        (view,) = actuator.processes()
        if view.exit_code is not None:
            return view
        time.sleep(0.01)
    raise AssertionError("the process did not end")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} stays empty"
        time.sleep(0.01)


def test_start_stop_and_forget(actuator: LocalActuator, tmp_path: Path) -> None:
    (outcome,) = actuator.execute([StartWorker("a", "a-1")])
    assert outcome.error == ""
    (view,) = actuator.processes()
    assert (view.node, view.worker, view.pid, view.exit_code) == ("a", "a-1", outcome.pid, None)
    wait_for(tmp_path / "logs" / "a-1.log")
    actuator.execute([StopWorker("a", "a-1")])
    assert ended(actuator).exit_code == -signal.SIGTERM
    actuator.execute([ForgetWorker("a", "a-1")])
    assert actuator.processes() == ()


def test_a_running_worker_is_not_started_twice_nor_forgotten(actuator: LocalActuator) -> None:
    actuator.execute([StartWorker("a", "a-1")])
    outcomes = actuator.execute([StartWorker("a", "a-1"), ForgetWorker("a", "a-1")])
    assert [outcome.error for outcome in outcomes] == [
        "the worker runs already",
        "the process still runs",
    ]
    assert len(actuator.processes()) == 1


def test_what_cannot_be_started_is_an_outcome(tmp_path: Path) -> None:
    actuator = LocalActuator(lambda *_: ["/does/not/exist"], {}, tmp_path)
    (outcome,) = actuator.execute([StartWorker("a", "a-1")])
    assert "/does/not/exist" in outcome.error
    assert actuator.processes() == ()


def test_unknown_workers_are_outcomes_with_an_error(actuator: LocalActuator) -> None:
    outcomes = actuator.execute([StopWorker("a", "a-9"), KillWorker("a", "a-9")])
    assert all(outcome.error for outcome in outcomes)


def test_a_stubborn_worker_is_killed_at_close(tmp_path: Path) -> None:
    actuator = LocalActuator(command(STUBBORN), os.environ, tmp_path)
    actuator.execute([StartWorker("a", "a-1")])
    wait_for(tmp_path / "a-1.log")
    (view,) = actuator.close(grace_s=0.1)
    assert view.exit_code == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(view.pid, 0)


def test_recorded_workers_outlive_the_actuator_and_are_taken_over(tmp_path: Path) -> None:
    records = tmp_path / "workers"
    first = LocalActuator(command(SLEEP), os.environ, tmp_path, records)
    (outcome,) = first.execute([StartWorker("a", "a-1")])
    second = LocalActuator(command(SLEEP), os.environ, tmp_path, records)
    (view,) = second.processes()
    assert (view.node, view.worker, view.pid, view.exit_code) == ("a", "a-1", outcome.pid, None)
    second.execute([RelieveWorker("a", "a-1")])
    assert ended(first).exit_code == -signal.SIGHUP
    assert ended(second).exit_code == UNKNOWN
    second.execute([ForgetWorker("a", "a-1")])
    assert second.processes() == ()
    assert LocalActuator(command(SLEEP), os.environ, tmp_path, records).processes() == ()


def test_a_worker_that_cannot_be_recorded_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    actuator = LocalActuator(command(SLEEP), os.environ, tmp_path, tmp_path / "file" / "workers")
    (outcome,) = actuator.execute([StartWorker("a", "unrecorded")])
    assert "file" in outcome.error
    running = [child.cmdline() for child in psutil.Process().children()]
    assert not [words for words in running if "unrecorded" in words]


def test_what_only_looks_like_a_recorded_worker_is_left_alone(tmp_path: Path) -> None:
    first = LocalActuator(command(SLEEP), os.environ, tmp_path, tmp_path / "workers")
    first.execute([StartWorker("a", "a-1")])
    (record,) = (tmp_path / "workers").iterdir()
    record.write_text(record.read_text().replace('"created": 1', '"created": 2'))
    assert recorded(tmp_path / "workers") == {}
    assert not record.exists()
    (view,) = first.close(grace_s=5)
    assert view.exit_code == -signal.SIGTERM


def test_a_successor_is_told_so(tmp_path: Path) -> None:
    said = "import sys; sys.exit(7 if '--succeeds' in sys.argv else 8)"
    actuator = LocalActuator(command(said), os.environ, tmp_path)
    actuator.execute([StartWorker("a", "a-2", succeeds=True)])
    assert ended(actuator).exit_code == 7


THREADS = (
    "import threading, time; held = bytearray(96 << 20); "
    "[threading.Thread(target=time.sleep, args=(60,)).start() for _ in range(4)]; " + SLEEP
)


def test_a_worker_is_held_to_cores_and_its_memory_is_seen(tmp_path: Path) -> None:
    actuator = LocalActuator(command(THREADS), os.environ, tmp_path / "logs")
    actuator.execute([StartWorker("a", "a-1"), StartWorker("b", "b-1")])
    for worker in ("a-1", "b-1"):
        wait_for(tmp_path / "logs" / f"{worker}.log")
    outcomes = actuator.execute(
        [BoundWorker("a", "a-1", Bounds(1, 600)), BoundWorker("b", "b-1", Bounds(1, 600))]
    )
    here = sorted(os.sched_getaffinity(0))
    chosen = [dict(outcome.details)["cores"] for outcome in outcomes]
    assert chosen == [str(here[0]), str(here[1 % len(here)])]
    for outcome, cores in zip(outcomes, chosen, strict=True):
        threads = psutil.Process(outcome.pid).threads()
        assert len(threads) >= 5
        assert all(os.sched_getaffinity(thread.id) == {int(cores)} for thread in threads)
    assert dict(outcomes[0].details)["memory_mib"] == "600"
    deadline = time.monotonic() + 20
    while not all(view.memory_mib >= 96 for view in actuator.processes()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    actuator.close(grace_s=0.2)


def test_who_has_ended_is_not_held(tmp_path: Path) -> None:
    actuator = LocalActuator(command("pass"), os.environ, tmp_path / "logs")
    actuator.execute([StartWorker("a", "a-1")])
    ended(actuator)
    (outcome,) = actuator.execute([BoundWorker("a", "a-1", Bounds(1, 600))])
    assert outcome.error == ""
    assert actuator.processes()[0].memory_mib == 0
    (outcome,) = actuator.execute([BoundWorker("b", "b-1", Bounds(1, 600))])
    assert outcome.error == "there is no such process"

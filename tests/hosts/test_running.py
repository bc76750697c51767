"""What `weir run` runs, and how it ends."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from streams import topology
from streams.embedded.processes import free_port
from streams.errors import HostingError
from streams.together import Together
from tests.hosts.worlds import kafka_world, wait_until

COMMAND = [sys.executable, "-m", "streams.cli", "run"]


def test_every_processor_is_found_under_its_own_name() -> None:
    assert all(topology.spec_named(name).name == name for name in topology.PROCESSORS)
    with pytest.raises(HostingError, match="derive"):
        topology.spec_named("nothing")


def test_batch_processors_run_where_faust_cannot_and_the_others_may() -> None:
    for name, place in topology.PROCESSORS.items():
        spec = topology.spec_named(name)
        if spec.columnar or not spec.transactional:
            assert place.host is topology.Host.BATCH
        if place.host is topology.Host.FAUST:
            assert name in topology.APPS


def test_the_topology_alone_imports_nothing_heavy() -> None:
    code = "import sys, streams.topology; print({'faust', 'river'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_loops_end_together_when_one_fails() -> None:
    ended = []

    def patient(stop: threading.Event) -> None:
        assert stop.wait(60)
        ended.append("patient")

    def failing(_: threading.Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Together({"a": patient, "b": failing}).run()
    assert ended == ["patient"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["nothing"], "known: derive"),
        (["control", "derive"], "by itself"),
        (["derive", "derive"], "each name once"),
    ],
)
def test_what_cannot_be_run_is_a_usage_error(names: list[str], said: str, tmp_path: Path) -> None:
    done = _run(names, tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_without_kafka_it_ends_with_code_3_and_names_it(tmp_path: Path) -> None:
    done = _run(["observe"], tmp_path, WEIR_KAFKA__BOOTSTRAP=f"127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "WEIR_KAFKA__BOOTSTRAP" in done.stderr


def _run(names: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"WEIR_DATA_DIR": str(folder)} | more
    return subprocess.run(
        [*COMMAND, *names], capture_output=True, text=True, env=environment, timeout=60, check=False
    )


def test_a_signal_ends_it_cleanly(tmp_path: Path) -> None:
    with kafka_world(tmp_path) as world:
        environment = os.environ | world.settings.environment()
        log = (tmp_path / "log").open("w+")
        process = subprocess.Popen([*COMMAND, "observe"], stderr=log, env=environment)
        wait_until(lambda: "host.restored" in (tmp_path / "log").read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "clean=True" in (tmp_path / "log").read_text()
        log.close()

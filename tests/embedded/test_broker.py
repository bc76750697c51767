"""The embedded broker: up when it says so, gone when it is told to go or its parent is."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from streams.embedded.broker import Broker, answers
from streams.embedded.processes import launch, wait_until
from streams.errors import StackError


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def cluster_of(broker: Broker) -> str:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    return str(admin.list_topics(timeout=60).cluster_id)


def test_each_start_is_a_new_cluster_and_leaves_nothing(tmp_path: Path) -> None:
    clusters, pids = set(), set()
    for _ in range(2):
        with Broker(tmp_path / "broker.log") as broker:
            assert cluster_of(broker) == broker.cluster
            assert broker.memory_mib() > 1
            clusters.add(broker.cluster)
            pids.add(broker.pid)
        assert not answers(broker.port)
    assert len(clusters) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids if pid is not None)


def test_outgrown_bound_is_said(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker.log") as broker:
        broker.check()
        broker.limit_mib = 1
        with pytest.raises(StackError, match="limit of 1 MiB"):
            broker.check()


def test_a_dead_broker_is_noticed(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker.log") as broker:
        psutil.Process(broker.pid).kill()
        assert eventually(lambda: not broker.alive)
        with pytest.raises(StackError, match="ended"):
            broker.check()


def test_taken_port_is_refused(tmp_path: Path) -> None:
    with Broker(tmp_path / "first.log") as first:
        second = Broker(tmp_path / "second.log", port=first.port)
        with pytest.raises(StackError, match=f"port {first.port} is taken"):
            second.launch()


def test_a_child_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    child = launch([sys.executable, "-c", "import sys; print('no disk'); sys.exit(3)"], log)
    with pytest.raises(StackError, match=r"child ended with code 3: no disk \(log: .*child\.log\)"):
        wait_until(lambda: False, child, "child", log, limit_s=10)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_it_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from streams.embedded.broker import Broker\n"
        "with Broker(Path(sys.argv[1])) as b: print(b.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "b.log")], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.send_signal(signal.SIGKILL)
    assert eventually(lambda: not psutil.pid_exists(pid))

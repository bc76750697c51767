"""`weir demo --no-drift`: nothing switches by itself, and a killed worker loses nothing.

The first runs on the embedded broker, the second on a cluster of Apache Kafka that runs already.
"""

import subprocess
import time
from pathlib import Path

import psutil
import pytest

from streams.embedded.apache import Apache
from tests.e2e.demonstration import demo, sql, summary_of


@pytest.mark.faults
@pytest.mark.timeout(150)
def test_without_a_corruption_nothing_switches(tmp_path: Path) -> None:
    with demo(tmp_path, "--seed", "2", "--no-drift", "--seconds", "14") as process:
        summary = summary_of(process)
    assert summary["responses"] == summary["requests"] > 0
    assert summary["drifts"] == 0
    assert summary["ensembles"] == 1
    assert summary["accuracy"]["corrupted"] is None
    assert summary["accuracy"]["recovered"] is None
    assert summary["detection_delay_s"] is None


@pytest.mark.faults
@pytest.mark.timeout(150)
def test_a_killed_worker_costs_no_acknowledged_request_its_response(
    tmp_path: Path, apache: Apache
) -> None:
    where = ("--bootstrap", apache.bootstrap, "--keep")
    with demo(tmp_path, "--seed", "2", "--no-drift", "--seconds", "12", *where) as process:
        worker = _serving_worker(process, tmp_path)
        node = worker.cmdline()[worker.cmdline().index("--node") + 1]
        worker.kill()
        summary = summary_of(process)
        marked = sql(
            tmp_path,
            f"SELECT status FROM nodes FINAL WHERE node = '{node}' AND status = 'failed'",
        )
        moved = sql(
            tmp_path,
            "SELECT service FROM placements FINAL WHERE status = 'placed'"
            f" AND NOT has(arrayMap(a -> tupleElement(a, 'node'), assignments), '{node}')",
        )
    assert summary["responses"] == summary["requests"] > 0
    assert marked
    assert moved


def _serving_worker(process: "subprocess.Popen[str]", folder: Path) -> psutil.Process:
    """Return the worker process that serves, once results have come from it."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None
        if (folder / "stack.json").exists():
            break
        time.sleep(0.2)
    while not sql(folder, "SELECT 1 FROM results LIMIT 1"):
        assert time.monotonic() < deadline, "no results came"
    children = psutil.Process(process.pid).children(recursive=True)
    return next(c for c in children if "worker" in c.cmdline() and "--node" in c.cmdline())

"""The main job, as a user runs it: `weir demo`, with and without a corruption, and with a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

KEYS = {
    "seed",
    "requests",
    "responses",
    "drifts",
    "violations",
    "ensembles",
    "placements",
    "deadletters",
    "accuracy",
    "detection_delay_s",
    "latency_ms",
    "seconds",
}
WEIR = [sys.executable, "-m", "streams.cli"]


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the demonstration in a folder of its own; afterwards nothing of it may be left."""
    command = [*WEIR, "demo", "--json", "--data-dir", str(folder), *arguments]
    log = folder / "stderr.log"
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    family: set[psutil.Process] = set()
    try:
        yield process
        if process.poll() is None:
            family = set(psutil.Process(process.pid).children(recursive=True))
    finally:
        if process.poll() is None and "--keep" in arguments:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        print(log.read_text(), file=sys.stderr)
    assert process.returncode == 0
    assert [child for child in family if child.is_running()] == []


def summary_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the summary as soon as it is printed."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.rstrip() == "}":
            summary: dict[str, Any] = json.loads("".join(lines))
            return summary
    raise AssertionError("the demonstration ended without a summary:\n" + "".join(lines))


def sql(folder: Path, query: str) -> list[dict[str, Any]]:
    """Return the rows that `weir sql` prints for the stack that runs in the folder."""
    environment = os.environ | {"WEIR_DATA_DIR": str(folder)}
    asked = [*WEIR, "sql", "--json", query]
    done = subprocess.run(
        asked, check=False, capture_output=True, text=True, env=environment, timeout=30
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


@pytest.mark.timeout(200)
def test_a_corruption_is_detected_and_answered(tmp_path: Path) -> None:
    with demo(tmp_path, "--seed", "1", "--keep") as process:
        summary = summary_of(process)
        lineage = sql(
            tmp_path,
            "SELECT kind, series, metric_events FROM decision_metrics WHERE decision_id = ("
            " SELECT event_id FROM placements FINAL WHERE app = 'digits'"
            " ORDER BY decided_at DESC LIMIT 1)",
        )
        views = {
            view: sql(tmp_path, f"SELECT * FROM {view} LIMIT 3")
            for view in (
                "latency_by_service",
                "accuracy_by_ensemble",
                "contract_compliance",
                "decision_lineage",
                "decision_metrics",
            )
        }
    accuracy = summary["accuracy"]
    assert summary.keys() >= KEYS
    assert summary["responses"] == summary["requests"] > 0
    assert summary["drifts"] >= 1
    assert summary["violations"] >= 1
    assert summary["ensembles"] >= 3, "first selection, trial, and what follows from it"
    assert summary["placements"] > 3
    assert summary["deadletters"] == 0
    assert accuracy["before"] > 0.85
    assert accuracy["corrupted"] < accuracy["before"] - 0.15
    assert accuracy["recovered"] > accuracy["corrupted"] + 0.15
    assert 0 < summary["detection_delay_s"] < 15
    assert all(views.values()), f"empty views: {[name for name, rows in views.items() if not rows]}"
    assert {row["kind"] for row in lineage} == {"DriftDetected", "Observation"}
    assert all(row["metric_events"] > 0 for row in lineage)
    assert any(row["series"].endswith("/error") for row in lineage)
    report = (tmp_path / "demo-seed-1.html").read_text()
    assert report.count("<svg") == 3
    assert "<script" not in report
    assert "<link" not in report


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


@pytest.mark.timeout(150)
def test_a_killed_worker_costs_no_acknowledged_request_its_response(tmp_path: Path) -> None:
    with demo(tmp_path, "--seed", "2", "--no-drift", "--seconds", "12", "--keep") as process:
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
            "SELECT service, arrayMap(a -> tupleElement(a, 'node'), assignments) AS places"
            " FROM placements FINAL WHERE status = 'placed' ORDER BY decided_at DESC LIMIT 1",
        )
    assert summary["responses"] == summary["requests"] > 0
    assert marked
    assert node not in moved[0]["places"]


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

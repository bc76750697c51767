"""The main job, as a user runs it: `weir demo --json`, with and without a corruption."""

import json
import subprocess
import sys
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


def run_demo(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the demonstration in a folder of its own and return its summary."""
    command = [sys.executable, "-m", "streams.cli", "demo", "--json", "--data-dir", str(folder)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-4000:]
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def processes_naming(folder: Path) -> list[str]:
    """Return the command lines of running processes that name the folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.pid != psutil.Process().pid:
            found.append(line)
    return found


@pytest.mark.timeout(200)
def test_a_corruption_is_detected_and_answered(tmp_path: Path) -> None:
    summary = run_demo(tmp_path, "--seed", "1")
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
    report = (tmp_path / "demo-seed-1.html").read_text()
    assert report.count("<svg") == 3
    assert "http://" not in report.replace("http://www.w3.org", "").replace("http://purl.org", "")
    assert processes_naming(tmp_path) == []


@pytest.mark.timeout(200)
def test_without_a_corruption_nothing_switches(tmp_path: Path) -> None:
    summary = run_demo(tmp_path, "--seed", "2", "--no-drift", "--seconds", "25")
    assert summary["responses"] == summary["requests"] > 0
    assert summary["drifts"] == 0
    assert summary["ensembles"] == 1
    assert summary["accuracy"]["corrupted"] is None
    assert summary["accuracy"]["recovered"] is None
    assert summary["detection_delay_s"] is None

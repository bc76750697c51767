"""`weir bench end-to-end`, short, on the embedded broker: every figure, and nothing lost."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WEIR = [sys.executable, "-m", "streams.cli", "bench", "end-to-end"]
LIMIT_S = 900


def measured(*asked: str) -> dict[str, Any]:
    """Return the report of a short run."""
    command = [*WEIR, "--quick", "--only", "embedded", "--no-faults", "--json", *asked]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.faults
@pytest.mark.timeout(2 * LIMIT_S)
def test_a_short_benchmark_tells_everything_at_once_or_part_by_part(tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    measured("--part", "decisions", "--into", str(kept))
    alone = json.loads(kept.read_text("utf-8"))["embedded"]
    assert alone["decision_ms"]["p50"] > 0
    assert alone["metrics_per_s"] is None
    parts = [word for part in ("answers", "metrics", "faults") for word in ("--part", part)]
    found = measured(*parts, "--into", str(kept))
    assert found == json.loads(kept.read_text("utf-8"))
    assert set(found) == {"embedded"}
    assert found["embedded"]["decision_ms"] == alone["decision_ms"]
    part = found["embedded"]
    assert (part["lost"], part["doubled"]) == (0, 0)
    assert part["metrics_per_s"] > 0
    assert part["ready_s"] > 0
    for times in (part["decision_ms"], part["response_ms"], part["response_ms"]["at_90"]):
        assert 0 < times["p50"] <= times["p99"]
    assert set(part["recovery_s"]) >= {"data", "route", "control", "sink", "worker"}
    for row in part["faults"]:
        assert {"fault", "times", "events", "lost", "doubled", "recovery_s"} <= set(row)
        assert row["events"] > 0

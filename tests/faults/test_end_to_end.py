"""`weir bench end-to-end`, short, on the embedded broker: every figure, and nothing lost."""

import json
import subprocess
import sys
from typing import Any

import pytest

WEIR = [sys.executable, "-m", "streams.cli", "bench", "end-to-end"]
LIMIT_S = 900


@pytest.mark.faults
def test_a_short_benchmark_tells_everything() -> None:
    asked = [*WEIR, "--quick", "--only", "embedded", "--no-faults", "--json"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert set(found) == {"embedded"}
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

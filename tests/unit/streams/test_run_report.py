"""What is said of a run without Kafka, for people."""

from typing import Any

import pytest

from streams.run_report import lines

DOCUMENT: dict[str, Any] = {
    "name": "two",
    "mode": "overload",
    "load": 3.0,
    "order": "weir",
    "frames": 8,
    "complete": True,
    "behind_ms": 2.0,
    "models": {"a": {"runtime": "r", "provider": "P", "digest": "d" * 64, "warm_ms": [7.0]}},
    "resources": {"cpu.used": {"unit": "%", "mean": 40.0, "max": 90.0}},
    "degradation": {"worker.degradation": 0.0},
    "work": {
        "lasted_ms": 1500.0,
        "busy_share": 0.5,
        "wasted_share": 0.25,
        "services": {"a": {"failed": 0, "examples": {}}},
    },
}


def test_a_run_is_told_in_a_few_lines() -> None:
    first, model, used = lines(DOCUMENT)
    assert "two, mode overload (load 3), order weir: 8 frames in 1.50 s, busy 50.0%" in first
    assert "STOPPED" not in first
    assert model == "a: r P, first execution 7.0 ms, SHA-256 dddddddddddd"
    assert used == "cpu.used: 40.0 %, at most 90.0"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"complete": False}, "STOPPED before its end"),
        ({"degradation": {"worker.degradation": 0.345}}, "worker.degradation: 0.34 at last"),
        ({"behind_ms": 900.0}, "frames were taken up to 900 ms after their time"),
        (
            {
                "work": DOCUMENT["work"]
                | {"services": {"a": {"failed": 2, "examples": {"failed": "why"}}}}
            },
            "a: 2 failed; such as: why",
        ),
    ],
)
def test_what_went_wrong_is_told(changes: dict[str, Any], told: str) -> None:
    assert any(told in line for line in lines(DOCUMENT | changes))

"""Task configurations of another tool, as runs and as scenarios; what is wrong in them."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams import run_files, scenario_files
from workers.handover.errors import DocumentRefused
from workers.simulation.simulator import simulate

TASK = {
    "name": "vision",
    "model_path": "vision.onnx",
    "priority": 90,
    "target_fps": 25,
    "latency_budget_ms": 33.0,
    "queue_size": 3,
    "drop_policy": "drop_low_priority",
    "worker": "onnxruntime",
    "simulated_latency_ms": 8.0,
    "emit_every_cycles": 2,
    "agent_id": "vision_agent",
}


def written(folder: Path, *tasks: dict[str, Any], **run: Any) -> Path:
    path = folder / "tasks.json"
    path.write_text(json.dumps({"run": run, "tasks": list(tasks)}), "utf-8")
    return path


def test_a_configuration_is_a_run(tmp_path: Path) -> None:
    given = {
        "name": "plant",
        "scenario_mode": "sustained_high_load",
        "frame_interval_ms": 5.0,
        "overload_backlog_threshold": 4,
        "input_source": "image",
        "input_path": "a.png",
    }
    engine = TASK | {"name": "trt", "worker": "tensorrt", "engine_path": "a.engine"}
    run = run_files.read(written(tmp_path, TASK, engine, **given))
    first, second = run.services
    assert (run.name, run.mode, run.worker.queue_tasks) == ("plant", "sustained", 4)
    assert run.known_modes()["sustained"].load == 1.0
    assert (first.model.artifact, first.budget_ms, first.priority) == ("vision.onnx", 33.0, 90)
    assert first.arrivals.model_dump()["every_ms"] == 10.0
    assert (first.queue.tasks, first.queue.drop) == (3, "lowest-priority")
    assert first.input.model_dump()["path"] == "a.png"
    assert (second.model.artifact, second.model.format) == ("a.engine", "tensorrt-engine")


def test_without_an_interval_frames_come_as_the_rate_says(tmp_path: Path) -> None:
    run = run_files.read(written(tmp_path, TASK))
    assert run.services[0].arrivals.model_dump()["every_ms"] == 40.0


def test_a_configuration_is_a_scenario(tmp_path: Path) -> None:
    dummy = TASK | {"name": "voice", "worker": "dummy", "simulated_latency_ms": 45.0}
    scenario = scenario_files.read(str(written(tmp_path, TASK, dummy, frame_interval_ms=10.0)))
    found = simulate(scenario).summary()["services"]
    assert (found["vision"]["arrived"], found["voice"]["arrived"]) == (500, 500)
    assert found["vision"]["execution_ms"]["p50"] == 8.0


@pytest.mark.parametrize(
    ("changes", "run", "told"),
    [
        ({"prioirty": 3}, {}, "tasks[0]: 'prioirty' is unknown; did you mean 'priority'?"),
        ({"latency_budget_ms": None}, {}, "tasks[0]: latency_budget_ms is missing"),
        ({"latency_budget_ms": -1}, {}, "tasks[0]: latency_budget_ms is -1"),
        ({"queue_size": 0}, {}, "tasks[0]: queue_size is 0; write a whole number above 0"),
        ({"queue_size": 2.7}, {}, "tasks[0]: queue_size is 2.7"),
        ({"target_fps": None}, {}, "tasks[0]: target_fps is missing"),
        ({"drop_policy": "drop_all"}, {}, "drop_policy is 'drop_all'; one of drop_oldest"),
        ({"worker": "dummy"}, {}, "`weir simulate worker` run the file"),
        ({"model_path": ""}, {}, "tasks[0]: model_path is ''"),
        ({}, {"scenario_mode": "calm"}, "run: scenario_mode is 'calm'; one of normal"),
        ({}, {"frame_interval_ms": 0}, "run: frame_interval_ms is 0"),
        ({}, {"input_source": "image"}, "run: input_path is missing"),
        ({}, {"treshold": 3}, "run: 'treshold' is unknown"),
    ],
)
def test_what_is_wrong_is_told(
    tmp_path: Path, changes: dict[str, Any], run: dict[str, Any], told: str
) -> None:
    path = written(tmp_path, TASK | changes, **run)
    with pytest.raises(DocumentRefused) as refused:
        run_files.read(path)
    assert str(path) in str(refused.value)
    assert told in str(refused.value)

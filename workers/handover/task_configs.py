"""A task configuration of InferEdgeOrchestrator as the content of a run or of a scenario. Pure.

It has `run` and `tasks` at its root. Frames come every `emit_every_cycles` of `frame_interval_ms`;
where the file gives no interval, `target_fps` times a second. The backlog beyond which that tool
sheds becomes the bound of all queues together; its scenario modes are names alone.
"""

from collections.abc import Mapping
from typing import Any

from workers.handover.documents import Fields

_RUN = (
    *("name", "scenario_mode", "overload_backlog_threshold", "frame_interval_ms"),
    *("input_source", "input_path", "source", "scenario_label", "scenario_category"),
    "scenario_description",
)
_TASK = (
    *("name", "model_path", "priority", "target_fps", "latency_budget_ms", "queue_size"),
    *("drop_policy", "worker", "simulated_latency_ms", "emit_every_cycles", "engine_path"),
    *("worker_options", "agent_manifest_path", "runtime_result_path", "agent_id"),
    *("agent_task_id", "agent_type", "agent_input_type", "agent_output_type", "fallback_policy"),
    "telemetry_contract_version",
)
_MODES = {
    "normal": "normal",
    "overload": "overload",
    "sustained_high_load": "sustained",
    "device_local": "device-local",
}
_DROPS = {
    "drop_oldest": "oldest",
    "drop_newest": "newest",
    "drop_low_priority": "lowest-priority",
}
_INPUTS = ("dummy", "image", "image_sequence", "video")
_WORKERS = ("dummy", "onnxruntime", "tensorrt")
_THRESHOLD = 8
_LATENCY_MS = 1.0


def is_one(content: Any) -> bool:
    """Tell whether the content of a file is such a configuration."""
    return isinstance(content, Mapping) and "tasks" in content and "services" not in content


def as_run(content: Any, where: str) -> dict[str, Any]:
    """Return what a run without Kafka would say. Raises DocumentRefused.

    Tasks of the worker `dummy` have no model, so that they can be simulated alone.
    """
    root, head = _opened(content, where)
    mode = _MODES[_one_of(head, "scenario_mode", _MODES, "normal")]
    given = _input(head)
    services = [
        {**_common(task, head), "model": _model(task), "input": given}
        for task in root.tables("tasks")
    ]
    return {
        "name": head.text("name", "default"),
        "mode": mode,
        "modes": {mode: {}},
        "worker": {"queue_tasks": _threshold(head)},
        "services": services,
    }


def as_scenario(content: Any, where: str) -> dict[str, Any]:
    """Return what a scenario of the simulator would say. Raises DocumentRefused."""
    root, head = _opened(content, where)
    services = [
        {**_common(task, head), "service_time": {"kind": "constant", "ms": _latency(task)}}
        for task in root.tables("tasks")
    ]
    return {
        "name": head.text("name", "default"),
        "duration_ms": 10_000.0,
        "worker": {"queue_tasks": _threshold(head)},
        "services": services,
    }


def _opened(content: Any, where: str) -> tuple[Fields, Fields]:
    root = Fields(content, where)
    root.only(("run", "tasks"))
    head = root.table("run")
    head.only(_RUN)
    return root, head


def _common(task: Fields, head: Fields) -> dict[str, Any]:
    task.only(_TASK)
    budget_ms = task.number("latency_budget_ms")
    if budget_ms is None:
        raise task.wrong("latency_budget_ms", "is missing; write the manifest's here, in ms")
    return {
        "name": task.text("name"),
        "budget_ms": budget_ms,
        "priority": task.whole("priority", 0),
        "arrivals": {"kind": "periodic", "every_ms": _every_ms(task, head)},
        "queue": {
            "tasks": _at_least_one(task, "queue_size", None),
            "drop": _DROPS[_one_of(task, "drop_policy", _DROPS, "drop_oldest")],
        },
    }


def _every_ms(task: Fields, head: Fields) -> float:
    interval_ms = head.number("frame_interval_ms")
    rate_hz = task.number("target_fps")
    if rate_hz is None:
        raise task.wrong("target_fps", "is missing; write how many frames come a second")
    if interval_ms is None:
        return 1_000.0 / rate_hz
    return interval_ms * _at_least_one(task, "emit_every_cycles", 1)


def _model(task: Fields) -> dict[str, Any]:
    kind = _one_of(task, "worker", _WORKERS, "dummy")
    if kind == "dummy":
        raise task.wrong(
            "worker",
            "is 'dummy', which has no model; write onnxruntime and model_path, or let "
            "`weir simulate worker` run the file",
        )
    if kind == "onnxruntime":
        return {"artifact": task.text("model_path")}
    return {"artifact": task.text("engine_path"), "format": "tensorrt-engine", "device": "cuda"}


def _input(head: Fields) -> dict[str, Any]:
    if _one_of(head, "input_source", _INPUTS, "dummy") == "dummy":
        return {"kind": "synthetic"}
    return {"kind": "files", "path": head.text("input_path")}


def _latency(task: Fields) -> float:
    found = task.number("simulated_latency_ms")
    return _LATENCY_MS if found is None else found


def _threshold(head: Fields) -> int:
    return _at_least_one(head, "overload_backlog_threshold", _THRESHOLD)


def _at_least_one(fields: Fields, field: str, default: int | None) -> int:
    found = fields.whole(field, 0 if default is None else default)
    if found < 1:
        raise fields.wrong(field, f"is {fields.plain.get(field)!r}; write a whole number above 0")
    return found


def _one_of(fields: Fields, field: str, known: Any, default: str) -> str:
    found = fields.text(field, default)
    if found not in known:
        raise fields.wrong(field, f"is {found!r}; one of {', '.join(known)}")
    return found

"""An agent manifest, as the registration of a service. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.handover.documents import AGENT_TASK, MANIFEST, RESULT, VERSION, Fields, shown

_MANIFEST = (
    *(VERSION, "agent_id", "agent_type", "priority", "latency_budget_ms", "deadline_ms"),
    *("input_type", "output_type", "required_backend", "device_target", "precision"),
    *("runtime_artifact_path", "fallback_policy", "telemetry_contract_version"),
    *("guard_policy", "lab_compat"),
)
DROPS = {"protect": "lowest-priority", "drop_stale": "oldest", "defer": "newest"}
"""Who goes when a queue is full, by what a manifest says is done when there is no time."""
_CUDA = ("cuda", "gpu", "jetson")
_ENGINES = (".engine", ".plan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An agent: who it is, what it runs, and in what time (ms)."""

    agent: str
    kind: str
    priority: int
    budget_ms: float | None
    artifact: str
    backend: str
    device: str
    precision: str
    modality: str
    fallback: str

    def registration(self, app: str, stage: str = "") -> dict[str, Any]:
        """Return what `weir services register --file` takes; artifact and digest are unproved."""
        serve: dict[str, str] = {}
        if self.budget_ms is not None:
            serve["serve.budget_ms"] = f"{self.budget_ms:g}"
        if self.fallback:
            serve["serve.drop"] = DROPS[self.fallback]
        runs = _runs(self)
        plain: dict[str, Any] = {
            "service": self.agent,
            "app": app,
            "stage": stage or self.kind,
            "priority": self.priority,
            "artifact": self.artifact,
            "format": runs[0],
            "variants": [{"name": runs[1], "precision": self.precision, "device": runs[1]}],
            "environment": serve,
        }
        return {name: value for name, value in plain.items() if value not in ("", {})}


def manifest_of(content: Any, where: str) -> Manifest:
    """Return the agent of a manifest, or of the `agent` of a runtime's result.

    `where` names the file in messages. Raises DocumentRefused for another kind or version, a field
    that is unknown, missing or unusable, and a backend or fallback that Weir does not have.
    """
    fields = Fields(content, where, "an agent manifest")
    if fields.plain.get(VERSION) == RESULT:
        inner = fields.table("agent")
        inner.version(AGENT_TASK)
        return _checked(inner, "scheduled_priority")
    fields.version(MANIFEST)
    fields.only(_MANIFEST)
    return _checked(fields, "priority")


def _checked(fields: Fields, priority: str) -> Manifest:
    budget = fields.number("latency_budget_ms")
    made = Manifest(
        agent=fields.text("agent_id"),
        kind=fields.text("agent_type", ""),
        priority=fields.whole(priority, 0),
        budget_ms=fields.number("deadline_ms") if budget is None else budget,
        artifact=fields.text("runtime_artifact_path"),
        backend=fields.text("required_backend", "onnxruntime"),
        device=fields.text("device_target", "cpu"),
        precision=fields.text("precision", ""),
        modality=fields.text("input_type", ""),
        fallback=fields.table("fallback_policy").text("mode", ""),
    )
    _one_of(fields, "fallback_policy.mode", made.fallback, {"": "", **DROPS})
    _one_of(fields, "required_backend", made.backend, {"onnxruntime": "", "tensorrt": ""})
    return made


def _one_of(fields: Fields, field: str, found: str, known: Mapping[str, str]) -> None:
    if found not in known:
        listed = ", ".join(name for name in known if name)
        raise fields.wrong(field, f"is {shown(found)}; Weir knows {listed}")


def _runs(agent: Manifest) -> tuple[str, str]:
    """Return the format of the artifact and the device that it runs on."""
    if agent.artifact.endswith(_ENGINES):
        return "tensorrt-engine", "tensorrt"
    if agent.backend == "tensorrt":
        return "onnx", "tensorrt"
    return "onnx", "cuda" if agent.device in _CUDA else "cpu"

"""Documents of validation tools: what is made of them, and what is refused in one sentence."""

import copy
from typing import Any

import pytest

from workers.handover.benchmarks import Benchmark, benchmark_of
from workers.handover.errors import DocumentRefused
from workers.handover.manifests import Manifest, manifest_of

MANIFEST = {
    "schema_version": "inferedge-agent-manifest-v1",
    "agent_id": "gate_watch",
    "agent_type": "camera",
    "priority": 70,
    "latency_budget_ms": 25,
    "deadline_ms": 60,
    "input_type": "frame",
    "output_type": "boxes",
    "required_backend": "onnxruntime",
    "device_target": "cpu",
    "precision": "fp32",
    "runtime_artifact_path": "models/gate.onnx",
    "fallback_policy": {"mode": "drop_stale"},
    "telemetry_contract_version": "inferedge-agent-telemetry-v1",
}


def found(content: Any, **options: Any) -> Benchmark:
    return benchmark_of(content, "r.json", **options)


def manifest(**changes: Any) -> Manifest:
    return manifest_of({**copy.deepcopy(MANIFEST), **changes}, "m.json")


def test_the_published_result_comes_out_exactly_and_names_its_field() -> None:
    made = found({"runtime": {"device": "x", "summary": {"expected_latency_ms": 42.2}}})
    assert (made.latency_ms, made.budget_ms) == (42.2, 64.0)
    assert made.field == "runtime.summary.expected_latency_ms"
    assert made.told == (
        "42.2 ms at runtime.summary.expected_latency_ms; budget 64 ms "
        "(42.2 x 1.5 = 63.3, rounded up)"
    )
    assert made.serve == {"serve.budget_ms": "64"}


@pytest.mark.parametrize(
    ("content", "field", "budget"),
    [
        ({"p95_latency_ms": 9.0, "mean_latency_ms": 4.0}, "mean_latency_ms", 6.0),
        ({"p95_latency_ms": 9.0, "a": {"expected_latency_ms": 1.0}}, "p95_latency_ms", 14.0),
        ({"a": {"latency_ms": 2.0}, "b": {"expected_latency_ms": 8.0}}, "a.latency_ms", 3.0),
        ({"runs": [{"latency_ms": 10.0}]}, "runs.0.latency_ms", 15.0),
        ({"expected_latency_ms": None, "latency_ms": 0.2}, "latency_ms", 1.0),
        ({"latency_ms": {"mean": 12.0, "p50": 10.0, "p95": 14.0}}, "latency_ms.p50", 15.0),
        (
            {"agent": {"telemetry_snapshot": {"latency_mean_ms": 28.0}}},
            "agent.telemetry_snapshot.latency_mean_ms",
            42.0,
        ),
    ],
)
def test_the_outermost_and_first_field_counts(content: Any, field: str, budget: float) -> None:
    made = found(content)
    assert (made.field, made.budget_ms) == (field, budget)


def test_a_field_can_be_named_and_the_multiplier_chosen() -> None:
    made = found({"a": {"p99_ms": 10.0}, "latency_ms": 1.0}, field="a.p99_ms", multiplier=1.1)
    assert (made.field, made.latency_ms, made.budget_ms) == ("a.p99_ms", 10.0, 11.0)


def test_the_time_of_a_batch_is_declared_as_that_of_the_batch() -> None:
    made = found({"latency_ms": 20.0, "batch": 8, "agent": {"agent_id": "gate"}})
    assert made.profile_ms is None
    assert made.serve == {"serve.budget_ms": "30", "serve.batch_ms.8": "20"}
    assert made.agent == "gate"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "r.json: it is [] and should be"),
        ({}, "it has none of expected_latency_ms"),
        ({"latency_ms": True}, "r.json: latency_ms is True; write a number"),
        ({"latency_ms": "42"}, "r.json: latency_ms is '42'; write a number"),
        ({"latency_ms": -1.0}, "r.json: latency_ms is -1.0; write a finite number above 0"),
        ({"a": {"latency_ms": float("nan")}}, "r.json: a.latency_ms is nan; write a finite"),
        ({"latency_ms": 10**400}, "write a finite number above 0"),
        ({"latency_ms": 1.7e308}, "no budget is that long"),
        ({"latency_ms": 1.0, "batch": 1.5}, "batch is 1.5; write a whole number"),
        (
            {"schema_version": "inferedge-runtime-result-v2", "latency_ms": 1.0},
            "this version of Weir reads inferedge-runtime-result-v1",
        ),
        ({"schema_version": 3, "latency_ms": 1.0}, "schema_version is 3; write a text"),
        (
            {"agent": {"schema_version": "inferedge-runtime-agent-task-v2"}, "latency_ms": 1.0},
            "r.json: agent: schema_version is 'inferedge-runtime-agent-task-v2'",
        ),
    ],
)
def test_a_result_that_cannot_be_used_is_refused(content: Any, told: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        found(content)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_result_nested_without_end_is_refused() -> None:
    content: dict[str, Any] = {}
    for _ in range(200):
        content = {"in": content}
    with pytest.raises(DocumentRefused, match="nested deeper"):
        found(content)


@pytest.mark.parametrize("multiplier", [0.5, float("nan"), float("inf")])
def test_a_budget_is_no_shorter_than_the_time(multiplier: float) -> None:
    with pytest.raises(DocumentRefused, match="multiplier"):
        found({"latency_ms": 1.0}, multiplier=multiplier)


def test_a_named_field_must_be_there() -> None:
    with pytest.raises(DocumentRefused, match=r"a\.b is missing"):
        found({"latency_ms": 1.0}, field="a.b")


def test_a_manifest_becomes_a_registration() -> None:
    assert manifest().registration("yard") == {
        "service": "gate_watch",
        "app": "yard",
        "stage": "camera",
        "priority": 70,
        "artifact": "models/gate.onnx",
        "format": "onnx",
        "variants": [{"name": "cpu", "precision": "fp32", "device": "cpu"}],
        "environment": {"serve.budget_ms": "25", "serve.drop": "oldest"},
    }


@pytest.mark.parametrize(
    ("changes", "runs", "device"),
    [
        ({"device_target": "jetson"}, "onnx", "cuda"),
        ({"required_backend": "tensorrt"}, "onnx", "tensorrt"),
        (
            {"required_backend": "tensorrt", "runtime_artifact_path": "b/m.engine"},
            "tensorrt-engine",
            "tensorrt",
        ),
    ],
)
def test_backend_and_device_decide_what_runs_it(changes: Any, runs: str, device: str) -> None:
    made = manifest(**changes).registration("yard")
    assert (made["format"], made["variants"][0]["device"]) == (runs, device)


def test_without_a_budget_the_deadline_is_one_and_without_both_there_is_none() -> None:
    assert manifest(latency_budget_ms=None).budget_ms == 60
    bare = manifest(latency_budget_ms=None, deadline_ms=None, fallback_policy=None)
    assert "environment" not in bare.registration("yard")


def test_the_agent_of_a_result_is_as_good_as_its_manifest() -> None:
    agent = {**MANIFEST, "schema_version": "inferedge-runtime-agent-task-v1"}
    agent["scheduled_priority"] = agent.pop("priority")
    agent["queue_wait_ms"] = None
    result = {"schema_version": "inferedge-runtime-result-v1", "agent": agent}
    assert manifest_of(result, "r.json") == manifest()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema_version": "inferedge-agent-manifest-v2"}, "reads inferedge-agent-manifest-v1"),
        ({"schema_version": "other"}, "give a document that says 'inferedge-agent-manifest-v1'"),
        ({"agent_id": None}, "m.json: agent_id is missing; write a text"),
        ({"agent_id": ""}, "agent_id is ''"),
        ({"latency_budgt_ms": 3}, "did you mean 'latency_budget_ms'?"),
        ({"priority": 1.9}, "priority is 1.9; write a whole number"),
        ({"priority": True}, "priority is True; write a whole number"),
        ({"priority": -1}, "priority is -1"),
        ({"latency_budget_ms": 0}, "latency_budget_ms is 0; write a finite number above 0"),
        ({"fallback_policy": "drop"}, "m.json: fallback_policy: it is 'drop' and should be"),
        ({"fallback_policy": {"mode": "pray"}}, "'pray'; Weir knows protect, drop_stale, defer"),
        ({"required_backend": "rknn"}, "is 'rknn'; Weir knows onnxruntime, tensorrt"),
        ({"runtime_artifact_path": None}, "runtime_artifact_path is missing"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(changes: Any, told: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        manifest(**changes)
    assert told in str(refused.value)
    assert str(refused.value).startswith("m.json")

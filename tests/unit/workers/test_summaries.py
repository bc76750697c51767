"""Accounts as orchestration summaries: complete, of the right versions, and with right sums."""

import copy
import json
from typing import Any

import pytest

from workers.accounting.account import Account
from workers.handover.errors import DocumentRefused
from workers.handover.summaries import Declared, Operation, orchestration
from workers.handover.summary_health import Figures, health, own_pressure, pressure, risk
from workers.handover.summary_lists import check
from workers.scheduling import causes
from workers.scheduling.jobs import Batch, Decision, Ended, Job

TOP = {
    *("schema_version", "run", "agent_runtime_summary", "sustained_runtime_summary"),
    *("queue_state_summary", "worker_health_snapshot", "runtime_event_summary"),
    *("operation_risk_rollup", "tasks", "queue_depth_timeline", "latency_timeline"),
    *("policy_decisions", "policy_decision_log", "overload_events", "drop_events"),
    *("result_events", "schedule_decisions", "runtime_event_timeline", "resource_snapshots"),
}


def job(number: int, service: str = "gate") -> Job:
    return Job(id=f"{number}", service=service, arrived=0.0, deadline=30.0)


def account(*, broken: bool = False) -> dict[str, Any]:
    """Return that of two tasks: one of `gate` in time and one late, one of `yard` expired."""
    made = Account(every_ms=10.0)
    first, second, third = job(1), job(2), job(3, "yard")
    for one in (first, second, third):
        made.came(one, 0.0)
    for began, one in ((0.0, first), (20.0, second)):
        batch = Batch("gate", (one,), 20.0)
        made.begins(batch, began)
        made.executed(batch, began, began + 20.0, {"2": "broke"} if broken else {})
    made.went([Ended(third, causes.EXPIRED, (40.0, 10.0))], 40.0)
    made.decided(Decision((), None, 41.0, "waits 3 ms for gate"))
    made.close(60.0)
    return made.summary()


def document(told: dict[str, Any]) -> dict[str, Any]:
    declared = {"gate": Declared(priority=3, budget_ms=30.0, queue_tasks=2)}
    return orchestration(told, Operation(name="w", threshold=2), declared)


def test_the_document_has_every_part_and_passes_its_own_check() -> None:
    made = document(account())
    assert set(made) == TOP
    check(made, "w")
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_counts_are_those_of_the_account() -> None:
    made = document(account())
    assert made["agent_runtime_summary"]["totals"] == {
        "executed_count": 2,
        "dropped_count": 1,
        "deadline_missed_count": 1,
        "fallback_count": 0,
        "policy_decision_count": 1,
        "overload_event_count": 0,
    }
    assert made["tasks"]["gate"] | {"agent": None} == {
        "agent": None,
        "executed": 2,
        "dropped": 0,
        "deadline_missed": 1,
        "fallback_used": 0,
        "mean_latency_ms": 20.0,
        "p95_latency_ms": 20.0,
        "max_queue_backlog": 1,
    }
    assert [(one["task"], one["reason"], one["count"]) for one in made["drop_events"]] == [
        ("yard", "deadline-passed", 1)
    ]
    assert made["policy_decisions"][0]["reason"] == "waits n ms for gate"


def test_a_broken_execution_counts_as_dropped() -> None:
    made = document(account(broken=True))
    assert (made["tasks"]["gate"]["executed"], made["tasks"]["gate"]["dropped"]) == (1, 1)
    assert made["queue_state_summary"]["drop_reason_counts"] == {"deadline-passed": 1, "failed": 1}
    check(made, "w")


def test_health_and_risk_follow_the_counts() -> None:
    made = document(account())
    snapshot, rollup = made["worker_health_snapshot"], made["operation_risk_rollup"]
    assert snapshot["health_state_counts"] == {"constrained": 1, "degraded": 1}
    assert snapshot["degraded_workers"] == ["gate"]
    assert snapshot["workers"]["gate"]["deadline_miss_rate"] == 0.5
    assert snapshot["workers"]["yard"]["drop_rate"] == 1.0
    assert rollup["risk_level"] == "review"
    assert rollup["affected_tasks"]["constrained"] == ["yard"]


def test_an_idle_worker_has_a_document_too() -> None:
    made = document(Account(("gate",)).summary())
    check(made, "w")
    assert made["worker_health_snapshot"]["workers"]["gate"]["health_state"] == "idle"
    assert made["operation_risk_rollup"]["risk_level"] == "nominal"
    assert made["queue_state_summary"]["max_pressure_task"] is None


@pytest.mark.parametrize(
    ("waiting", "state"), [(0, "nominal"), (5, "nominal"), (6, "elevated"), (9, "overloaded")]
)
def test_pressure_is_as_documented(waiting: int, state: str) -> None:
    assert pressure(waiting, 8) == state
    assert own_pressure(8, 8) == "at_capacity"
    assert own_pressure(5, 8) == "nominal"


def test_states_and_levels_are_as_documented() -> None:
    assert health(Figures(1, 0, 0, 0))[0] == "healthy"
    assert health(Figures(1, 1, 0, 0))[0] == "constrained"
    assert health(Figures(1, 1, 1, 0))[0] == "degraded"
    assert risk(["drop_present"]) == "watch"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("schema_version",), "inferedge-orchestration-summary-v2", "reads inferedge-orch"),
        (("queue_state_summary",), None, "queue_state_summary: schema_version is missing"),
        (("drop_events",), {}, "drop_events is {}; write a list"),
        (("run", "name"), "", "run: name is ''"),
        (("tasks", "gate", "executed"), 1.5, "tasks: gate: executed is 1.5"),
        (("tasks", "gate", "executed"), 7, "executed_count is 2, but tasks have 7"),
    ],
)
def test_a_document_of_another_form_is_refused(path: Any, value: Any, told: str) -> None:
    made = copy.deepcopy(document(account()))
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(DocumentRefused) as refused:
        check(made, "w.json")
    assert told in str(refused.value)

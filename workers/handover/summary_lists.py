"""The lists of an orchestration summary: samples, decisions, and an example of each end. Pure."""

from collections.abc import Mapping
from typing import Any

from workers.handover.documents import SUMMARY, Fields, shown
from workers.handover.errors import DocumentRefused

Told = Mapping[str, Any]
OWN = "inferedge-orchestrator-{}-v1"


def timeline(told: Told) -> list[dict[str, Any]]:
    """Return the samples of the backlog; their `cycle` counts them."""
    return [
        {
            "cycle": place,
            "stage": "cycle_after_policy",
            "queue_depth": {name: sample["services"].get(name, 0) for name in told["services"]},
            "total_queue_depth": sample["total"],
        }
        for place, sample in enumerate(told["backlog"]["samples"])
    ]


def decisions(told: Told) -> list[dict[str, Any]]:
    """Return why the worker waited on purpose, each reason once, with how often."""
    return [
        {
            "event": "wait",
            "reason": why,
            "decision_reason": why,
            "count": count,
            "fallback_used": False,
            "fallback_policy": None,
        }
        for why, count in told["decisions"]["waited"].items()
    ]


def drops(told: Told) -> list[dict[str, Any]]:
    """Return one entry for each task and kind of end without an answer, with how many there are."""
    return [
        {
            "task": name,
            "agent_id": name,
            "task_id": f"task_{name}",
            "frame_id": None,
            "reason": kind,
            "count": count,
            "example": one["examples"].get(kind, ""),
        }
        for name, one in told["services"].items()
        for kind, count in reasons(one).items()
    ]


def reasons(one: Told) -> dict[str, int]:
    """Return how many tasks have no answer, by kind of reason."""
    found = {kind: n for counts in one["reasons"].values() for kind, n in counts.items()}
    return found | ({"failed": one["failed"]} if one["failed"] else {})


def events(told: Told, totals: Told) -> dict[str, Any]:
    """Return how often what happened; executions and drops are not kept one by one."""
    kinds = {
        "execution": totals["executed_count"],
        "drop": totals["dropped_count"],
        "policy_decision": totals["policy_decision_count"],
        "queue_snapshot": len(told["backlog"]["samples"]),
    }
    missed = sorted(name for name, one in told["services"].items() if one["late"])
    return {
        "schema_version": OWN.format("runtime-event-summary"),
        "event_count": sum(kinds.values()),
        "event_type_counts": kinds,
        "reason_counts": {
            **reasons(told["total"]),
            "deadline_missed": told["total"]["late"],
            "completed_within_latency_budget": told["total"]["in_time"],
        },
        "policy_decision_reason_counts": dict(told["decisions"]["waited"]),
        "drop_reason_counts": reasons(told["total"]),
        "queue_pressure_reason_counts": {},
        "deadline_missed_count": totals["deadline_missed_count"],
        "fallback_decision_count": 0,
        "scheduler_delay_event_count": 0,
        "task_event_summary": {name: _task_events(one) for name, one in told["services"].items()},
        "tasks_with_deadline_miss": missed,
        "tasks_with_fallback": [],
        "tasks_with_scheduler_delay": [],
        "producer_sources": [],
        "producer_event_count": 0,
        "device_local_event_count": 0,
        "latest_event_index": None,
        "latest_event_type": None,
    }


def _task_events(one: Told) -> dict[str, Any]:
    dropped = reasons(one)
    kinds = {"execution": one["executed"], "drop": sum(dropped.values())}
    return {
        "event_count": sum(kinds.values()),
        "event_type_counts": kinds,
        "reason_counts": {**dropped, "deadline_missed": one["late"]},
        "policy_decision_reason_counts": {},
        "drop_reason_counts": dropped,
        "deadline_missed_count": one["late"],
        "fallback_decision_count": 0,
        "scheduler_delay_event_count": 0,
        "max_scheduler_delay_cycles": 0,
        "max_queue_wait_ms": one["queue_ms"]["p99"],
        "latest_event_index": None,
        "latest_event_type": None,
    }


_VERSIONED = {
    "agent_runtime_summary": SUMMARY,
    "sustained_runtime_summary": OWN.format("sustained-summary"),
    "queue_state_summary": OWN.format("queue-state"),
    "worker_health_snapshot": OWN.format("worker-health"),
    "runtime_event_summary": OWN.format("runtime-event-summary"),
    "operation_risk_rollup": OWN.format("operation-risk-rollup"),
}
_LISTS = (
    *("queue_depth_timeline", "latency_timeline", "policy_decisions", "policy_decision_log"),
    *("overload_events", "drop_events", "result_events", "schedule_decisions"),
    *("runtime_event_timeline", "resource_snapshots"),
)
_COUNTS = ("executed", "dropped", "deadline_missed", "fallback_used", "max_queue_backlog")


def check(content: Any, where: str) -> None:
    """Raise DocumentRefused unless a document has the form of version 1, and its sums are right.

    All parts are there and of their versions, every task has whole counts, and the totals are
    those of the tasks.
    """
    fields = Fields(content, where, "an orchestration summary")
    fields.version(SUMMARY)
    for name, version in _VERSIONED.items():
        fields.table(name).version(version)
    for name in _LISTS:
        if not isinstance(fields.plain.get(name), list):
            raise fields.wrong(name, f"is {shown(fields.plain.get(name))}; write a list")
    fields.table("run").text("name")
    tasks = fields.table("tasks")
    summed = dict.fromkeys(_COUNTS, 0)
    for task in tasks.plain:
        one = tasks.table(task)
        for count in _COUNTS:
            if count not in one.plain:
                raise one.wrong(count, "is missing; write a whole number")
            summed[count] += one.whole(count, 0)
    totals = fields.table("agent_runtime_summary").table("totals")
    for count in ("executed", "dropped", "deadline_missed"):
        said = totals.whole(f"{count}_count", -1)
        if said != summed[count]:
            raise DocumentRefused(
                f"{totals.where}: {count}_count is {said}, but tasks have {summed[count]}"
            )

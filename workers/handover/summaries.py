"""The account of a worker as an inferedge-orchestration-summary-v1 document. Pure.

What that document lists one by one (each frame, each result) Weir does not keep: its memory is
bounded. Those lists hold one example of each kind, or nothing; all counts are whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.handover import summary_lists as lists
from workers.handover.documents import AGENT_TASK, MANIFEST, SUMMARY
from workers.handover.summary_health import (
    Figures,
    health,
    own_pressure,
    pressure,
    reasons_of,
    risk,
)

_EMPTY_LISTS = (
    *("latency_timeline", "overload_events", "result_events", "schedule_decisions"),
    *("runtime_event_timeline", "resource_snapshots"),
)
Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What is known of a task besides what became of its work; times in ms."""

    priority: int = 0
    budget_ms: float | None = None
    queue_tasks: int = 1000
    runtime: str = "onnxruntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the document says of the run; above `threshold` waiting tasks it was overloaded."""

    name: str
    mode: str = "normal"
    threshold: int = 8


def orchestration(
    told: Told, operation: Operation, declared: Mapping[str, Declared]
) -> dict[str, Any]:
    """Return the document for what Account.summary tells; `declared` is by service."""
    services: Mapping[str, Told] = told["services"]
    known = {name: declared.get(name, Declared()) for name in services}
    figures = {name: _figures(name, one, told) for name, one in services.items()}
    states = {name: health(one)[0] for name, one in figures.items()}
    totals = _totals(told)
    queues = _queues(told, operation, known, services)
    rollup = _rollup(queues, totals, states)
    decisions = lists.decisions(told)
    return {
        "schema_version": SUMMARY,
        "run": {
            "name": operation.name,
            "scenario_mode": operation.mode,
            "frame_interval_ms": told["backlog"]["every_ms"],
        },
        "agent_runtime_summary": {
            "schema_version": SUMMARY,
            "source_contracts": {
                "forge_agent_manifest": MANIFEST,
                "runtime_agent_result": AGENT_TASK,
            },
            "agents": {name: _agent(name, known[name]) for name in services},
            "totals": totals,
        },
        "sustained_runtime_summary": _sustained(told, operation, queues, totals, rollup),
        "queue_state_summary": queues,
        "worker_health_snapshot": _health(services, known, figures),
        "runtime_event_summary": lists.events(told, totals),
        "operation_risk_rollup": rollup,
        "tasks": {name: _task(services[name], figures[name]) for name in services},
        "queue_depth_timeline": lists.timeline(told),
        "policy_decisions": decisions,
        "policy_decision_log": decisions,
        "drop_events": lists.drops(told),
        **{name: [] for name in _EMPTY_LISTS},
    }


def _agent_fields(name: str, declared: Declared) -> dict[str, Any]:
    return {
        "agent_id": name,
        "task_id": f"task_{name}",
        "agent_type": None,
        "latency_budget_ms": declared.budget_ms,
    }


def _agent(name: str, declared: Declared) -> dict[str, Any]:
    return {
        **_agent_fields(name, declared),
        "priority": declared.priority,
        "fallback_policy": None,
        "agent_manifest_path": None,
        "runtime_result_path": None,
        "telemetry_contract_version": None,
    }


def _figures(name: str, one: Told, told: Told) -> Figures:
    depths = [sample["services"].get(name, 0) for sample in told["backlog"]["samples"]]
    return Figures(one["executed"], _dropped(one), one["late"], max(depths, default=0))


def _dropped(one: Told) -> int:
    """Return how many tasks have no answer, whatever for: the document knows drops alone."""
    return int(one["dropped"] + one["expired"] + one["rejected"] + one["failed"])


def _totals(told: Told) -> dict[str, Any]:
    total = told["total"]
    return {
        "executed_count": total["executed"],
        "dropped_count": _dropped(total),
        "deadline_missed_count": total["late"],
        "fallback_count": 0,
        "policy_decision_count": sum(told["decisions"]["waited"].values()),
        "overload_event_count": 0,
    }


def _sustained(
    told: Told, operation: Operation, queues: Told, totals: Told, rollup: Told
) -> dict[str, Any]:
    counts = {name: count for name, count in totals.items() if name != "executed_count"}
    return {
        "schema_version": lists.OWN.format("sustained-summary"),
        "scenario_mode": operation.mode,
        "queue_depth_sample_count": queues["sample_count"],
        "latency_sample_count": told["total"]["executed"],
        "max_total_queue_depth": queues["max_total_queue_depth"],
        **counts,
        "operation_risk_rollup": rollup,
    }


def _queues(
    told: Told, operation: Operation, known: Mapping[str, Declared], services: Mapping[str, Told]
) -> dict[str, Any]:
    samples = told["backlog"]["samples"]
    totals = [sample["total"] for sample in samples]
    most = max(totals, default=0)
    state = pressure(most, operation.threshold)
    by_task = {name: _figures(name, one, told).backlog for name, one in services.items()}
    shares = {name: by_task[name] / known[name].queue_tasks for name in services}
    return {
        "schema_version": lists.OWN.format("queue-state"),
        "sample_count": len(samples),
        "overload_backlog_threshold": operation.threshold,
        "max_total_queue_depth": most,
        "average_total_queue_depth": round(sum(totals) / len(totals), 3) if totals else 0.0,
        "final_queue_depth": {
            name: samples[-1]["services"].get(name, 0) if samples else 0 for name in services
        },
        "max_queue_depth_by_task": by_task,
        "max_pressure_task": max(sorted(shares), key=lambda n: shares[n]) if any(totals) else None,
        "device_local_task_count": 0,
        "device_local_tasks": [],
        "queue_pressure_state": state,
        "queue_pressure_reason": f"queue_depth_{state}",
        "overload_event_count": 0,
        "policy_decision_reasons": sorted(told["decisions"]["waited"]),
        "drop_reason_counts": lists.reasons(told["total"]),
        "producer_sources_by_task": {name: [] for name in services},
        "device_local_producer_sources": [],
    }


def _task(one: Told, own: Figures) -> dict[str, Any]:
    return {
        "agent": None,
        "executed": own.executed,
        "dropped": own.dropped,
        "deadline_missed": own.missed,
        "fallback_used": 0,
        "mean_latency_ms": one["mean_execution_ms"],
        "p95_latency_ms": one["execution_ms"]["p95"],
        "max_queue_backlog": own.backlog,
    }


def _health(
    services: Mapping[str, Told], known: Mapping[str, Declared], figures: Mapping[str, Figures]
) -> dict[str, Any]:
    workers = {
        name: _worker(name, one, known[name], figures[name]) for name, one in services.items()
    }
    states = [one["health_state"] for one in workers.values()]
    return {
        "schema_version": lists.OWN.format("worker-health"),
        "health_state_counts": {state: states.count(state) for state in sorted(set(states))},
        "degraded_workers": sorted(_with(workers, "degraded")),
        "constrained_workers": sorted(_with(workers, "constrained")),
        "workers": workers,
    }


def _with(workers: Mapping[str, Told], state: str) -> list[str]:
    return [name for name, one in workers.items() if one["health_state"] == state]


def _worker(name: str, one: Told, declared: Declared, own: Figures) -> dict[str, Any]:
    state, reasons = health(own)
    ended = own.executed + own.dropped
    return {
        **_agent_fields(name, declared),
        "task": name,
        "scheduled_priority": declared.priority,
        "worker": declared.runtime,
        "health_state": state,
        "health_reasons": reasons,
        "primary_health_reason": reasons[0],
        "operation_risk_summary": state,
        "executed_count": own.executed,
        "dropped_count": own.dropped,
        "deadline_missed_count": own.missed,
        "fallback_count": 0,
        "drop_rate": own.dropped / ended if ended else 0.0,
        "deadline_miss_rate": own.missed / own.executed if own.executed else 0.0,
        "fallback_rate": 0.0,
        "mean_latency_ms": one["mean_execution_ms"],
        "p95_latency_ms": one["execution_ms"]["p95"],
        "max_queue_backlog": own.backlog,
        "queue_size": declared.queue_tasks,
        "queue_pressure_ratio": own.backlog / declared.queue_tasks,
        "queue_pressure_state": own_pressure(own.backlog, declared.queue_tasks),
        "device_local_validation": False,
        "producer_stage": None,
        "producer_sources": [],
        "producer_event_count": 0,
        "producer_context_summary": {},
        "workload_type": None,
        "runtime_loop": None,
        "ingress_profile": None,
    }


def _rollup(queues: Told, totals: Told, states: Mapping[str, str]) -> dict[str, Any]:
    state = queues["queue_pressure_state"]
    reasons = reasons_of(state, totals, states)
    primary = sorted(reasons)
    counts = ("deadline_missed_count", "fallback_count", "dropped_count", "policy_decision_count")
    return {
        "schema_version": lists.OWN.format("operation-risk-rollup"),
        "operation_context_role": "supplemental",
        "scheduler_owner": "orchestrator",
        "decision_owner": "lab",
        "not_a_deployment_decision": True,
        "risk_level": risk(reasons),
        "first_read": ", ".join(primary) or "nothing",
        "primary_reasons": primary,
        "affected_tasks": {
            "deadline_missed": reasons.get("worker_degraded", []),
            "fallback": [],
            "scheduler_delay": [],
            "degraded": reasons.get("worker_degraded", []),
            "constrained": reasons.get("worker_constrained", []),
        },
        "max_total_queue_depth": queues["max_total_queue_depth"],
        "overload_backlog_threshold": queues["overload_backlog_threshold"],
        "queue_pressure_state": state,
        "queue_pressure_reason": queues["queue_pressure_reason"],
        **{name: totals[name] for name in counts},
        "scheduler_delay_event_count": 0,
        "resource_snapshot_count": 0,
    }

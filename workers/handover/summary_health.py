"""Health, pressure and risk as an orchestration summary defines them. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_FULL_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Figures:
    """The counts of one task that health is judged by; `backlog` is the most that ever waited."""

    executed: int
    dropped: int
    missed: int
    backlog: int


def pressure(waiting: int, threshold: int) -> str:
    """Return how queues are together: nominal, elevated, or overloaded above a threshold."""
    if waiting > threshold:
        return "overloaded"
    return "elevated" if waiting >= math.ceil(_FULL_SHARE * threshold) else "nominal"


def own_pressure(waiting: int, size: int) -> str:
    """Return how the queue of one task is: nominal, elevated, or at_capacity."""
    if waiting >= size:
        return "at_capacity"
    return "elevated" if waiting >= math.ceil(_FULL_SHARE * size) else "nominal"


def health(task: Figures) -> tuple[str, list[str]]:
    """Return the state of a task's worker, and the reasons for it."""
    reasons = []
    if task.missed:
        reasons.append("deadline_missed")
    if task.dropped:
        reasons.append("frames_dropped")
    if task.missed:
        return "degraded", reasons
    if task.dropped:
        return "constrained", reasons
    return ("healthy", ["executing"]) if task.executed else ("idle", ["no_execution"])


def risk(reasons: Iterable[str]) -> str:
    """Return the level of risk for its reasons: nominal without any, review for the grave ones."""
    found = set(reasons)
    if found & {"queue_pressure_overloaded", "deadline_miss_present", "worker_degraded"}:
        return "review"
    return "watch" if found else "nominal"


def reasons_of(
    state: str, totals: Mapping[str, Any], states: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return the reasons of risk, each with the tasks that it is about."""
    found: dict[str, list[str]] = {}
    if state != "nominal":
        found[f"queue_pressure_{state}"] = []
    if totals["deadline_missed_count"]:
        found["deadline_miss_present"] = []
    if totals["dropped_count"]:
        found["drop_present"] = []
    for name, word in (("degraded", "worker_degraded"), ("constrained", "worker_constrained")):
        tasks = sorted(task for task, own in states.items() if own == name)
        if tasks:
            found[word] = tasks
    return found

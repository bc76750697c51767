"""What workers have said of their work, for people and for programs. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schemas.introspect import to_plain
from schemas.working import ReasonCount, ServedWork, WorkerReported

COLUMNS = (
    *("worker", "node", "state", "service", "waits", "executed", "in time", "late", "dropped"),
    *("expired", "rejected", "failed", "hit ratio", "queue p95 ms", "execution p95 ms"),
)
_ENDS = ("dropped", "expired", "rejected")
Row = tuple[Any, ...]


def chosen(reports: Mapping[str, WorkerReported], name: str) -> list[WorkerReported]:
    """Return the reports of a node's workers, or of the worker of this name; all without one.

    Those that live come first, and of equals the one that spoke last.
    """
    found = [one for one in reports.values() if name in ("", one.node, one.worker)]
    return sorted(found, key=lambda one: (one.node, -one.heartbeat, one.worker))


def state(report: WorkerReported, now_ms: int) -> str:
    """Return what a worker is now: running, stopped, or silent since its report expired."""
    if report.status == "running" and report.expires_at <= now_ms:
        return "silent"
    return report.status


def rows(reports: Iterable[WorkerReported], now_ms: int) -> list[Row]:
    """Return a row for each instance of each worker, as COLUMNS says."""
    found: list[Row] = []
    for report in reports:
        head = (report.worker, report.node, state(report, now_ms))
        served = [(*head, *_cells(one)) for one in report.services]
        found += served or [(*head, *(None for _ in COLUMNS[len(head) :]))]
    return found


def plain(report: WorkerReported, now_ms: int) -> dict[str, Any]:
    """Return a report as JSON can hold it, with what the worker is now."""
    told: dict[str, Any] = to_plain(WorkerReported)(report)
    return {**told, "state": state(report, now_ms)}


def account(report: WorkerReported) -> dict[str, Any]:
    """Return a report in the form of Account.summary, as far as reports tell it."""
    services = {one.instance: _summary(one) for one in report.services}
    total = {
        name: sum(one[name] for one in services.values())
        for name in ("arrived", "executed", "in_time", "late", "failed", *_ENDS)
    }
    total["reasons"] = {
        end: _summed(one["reasons"][end] for one in services.values()) for end in _ENDS
    }
    times = [sample.at for sample in report.backlog]
    return {
        "decisions": {
            what: {one.reason: one.count for one in report.decisions if one.what == what}
            for what in ("begun", "waited")
        },
        "total": total,
        "services": services,
        "backlog": {
            "every_ms": float(times[1] - times[0]) if len(times) > 1 else None,
            "samples": [
                {"at_ms": one.at - report.began_at, "total": one.waiting, "services": {}}
                for one in report.backlog
            ],
        },
    }


def _cells(one: ServedWork) -> Row:
    ends = (_count(one, end) for end in _ENDS)
    return (
        one.instance or one.service,
        one.waiting,
        one.in_time + one.late,
        one.in_time,
        one.late,
        *ends,
        one.failed,
        round(one.deadline_hit_ratio, 4),
        one.queue_p95_ms,
        one.execution_p95_ms,
    )


def _count(one: ServedWork, what: str) -> int:
    return sum(reason.count for reason in one.reasons if reason.what == what)


def _summary(one: ServedWork) -> dict[str, Any]:
    by_status: dict[str, dict[str, int]] = {end: {} for end in _ENDS}
    examples: dict[str, str] = {}
    for reason in one.reasons:
        examples[reason.reason] = reason.example
        if reason.what in by_status:
            by_status[reason.what][reason.reason] = reason.count
    return {
        "arrived": one.arrived,
        "executed": one.in_time + one.late,
        "in_time": one.in_time,
        "late": one.late,
        "failed": one.failed,
        **{end: sum(counts.values()) for end, counts in by_status.items()},
        "reasons": by_status,
        "examples": examples,
        "mean_execution_ms": one.execution_mean_ms,
        "queue_ms": {"p99": one.queue_p99_ms},
        "execution_ms": {"p95": one.execution_p95_ms},
    }


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        for kind, count in one.items():
            found[kind] = found.get(kind, 0) + count
    return found


def reasons(report: WorkerReported) -> list[tuple[str, ReasonCount]]:
    """Return why tasks ended without an answer, by instance."""
    return [(one.instance, reason) for one in report.services for reason in one.reasons]


def taken(report: WorkerReported) -> Iterator[str]:
    """Yield in words what a worker takes of its machine, and each of its instances."""
    if report.memory_mib:
        limit = f" of {report.memory_limit_mib}" if report.memory_limit_mib else ""
        cores = ", ".join(map(str, report.cores)) or "unknown cores"
        yield (
            f"holds {report.memory_mib}{limit} MiB, takes {report.cpu_milli} milli of CPU; "
            f"may run on {cores}"
        )
    for one in report.uses:
        each = f", {one.cpu_ms / one.tasks:.2f} ms of CPU a task" if one.tasks else ""
        yield f"{one.instance} holds {one.memory_mib} MiB, takes {one.cpu_milli} milli{each}"

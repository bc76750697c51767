"""A run without Kafka, for people: rows, lines, and the summary of another tool. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from workers.handover.summaries import Declared, Operation, orchestration
from workers.handover.summary_lists import check

USED = ("process.cpu", "process.memory", "cpu.used", "memory.used", "gpu.0.used")
BEHIND_MS = 500.0
Told = Mapping[str, Any]


def lines(document: Told) -> Iterator[str]:
    """Yield how the run went, with which models, and what it used; failures, if there are any."""
    work = document["work"]
    ended = "" if document["complete"] else ", STOPPED before its end"
    yield (
        f"{document['name']}, mode {document['mode']} (load {document['load']:g}), order "
        f"{document['order']}: {document['frames']} frames in {work['lasted_ms'] / 1000:.2f} s, "
        f"busy {work['busy_share']:.1%}, of which {work['wasted_share']:.1%} of the time for "
        f"answers that came late or not at all{ended}"
    )
    if document["behind_ms"] > BEHIND_MS:
        yield (
            f"frames were taken up to {document['behind_ms']:.0f} ms after their time: more came "
            "than this process can take, or an execution took so long"
        )
    for name, one in document["models"].items():
        first = f", first execution {one['warm_ms'][0]:.1f} ms" if one["warm_ms"] else ""
        yield f"{name}: {one['runtime']} {one['provider']}{first}, SHA-256 {one['digest'][:12]}"
    for metric in USED:
        if one := document["resources"].get(metric):
            yield f"{metric}: {one['mean']:.1f} {one['unit']}, at most {one['max']:.1f}"
    for part, value in document["degradation"].items():
        if value:
            yield f"{part}: {value:.2f} at last"
    for name, one in work["services"].items():
        if one["failed"]:
            yield f"{name}: {one['failed']} failed; such as: {one['examples'].get('failed')}"


def summary(document: Told, where: str) -> dict[str, Any]:
    """Return a run as an inferedge-orchestration-summary-v1 document, checked.

    Raises DocumentRefused, naming `where`, for a run that gives none.
    """
    declared = {
        name: Declared(
            priority=one["priority"],
            budget_ms=one["budget_ms"],
            queue_tasks=one["queue_tasks"],
            runtime=document["models"].get(name, {}).get("runtime", ""),
        )
        for name, one in document["services"].items()
    }
    operation = Operation(name=document["name"], mode=document["mode"])
    made = orchestration(document["work"], operation, declared)
    check(made, where)
    return made

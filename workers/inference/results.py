"""The result of a task, as an event. Pure."""

from dataclasses import dataclass
from typing import Any

from schemas.identity import stable_id
from schemas.inference import InferenceResult, InferenceTask
from workers.inference.answers import Answer
from workers.inference.pending import Pending, pending_of
from workers.inference.replicas import Hosted
from workers.inference.tensors import digest_of
from workers.scheduling.jobs import Ended


@dataclass(frozen=True, slots=True)
class Home:
    """Where results come from."""

    node: str
    worker: str


def unserved(
    task: InferenceTask, hosted: Hosted | None, home: Home, now_ms: float, **told: Any
) -> InferenceResult:
    """Return the result, failed unless `told` otherwise, of a task that did not even wait.

    What is told replaces the fields of that name; made in one go, because each copy of so many
    fields takes as long as a decision.
    """
    known: dict[str, Any] = {
        "event_id": stable_id("result", task.task_id, task.instance),
        "task_id": task.task_id,
        "request_id": task.request_id,
        "app": task.app,
        "stage": task.stage,
        "service": task.service,
        "instance": task.instance,
        "node": home.node,
        "worker": home.worker,
        "attempt": task.attempt,
        "status": "failed",
        "queue_ms": 0.0,
        "execution_ms": 0.0,
        "received_at": int(now_ms),
        "finished_at": int(now_ms),
        "runtime": hosted.runtime if hosted else "",
        "provider": hosted.session.provider if hosted else "",
        "variant": hosted.variant.name if hosted else "",
        "batch_size": 0,
        "model_version": hosted.digest if hosted else "",
        "deadline_missed": now_ms > task.deadline,
        "generation": task.generation,
        "shadow": task.shadow,
    }
    known |= told
    if "input_digest" not in known:
        known["input_digest"] = digest_of(task.inputs)
    return InferenceResult(**known)


def waited(
    pending: Pending, home: Home, started_at: float, now_ms: float, **told: Any
) -> InferenceResult:
    """Return the result, failed unless `told` otherwise, of a task that waited until then."""
    return unserved(
        pending.task,
        pending.hosted,
        home,
        now_ms,
        queue_ms=max(0.0, started_at - pending.received_at),
        received_at=int(pending.received_at),
        input_digest=pending.prepared.digest,
        **told,
    )


def given_up(ended: Ended, home: Home, now_ms: float) -> InferenceResult:
    """Return the result of a task that the scheduler ended without execution, and why.

    What it rejects is dropped, so that others are asked, unless the deadline is over; the reason
    says that it was rejected.
    """
    status, reason = ended.status, ended.reason
    if status == "rejected":
        status = "dropped" if now_ms < ended.job.deadline else "expired"
        reason = f"rejected: {reason}"
    return waited(pending_of(ended.job), home, now_ms, now_ms, status=status, reason=reason)


def told_by(answer: Answer) -> dict[str, Any]:
    """Return the fields of a result that a model's answer gives."""
    return {
        "status": "ok",
        "label": answer.label,
        "confidence": answer.confidence,
        "scores": answer.scores,
        "classes": answer.classes,
        "outputs": answer.outputs,
    }

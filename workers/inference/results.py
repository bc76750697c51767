"""The result of a task, as an event. Pure."""

from dataclasses import dataclass, replace

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
    task: InferenceTask, hosted: Hosted | None, home: Home, now_ms: float, digest: str = ""
) -> InferenceResult:
    """Return the result, failed so far, of a task that did not even wait.

    `digest` is that of its inputs, when it is known already.
    """
    return InferenceResult(
        event_id=stable_id("result", task.task_id, task.instance),
        task_id=task.task_id,
        request_id=task.request_id,
        app=task.app,
        stage=task.stage,
        service=task.service,
        instance=task.instance,
        node=home.node,
        worker=home.worker,
        attempt=task.attempt,
        status="failed",
        queue_ms=0.0,
        execution_ms=0.0,
        received_at=int(now_ms),
        finished_at=int(now_ms),
        runtime=hosted.runtime if hosted else "",
        provider=hosted.session.provider if hosted else "",
        variant=hosted.variant.name if hosted else "",
        batch_size=0,
        model_version=hosted.digest if hosted else "",
        input_digest=digest or digest_of(task.inputs),
        deadline_missed=now_ms > task.deadline,
        generation=task.generation,
        shadow=task.shadow,
    )


def waited(pending: Pending, home: Home, started_at: float, now_ms: float) -> InferenceResult:
    """Return the result, failed so far, of a task that waited until `started_at`."""
    return replace(
        unserved(pending.task, pending.hosted, home, now_ms, pending.prepared.digest),
        queue_ms=max(0.0, started_at - pending.received_at),
        received_at=int(pending.received_at),
    )


def given_up(ended: Ended, home: Home, now_ms: float) -> InferenceResult:
    """Return the result of a task that the scheduler ended without execution, and why.

    What it rejects is dropped, so that others are asked, unless the deadline is over; the reason
    says that it was rejected.
    """
    result = waited(pending_of(ended.job), home, now_ms, now_ms)
    if ended.status != "rejected":
        return replace(result, status=ended.status, reason=ended.reason)
    status = "dropped" if now_ms < ended.job.deadline else "expired"
    return replace(result, status=status, reason=f"rejected: {ended.reason}")


def answered(result: InferenceResult, answer: Answer) -> InferenceResult:
    """Return a result with a model's answer."""
    return replace(
        result,
        status="ok",
        label=answer.label,
        confidence=answer.confidence,
        scores=answer.scores,
        classes=answer.classes,
        outputs=answer.outputs,
    )

"""Tasks as jobs of the scheduler. Pure."""

import math
from dataclasses import dataclass

from schemas.inference import InferenceTask
from workers.inference.replicas import Hosted
from workers.inference.tensors import Prepared
from workers.scheduling.jobs import Batch, Job

_DECADES = 60.0
_WITHIN = "/"


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A task that waits, with everything that its execution needs; times in ms.

    `offset` is its place in the task topic, None for a task that came another way.
    """

    task: InferenceTask
    hosted: Hosted
    prepared: Prepared
    received_at: float
    offset: int | None


def job_of(pending: Pending, arrived: float, weight: float) -> Job:
    """Return the job of a task: those of one loading and shape may share a batch.

    The priorities of task and service add up; each step makes an answer worth `weight` times as
    much. What stands before the last "/" of a request's id names whence it comes, such as a
    camera: where the newest replaces others, it replaces those.
    """
    task, hosted = pending.task, pending.hosted
    priority = task.priority + hosted.service.priority
    return Job(
        id=task.task_id,
        service=task.instance,
        arrived=arrived,
        deadline=float(task.deadline),
        priority=priority,
        value=value_of(priority, weight),
        group=(hosted.loaded_as, pending.prepared.shape),
        key=task.request_id.rpartition(_WITHIN)[0],
        load=pending,
    )


def value_of(priority: int, weight: float) -> float:
    """Return what an answer of a priority is worth; 1 for priority 0.

    Weights are 1 or more; beyond sixty powers of ten one priority is like the next.
    """
    steps = _DECADES / math.log10(weight) if weight > 1.0 else 0.0
    return float(weight ** max(-steps, min(steps, priority)))


def pending_of(job: Job) -> Pending:
    """Return what a job of this worker carries. Raises TypeError for the job of somebody else."""
    if not isinstance(job.load, Pending):
        raise TypeError(f"job {job.id} carries no task")
    return job.load


def pendings_of(batch: Batch) -> list[Pending]:
    """Return the tasks of a batch, in its order."""
    return [pending_of(job) for job in batch.jobs]

"""Which waiting jobs are executed together. Pure."""

from collections.abc import Callable, Iterable

from workers.inference.backlog import Job


def form(
    waiting: Iterable[Job], most: int, predict_ms: Callable[[int], float], now_ms: float
) -> list[Job]:
    """Return the first waiting job and those that may join it, in order.

    A job of the same model and shape joins as long as the predicted end stays before every
    deadline of the batch, so that nobody is made late by company. It never waits for more.
    """
    batch: list[Job] = []
    soonest = 0
    for job in waiting:
        if not batch:
            batch.append(job)
            soonest = job.task.deadline
            continue
        if len(batch) >= most:
            break
        if job.key != batch[0].key:
            continue
        bound = min(soonest, job.task.deadline)
        if now_ms + predict_ms(len(batch) + 1) > bound:
            break
        batch.append(job)
        soonest = bound
    return batch

"""Who is told of what a worker decides. Pure."""

from typing import Protocol

from schemas.inference import InferenceResult
from workers.scheduling.jobs import Decision, Ended, Job


class Observer(Protocol):
    """Told of every job, every decision and every end, in the worker's own thread.

    It must neither raise nor wait: tasks wait meanwhile.
    """

    def came(self, job: Job, now_ms: float, /) -> None:
        """Take note of a job that is about to be offered to the scheduler."""
        ...

    def decided(self, decision: Decision, now_ms: float, /) -> None:
        """Take note of a decision, be it to execute, to wait on purpose or that nothing waits."""
        ...

    def ended(self, result: InferenceResult, ended: Ended | None, /) -> None:
        """Take note of a task's only end; `ended` is the scheduler's when it was not executed.

        None when it was, or did not even wait because nobody could serve it.
        """
        ...

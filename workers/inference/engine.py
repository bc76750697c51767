"""What the worker decides, without clock or I/O: tasks go in, batches and results come out.

Every task gets exactly one terminal result: ok, dropped, expired or failed. Times are
milliseconds since the epoch, with fractions.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.inference import InferenceResult, InferenceTask
from workers.inference import tensors
from workers.inference.answers import read
from workers.inference.backlog import Backlog, Job
from workers.inference.batching import form
from workers.inference.errors import UnusableInput
from workers.inference.estimates import Estimates
from workers.inference.replicas import Hosted
from workers.inference.results import Home, answered, unserved, waited
from workers.runtimes.base import Array
from workers.runtimes.errors import ExecutionFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParams:
    """Who the worker is, and its bounds; `remembered` results are kept for repeated tasks."""

    node: str
    worker: str
    queue_tasks: int = 1000
    queue_ms: float = 2000.0
    max_batch: int = 32
    remembered: int = 2000


@dataclass(frozen=True, slots=True)
class Finished:
    """A result, and the offset of the task that it ends."""

    result: InferenceResult
    offset: int


@dataclass(frozen=True, slots=True)
class Executed:
    """What an execution gave: for each job its part of the outputs, or why there is none."""

    parts: Sequence[Sequence[Array] | str]
    started_at: float
    execution_ms: float


class Engine:
    """Queue, estimates, hosted models and the memory of what was done."""

    def __init__(self, params: EngineParams) -> None:
        self._params = params
        self._home = Home(params.node, params.worker)
        self._backlog = Backlog(params.queue_tasks, params.queue_ms)
        self._estimates = Estimates()
        self._hosted: dict[str, Hosted] = {}
        self._last: dict[str, float] = {}
        self._open: set[str] = set()
        self._done: OrderedDict[str, InferenceResult] = OrderedDict()

    def host(self, hosted: Hosted) -> None:
        """Take tasks for an instance; a former loading of it finishes what waits for it."""
        self._estimates.declare(hosted.instance, hosted.service.latency_ms)
        self._hosted[hosted.instance] = hosted

    def leave(self, instance: str) -> None:
        """Take no more tasks for an instance; what waits is still done."""
        self._hosted.pop(instance, None)

    def warm(self, instance: str, took_ms: float, now_ms: float) -> None:
        """Take the time of a trial execution into account."""
        self._estimates.learn(instance, 1, took_ms, now_ms)

    def forget(self, instance: str) -> None:
        """Drop what was learned about an instance that is gone."""
        self._last.pop(instance, None)
        self._estimates.forget(instance)

    def queued(self, instance: str) -> tuple[int, float]:
        """Return how many tasks wait for an instance, and their predicted work in ms."""
        waiting = [job.expected_ms for job in self._backlog if job.hosted.instance == instance]
        return len(waiting), sum(waiting)

    def last_task(self, instance: str) -> float:
        """Return when (ms) the last task came for an instance; 0 when none has."""
        return self._last.get(instance, 0.0)

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not len(self._backlog)

    def is_open(self, task_id: str) -> bool:
        """Tell whether this task waits or is executed now."""
        return task_id in self._open

    def receive(self, task: InferenceTask, offset: int, now_ms: float) -> list[Finished]:
        """Take a task; returns the results of those that end by it, itself perhaps.

        A task that was done gets the same result again, one that waits is not taken twice.
        """
        done = self._done.get(task.task_id)
        if done is not None:
            return [Finished(done, offset)]
        if task.task_id in self._open:
            return []
        hosted = self._hosted.get(task.instance)
        if hosted is None:
            why = f"{task.instance} is not ready on {self._params.node}"
            return [self._end(unserved(task, None, self._home, now_ms), why, offset)]
        try:
            prepared = tensors.prepare(task.inputs, hosted.session.signature)
        except UnusableInput as error:
            refused = unserved(task, hosted, self._home, now_ms)
            return [self._end(refused, str(error), offset)]
        self._last[task.instance] = now_ms
        expected = self._estimates.predict(task.instance)
        self._open.add(task.task_id)
        gone = self._backlog.offer(Job(task, hosted, prepared, expected, now_ms, offset))
        return [self._drop(job, now_ms) for job in gone]

    def expire(self, now_ms: float) -> list[Finished]:
        """End the tasks whose deadline is over, and those next in order that cannot meet it."""
        ended = [
            self._give_up(job, "expired", "the deadline passed while it waited", now_ms)
            for job in self._backlog.take_expired(now_ms)
        ]
        while (job := next(iter(self._backlog), None)) is not None:
            left = job.task.deadline - now_ms
            needed = self._estimates.least(job.hosted.instance, now_ms)
            if left > needed:
                break
            self._backlog.take([job])
            why = f"{left:.1f} ms were left; no execution took less than {needed:.1f} ms"
            ended.append(self._give_up(job, "expired", why, now_ms))
        return ended

    def next_batch(self, now_ms: float) -> list[Job]:
        """Return the jobs to execute now; call `expire` at the same time before."""
        first = next(iter(self._backlog), None)
        if first is None:
            return []
        instance = first.hosted.instance
        batch = form(
            self._backlog,
            self._params.max_batch,
            lambda size: self._estimates.predict(instance, size),
            now_ms,
        )
        self._backlog.take(batch)
        return batch

    def finish(self, batch: Sequence[Job], executed: Executed, now_ms: float) -> list[Finished]:
        """Return the results of executed jobs; one job's bad output fails that job alone."""
        instance, size = batch[0].hosted.instance, len(batch)
        self._estimates.learn(instance, size, executed.execution_ms, now_ms)
        return [
            self._conclude(job, part, executed, size, now_ms)
            for job, part in zip(batch, executed.parts, strict=True)
        ]

    def drain(self, now_ms: float, reason: str) -> list[Finished]:
        """End everything that still waits as dropped."""
        jobs = list(self._backlog)
        self._backlog.take(jobs)
        return [self._give_up(job, "dropped", reason, now_ms) for job in jobs]

    def _drop(self, job: Job, now_ms: float) -> Finished:
        waiting, work = len(self._backlog), self._backlog.work_ms
        why = (
            f"queue full: {waiting} tasks and {work:.0f} ms of work wait, at most "
            f"{self._params.queue_tasks} and {self._params.queue_ms:.0f} ms are let in; "
            f"priority {job.task.priority} was lowest"
        )
        return self._give_up(job, "dropped", why, now_ms)

    def _give_up(self, job: Job, status: str, reason: str, now_ms: float) -> Finished:
        ended = waited(job, self._home, now_ms, now_ms)
        return self._end(replace(ended, status=status), reason, job.offset)

    def _conclude(
        self,
        job: Job,
        part: Sequence[Array] | str,
        executed: Executed,
        size: int,
        now_ms: float,
    ) -> Finished:
        ended = replace(
            waited(job, self._home, executed.started_at, now_ms),
            execution_ms=executed.execution_ms,
            batch_size=size,
        )
        if isinstance(part, str):
            return self._end(ended, part, job.offset)
        try:
            answer = read(part, job.hosted.session.signature)
        except ExecutionFailed as error:
            return self._end(ended, str(error), job.offset)
        return self._end(answered(ended, answer), None, job.offset)

    def _end(self, result: InferenceResult, reason: str | None, offset: int) -> Finished:
        ended = replace(result, reason=reason)
        self._open.discard(ended.task_id)
        self._done[ended.task_id] = ended
        while len(self._done) > self._params.remembered:
            self._done.popitem(last=False)
        return Finished(ended, offset)

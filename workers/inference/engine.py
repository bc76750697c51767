"""What the worker decides, without clock or I/O: tasks go in, batches and results come out.

It gives its tasks to the scheduler as jobs, as the simulator does with frames. Every task gets
exactly one terminal result: ok, dropped, expired or failed. Times are milliseconds since the
epoch, with fractions.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from schemas.inference import InferenceResult, InferenceTask
from workers.inference import tensors
from workers.inference.answers import read
from workers.inference.errors import UnusableInput
from workers.inference.observing import Observer
from workers.inference.pending import Pending, job_of, pending_of, pendings_of
from workers.inference.replicas import Hosted
from workers.inference.results import Home, given_up, told_by, unserved, waited
from workers.inference.serving import UNKNOWN_BUDGET_MS, Bounds, Budget, serving_of, terms_of
from workers.inference.summaries import summarized
from workers.payloads.claims import Keep, Resolve, inline
from workers.payloads.errors import PayloadLost, PayloadRefused
from workers.runtimes.base import Array
from workers.runtimes.errors import ExecutionFailed
from workers.scheduling.jobs import Batch, Ended
from workers.scheduling.orders.base import Order
from workers.scheduling.orders.weir import Weir
from workers.scheduling.pressure import Pressure, Readings
from workers.scheduling.profiles import Profiles
from workers.scheduling.scheduler import Scheduler, SchedulerParams
from workers.scheduling.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParams:
    """Who the worker is, and its bounds.

    `scheduler` bounds all queues together, `bounds` that of each instance whose registration
    says nothing else. An answer is worth `weight` times one of the next lower priority.
    `remembered` results are kept for repeated tasks. With `summaries` results say what their
    inputs looked like.
    """

    node: str
    worker: str
    scheduler: SchedulerParams = field(
        default_factory=lambda: SchedulerParams(queue_tasks=1000, queue_ms=2000.0)
    )
    bounds: Bounds = field(default_factory=Bounds)
    weight: float = 10.0
    remembered: int = 2000
    summaries: bool = True


class Finished(NamedTuple):
    """A result, and the offset of the task that it ends, where that was read from the log."""

    result: InferenceResult
    offset: int | None


class Step(NamedTuple):
    """What to do now: send these results, execute this batch.

    Without a batch, `wake_at` says when to ask again though nothing comes, and `why` it waits;
    None when only a task can change anything.
    """

    finished: list[Finished]
    batch: Batch | None
    wake_at: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Executed:
    """What an execution gave: for each job its part of the outputs, or why there is none.

    `cpu_ms` is the CPU time that it took.
    """

    parts: Sequence[Sequence[Array] | str]
    started_at: float
    execution_ms: float
    cpu_ms: float = 0.0


@dataclass(slots=True)
class _Served:
    """An instance that tasks are taken for."""

    hosted: Hosted
    terms: Terms
    budget: Budget | None


class Engine:
    """Hosted models, the scheduler of their tasks, and the memory of what was done.

    `observers` are told of jobs, decisions and ends; `resolve` brings what inputs refer to, `keep`
    takes outputs that are too large for a result.
    """

    def __init__(
        self,
        params: EngineParams,
        order: Order | None = None,
        observers: Iterable[Observer] = (),
        resolve: Resolve = tuple,
        keep: Keep = inline,
    ) -> None:
        self._params = params
        self._resolve, self._keep = resolve, keep
        self._home = Home(params.node, params.worker)
        self._profiles = Profiles()
        self._scheduler = Scheduler(params.scheduler, order or Weir(), self._profiles)
        self._observers = tuple(observers)
        self._served: dict[str, _Served] = {}
        self._last: dict[str, float] = {}
        self._open: set[str] = set()
        self._done: OrderedDict[str, InferenceResult] = OrderedDict()

    def host(self, hosted: Hosted, warm_ms: Sequence[float] = ()) -> None:
        """Take tasks for an instance; a former loading of it finishes what waits for it.

        `warm_ms` is how long trial executions of one task took, the first of them cold. Raises
        BrokenModel for terms of its registration that cannot be used.
        """
        name = hosted.instance
        former = self._served.get(name)
        budget_ms = former.terms.budget_ms if former else UNKNOWN_BUDGET_MS
        terms = terms_of(hosted, self._params.bounds, budget_ms)
        declared = serving_of(hosted.service).budget_ms is not None
        self._served[name] = _Served(hosted, terms, None if declared else Budget())
        self._scheduler.serve(terms)
        for took_ms in warm_ms:
            self._scheduler.warmed(name, took_ms)

    def leave(self, instance: str) -> None:
        """Take no more tasks for an instance; what waits is still done."""
        self._served.pop(instance, None)
        self._scheduler.leave(instance)

    def forget(self, instance: str) -> None:
        """Drop what was learned about an instance that is gone."""
        self._last.pop(instance, None)
        self._profiles.forget(instance)

    def queued(self, instance: str) -> tuple[int, float]:
        """Return how many tasks wait for an instance, and their predicted work in ms."""
        return self._scheduler.queued(instance)

    def last_task(self, instance: str) -> float:
        """Return when (ms) the last task came for an instance; 0 when none has."""
        return self._last.get(instance, 0.0)

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self._scheduler.waiting

    def recall(self, result: InferenceResult) -> None:
        """Remember the result of a task that a former process has done."""
        self._done[result.task_id] = result
        while len(self._done) > self._params.remembered:
            self._done.popitem(last=False)

    def is_open(self, task_id: str) -> bool:
        """Tell whether this task waits or is executed now."""
        return task_id in self._open

    def receive(
        self,
        task: InferenceTask,
        offset: int | None,
        now_ms: float,
        arrived_ms: float | None = None,
    ) -> list[Finished]:
        """Take a task; returns the results of those that end by it, itself perhaps.

        A task that was done gets the same result again, one that waits is not taken twice.
        `arrived_ms` is when it came, where that was before it was read.
        """
        done = self._done.get(task.task_id)
        if done is not None:
            return [Finished(done, offset)]
        if task.task_id in self._open:
            return []
        served = self._served.get(task.instance)
        if served is None:
            why = f"{task.instance} is not ready on {self._params.node}"
            return [self._refuse(task, None, why, offset, now_ms)]
        hosted = served.hosted
        try:
            prepared = tensors.prepare(self._resolve(task.inputs), hosted.session.signature)
        except (UnusableInput, PayloadLost) as error:
            return [self._refuse(task, hosted, str(error), offset, now_ms)]
        self._last[task.instance] = now_ms
        self._watch_budget(served, task.deadline - now_ms)
        self._open.add(task.task_id)
        pending = Pending(task, hosted, prepared, now_ms, offset)
        job = job_of(pending, now_ms if arrived_ms is None else arrived_ms, self._params.weight)
        for observer in self._observers:
            observer.came(job, now_ms)
        return self._give_up(self._scheduler.offer(job, now_ms), now_ms)

    def decide(self, now_ms: float) -> Step:
        """Return what to do now; call it while nothing is executed."""
        decision = self._scheduler.decide(now_ms)
        for observer in self._observers:
            observer.decided(decision, now_ms)
        finished = self._give_up(decision.ended, now_ms)
        return Step(finished, decision.batch, decision.wake_at, decision.why)

    def finish(self, batch: Batch, executed: Executed, now_ms: float) -> list[Finished]:
        """Return the results of executed jobs; one job's bad output fails that job alone."""
        self._scheduler.executed(batch, executed.execution_ms, now_ms)
        pendings = pendings_of(batch)
        each = zip(pendings, executed.parts, self._summarized(pendings), strict=True)
        return [
            self._conclude(pending, part, executed, now_ms, batch_size=len(pendings), **told)
            for pending, part, told in each
        ]

    def _summarized(self, pendings: Sequence[Pending]) -> list[dict[str, Any]]:
        """Return what the results of a batch tell of their inputs."""
        if not self._params.summaries:
            return [{} for _ in pendings]
        ports = pendings[0].hosted.session.signature.inputs
        found = summarized([pending.prepared for pending in pendings], ports)
        return [{"input_summary": each} for each in found]

    def pressure(self, told: Readings, now_ms: float) -> Pressure:
        """Take what the machine tells, about once a second; returns what is the matter."""
        return self._scheduler.pressure(told, now_ms)

    def drain(self, now_ms: float, reason: str) -> list[Finished]:
        """End everything that still waits as dropped."""
        return self._give_up(self._scheduler.drain(now_ms, reason), now_ms)

    def _watch_budget(self, served: _Served, given_ms: float) -> None:
        """Serve an instance by what its tasks are given, where its registration does not say."""
        if served.budget is None:
            return
        usual = served.budget.moved(given_ms, served.terms.budget_ms)
        if usual is not None:
            served.terms = replace(served.terms, budget_ms=usual)
            self._scheduler.serve(served.terms, loaded=False)

    def _give_up(self, ended: Iterable[Ended], now_ms: float) -> list[Finished]:
        return [
            self._end(given_up(one, self._home, now_ms), pending_of(one.job).offset, one)
            for one in ended
        ]

    def _refuse(
        self,
        task: InferenceTask,
        hosted: Hosted | None,
        why: str,
        offset: int | None,
        now_ms: float,
    ) -> Finished:
        return self._end(unserved(task, hosted, self._home, now_ms, reason=why), offset)

    def _conclude(
        self,
        pending: Pending,
        part: Sequence[Array] | str,
        executed: Executed,
        now_ms: float,
        **known: Any,
    ) -> Finished:
        try:
            told = self._told(part, pending)
        except ExecutionFailed as error:
            told = {"reason": str(error)}
        except PayloadRefused as error:
            told = {"reason": f"output {error}"}
        ended = waited(
            pending,
            self._home,
            executed.started_at,
            now_ms,
            execution_ms=executed.execution_ms,
            **known,
            **told,
        )
        return self._end(ended, pending.offset)

    def _told(self, part: Sequence[Array] | str, pending: Pending) -> dict[str, Any]:
        """Return what a result tells of its part of an execution.

        Raises ExecutionFailed, PayloadRefused.
        """
        if isinstance(part, str):
            return {"reason": part}
        told = told_by(read(part, pending.hosted.session.signature))
        if told["outputs"]:
            told["outputs"] = self._keep(told["outputs"], pending.task.user)
        return told

    def _end(
        self, result: InferenceResult, offset: int | None, ended: Ended | None = None
    ) -> Finished:
        self._open.discard(result.task_id)
        self._done[result.task_id] = result
        while len(self._done) > self._params.remembered:
            self._done.popitem(last=False)
        for observer in self._observers:
            observer.ended(result, ended)
        return Finished(result, offset)

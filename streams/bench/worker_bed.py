"""The worker's own engine on real models, without a broker: tasks come when they are due.

What is between broker and engine is left out, so that figures say what the worker does: tasks are
decoded from Avro when they come and results encoded when they leave, by one thread, which reads,
decides and executes, as that of a worker's process.
"""

import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas import files
from schemas.codec import Codec
from schemas.inference import InferenceResult, InferenceTask
from schemas.records import Tensor
from schemas.registrations import ServiceRegistered
from workers.clock import fine_ms
from workers.inference.engine import Engine, EngineParams, Finished
from workers.inference.executing import execute
from workers.inference.replicas import CPU, Hosted
from workers.inference.serving import Bounds
from workers.runtimes.onnx import OnnxRuntime
from workers.scheduling.scheduler import SchedulerParams

NODE = "bench"
QUICK, SLOW = "quick", "slow"
"""The two models."""
Images = npt.NDArray[np.float32]
"""(N, 64), or one (64,): what the models take."""
_ENCODED_MS = 0.2
"""So long before the first task is due its encoding begins, per task."""
_KINDS = (InferenceTask, InferenceResult)
CODEC = Codec(
    {kind: number for number, kind in enumerate(_KINDS)},
    lambda number: files.text(_KINDS[number].__name__),
)
"""Schemas by ids of its own, instead of a registry's."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One execution: whose, how many tasks, and how long (ms) the worker was busy with it.

    From the decision, `at_ms` after the run began, until the next could be made: its results were
    handed over, and what had come meanwhile was taken.
    """

    service: str
    size: int
    at_ms: float
    busy_ms: float


def engine_of(bounds: Bounds, queue_ms: float) -> Engine:
    """Return an engine that decides by the default order."""
    limits = SchedulerParams(queue_tasks=100_000, queue_ms=queue_ms)
    return Engine(EngineParams(node=NODE, worker=NODE, scheduler=limits, bounds=bounds))


def hosted(name: str, path: Path, priority: int = 0, latency_ms: float | None = None) -> Hosted:
    """Return a loaded model as an instance, with what its registration would declare."""
    service = ServiceRegistered(
        service=name,
        service_id=name,
        app=NODE,
        stage=NODE,
        model=name,
        image="",
        artifact=path.as_uri(),
        format="onnx",
        cpu_milli=1000,
        memory_mib=64,
        priority=priority,
        latency_ms=latency_ms,
        registered_at=0,
        event_id=name,
    )
    session = OnnxRuntime().load(path)
    return Hosted(
        instance=name,
        service=service,
        variant=CPU,
        session=session,
        runtime=OnnxRuntime.name,
        digest=name,
        loaded_as=name,
    )


@dataclass(frozen=True, slots=True)
class Due:
    """A task for an instance: when it comes (ms from the beginning) and what it is given (ms)."""

    service: str
    at_ms: float
    given_ms: float
    image: Images


@dataclass(frozen=True, slots=True)
class End:
    """The end of a task: whose, its status, and how long (ms) after its arrival."""

    service: str
    status: str
    after_ms: float


class Bed:
    """An engine that works through tasks in real time, and what became of them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._arrivals: dict[str, float] = {}
        self._coming: deque[tuple[float, bytes]] = deque()
        self._tasks = 0
        self._began = 0.0
        self.ends: list[End] = []
        self.ran: list[Ran] = []

    def run(self, tasks: Iterable[Due]) -> float:
        """Take tasks when they are due, until all have ended; return how many ms it took."""
        known = sorted(tasks, key=lambda due: due.at_ms)
        self._began = began = fine_ms() + len(known) * _ENCODED_MS
        self._coming.extend(self._encoded(due, began) for due in known)
        time.sleep(max(0.0, began - fine_ms()) / 1000)
        while self._coming or not self._engine.idle:
            self._take()
            self._turn()
        return fine_ms() - began

    def _encoded(self, due: Due, began: float) -> tuple[float, bytes]:
        """Return when a task arrives, and what stands in the log then."""
        self._tasks += 1
        arrives = began + due.at_ms
        image = due.image
        task = InferenceTask(
            task_id=str(self._tasks),
            request_id=str(self._tasks),
            app=NODE,
            stage=NODE,
            service=due.service,
            instance=due.service,
            worker=NODE,
            attempt=0,
            created_at=int(arrives),
            deadline=int(arrives + due.given_ms),
            generation=1,
            inputs=(Tensor(name="X", dtype="float32", shape=image.shape, data=image.tobytes()),),
        )
        return arrives, CODEC.encode(task)

    def _take(self) -> None:
        while self._coming and (now := fine_ms()) >= self._coming[0][0]:
            arrived, encoded = self._coming.popleft()
            task = CODEC.decode(encoded, InferenceTask)
            self._arrivals[task.task_id] = arrived
            self._send(self._engine.receive(task, None, now, arrived))

    def _turn(self) -> None:
        now = fine_ms()
        step = self._engine.decide(now)
        self._send(step.finished)
        if step.batch is None:
            self._rest(step.wake_at)
            return
        executed = execute(step.batch, now, 1.0, _no_pause)
        self._send(self._engine.finish(step.batch, executed, fine_ms()))
        self._take()
        size = len(step.batch.jobs)
        self.ran.append(Ran(step.batch.service, size, now - self._began, fine_ms() - now))

    def _rest(self, wake_at: float | None) -> None:
        comes = self._coming[0][0] if self._coming else math.inf
        until = min(comes, math.inf if wake_at is None else wake_at)
        if math.isfinite(until):
            time.sleep(max(0.0, until - fine_ms()) / 1000)

    def _send(self, finished: Iterable[Finished]) -> None:
        for result, _ in finished:
            CODEC.encode(result)
            after_ms = fine_ms() - self._arrivals.pop(result.task_id)
            self.ends.append(End(result.service, result.status, after_ms))


def _no_pause(_milliseconds: float) -> None:
    """Play no slower device."""

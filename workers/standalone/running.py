"""Drives the live engine in real time: frames come when they are due, real models execute them."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from schemas.inference import InferenceTask
from workers.clock import fine_ms
from workers.inference.engine import Engine, EngineParams
from workers.inference.executing import execute
from workers.inference.measuring import Telemetry
from workers.inference.results import Home
from workers.inference.serving import Bounds
from workers.scheduling.orders.base import Order
from workers.scheduling.pressure import Readings
from workers.scheduling.scheduler import SchedulerParams
from workers.standalone.coming import Coming
from workers.standalone.config import Run, Worker
from workers.standalone.inputs import Frames

HOME = Home("local", "local")
EXPIRY_MS = 15_000
LONGEST_NAP_S = 0.2
_STOPPED = "the run was stopped"


def _nothing(_: float) -> None:
    """Tell nothing."""


class Outcome(NamedTuple):
    """How far a run came: frames that came, and whether it came to its end.

    `behind_ms` is how long after its time a frame was taken at most, because something was
    executed, or because more came than this process can take.
    """

    frames: int
    complete: bool
    behind_ms: float


class Runner:
    """One run; its engine hosts the models already.

    `pressed` is called with the time (ms) before each decision, to tell how the machine is doing.
    """

    def __init__(
        self,
        run: Run,
        engine: Engine,
        frames: Mapping[str, Frames],
        due: Iterator[Coming],
        stopped: threading.Event,
        pressed: Callable[[float], None] = _nothing,
    ) -> None:
        self._services = {service.name: service for service in run.services}
        self._engine = engine
        self._frames = frames
        self._due = due
        self._stopped = stopped
        self._pressed = pressed
        self._began = 0.0
        self._count = 0
        self._behind_ms = 0.0
        self._next = next(due, None)

    def to_the_end(self) -> Outcome:
        """Let frames come until none is due and none waits, or it is stopped."""
        self._began = fine_ms()
        while not self._stopped.is_set():
            now = fine_ms()
            self._take(now)
            self._pressed(now)
            step = self._engine.decide(now)
            if step.batch is not None:
                executed = execute(step.batch, now, 1.0, _pause)
                self._engine.finish(step.batch, executed, fine_ms())
            elif self._next is None and self._engine.idle:
                return Outcome(self._count, complete=True, behind_ms=self._behind_ms)
            else:
                self._rest(step.wake_at)
        self._engine.drain(fine_ms(), _STOPPED)
        return Outcome(self._count, complete=False, behind_ms=self._behind_ms)

    def _take(self, now: float) -> None:
        """Hand over what has come by now."""
        while self._next is not None and self._began + self._next.at_ms <= now:
            came, self._next = self._next, next(self._due, None)
            self._count += 1
            arrived = self._began + came.at_ms
            self._behind_ms = max(self._behind_ms, now - arrived)
            self._engine.receive(self._task(came, arrived), None, now, arrived)

    def _rest(self, wake_at: float | None) -> None:
        """Wait for the next frame, or until the engine wants to be asked again."""
        comes = math.inf if self._next is None else self._began + self._next.at_ms
        awake = math.inf if wake_at is None else wake_at
        left_s = (min(comes, awake) - fine_ms()) / 1_000
        if left_s > 0:
            self._stopped.wait(min(left_s, LONGEST_NAP_S))

    def _task(self, came: Coming, arrived: float) -> InferenceTask:
        service = self._services[came.service]
        frames = self._frames[came.service]
        key = came.place % service.keys
        return InferenceTask(
            task_id=f"{service.name}-{came.place}",
            request_id=f"{service.name}/{key}/{came.place}",
            app="",
            stage="",
            service=service.name,
            instance=service.name,
            worker=HOME.worker,
            attempt=1,
            created_at=int(arrived),
            deadline=math.ceil(arrived + service.budget_ms),
            generation=0,
            inputs=frames[came.place % len(frames)],
        )


def engine_of(worker: Worker, order: Order) -> tuple[Engine, Telemetry]:
    """Return an engine as the file bounds it, and what tells of its work."""
    params = EngineParams(
        node=HOME.node,
        worker=HOME.worker,
        scheduler=SchedulerParams(
            queue_tasks=worker.queue_tasks,
            queue_ms=worker.queue_ms or math.inf,
            admit=worker.admit,
            spare=worker.spare,
        ),
        bounds=Bounds(queue_tasks=worker.queue_tasks, queue_ms=math.inf, drop="oldest"),
        weight=worker.priority_weight,
        summaries=False,
    )
    telemetry = Telemetry(HOME, fine_ms(), EXPIRY_MS)
    return Engine(params, order, (telemetry,)), telemetry


def _pause(milliseconds: float) -> None:
    time.sleep(milliseconds / 1_000)


def minding(
    engine: Engine, telemetry: Telemetry, vitals: Callable[[], Readings | None]
) -> Callable[[float], None]:
    """Return what tells an engine, at a time (ms), how the machine is doing, if that is new."""

    def pressed(now_ms: float) -> None:
        if (told := vitals()) is not None:
            telemetry.pressed(engine.pressure(told, now_ms))

    return pressed

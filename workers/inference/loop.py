"""The worker process: reads its own task topic, executes, sends results, reports its instances.

One thread reads, decides and executes, so that a heartbeat that stays away means that serving
stands still; models are loaded and the catalogue is followed in threads of their own. The task
topic has one partition and belongs to this worker alone: it is assigned, never shared, and its
position is the lowest task without an acknowledged result. A task that was read after an execution
came when it was created, but not before the reading before that.
"""

import math
import os
import threading
import time
from collections.abc import Iterable

from schemas.codec import Codec
from schemas.errors import DecodeError
from schemas.inference import InferenceTask
from schemas.topics import task_topic
from workers import kafka
from workers.artifacts.obtaining import artifacts_of
from workers.catalogue import CatalogueReader
from workers.clock import fine_ms
from workers.deadletters import Refused, dead_letter
from workers.errors import RegistryUnavailable
from workers.inference.engine import Engine, EngineParams, Finished
from workers.inference.executing import execute
from workers.inference.hosting import KINDS, Hosting
from workers.inference.loading import Loader
from workers.inference.measuring import RUNNING, STOPPED, Telemetry
from workers.inference.observing import Observer
from workers.inference.progress import Progress
from workers.inference.reporting import Reporter, report
from workers.inference.results import Home
from workers.inference.serving import Bounds
from workers.kafka import RawMessage
from workers.kafka_outbox import Outbox
from workers.kafka_tasks import TaskLog
from workers.registry import Registry
from workers.runtimes.known import known_runtimes
from workers.scheduling.orders.base import Order
from workers.scheduling.scheduler import SchedulerParams
from workers.settings import Settings, WorkerSettings
from workers.telemetry import logger

IDLE_S = 0.05
"""Longest wait for tasks while nothing else is to do."""
LOADING_S = 0.005
DRAIN_S = 5.0
COMMIT_EVERY_S = 1.0
MOST_AT_ONCE = 200
TELEMETRY_EVERY_S = 5.0
TELEMETRY_EXPIRY_MS = 15_000
"""A worker that has said nothing of its work for so long counts as gone."""
LIVE_S = 30.0
"""A worker that has not come round for so long stands still."""

log = logger(__name__)


class Worker:
    """One inference worker; `settings.worker` says who it is.

    One that `succeeds` another on its node says nothing of its instances before all are ready.
    `order` chooses what is executed next; `observers` are told of jobs, decisions and ends.
    """

    def __init__(
        self,
        settings: Settings,
        order: Order,
        *,
        succeeds: bool = False,
        observers: Iterable[Observer] = (),
    ) -> None:
        own = settings.worker
        self._settings = settings
        self._speed = node_speed(settings)
        self._topic = task_topic(own.worker)
        self._registry = Registry(settings.registry)
        self._codec: Codec = self._registry.codec()
        home = Home(own.node, own.worker)
        self._telemetry = Telemetry(home, fine_ms(), TELEMETRY_EXPIRY_MS)
        self._engine = Engine(engine_params(own), order, (self._telemetry, *observers))
        self._loader = Loader(known_runtimes(), artifacts_of(settings))
        self._hosting = Hosting(own.node, self._engine, self._loader, self._speed)
        self._reporter = Reporter(
            home,
            settings.identity.run,
            settings.identity.user,
            os.getpid(),
            own.expiry_ms,
        )
        self._progress = Progress()
        self._catalogue = CatalogueReader(settings.kafka, self._codec, KINDS)
        self._next_report = 0.0
        self._next_commit = 0.0
        self._next_telemetry = time.monotonic() + TELEMETRY_EVERY_S
        self._succeeds = succeeds
        self._silent = False
        self._wake_at: float | None = None
        self._read_at = 0.0
        self._tended = time.monotonic()

    @property
    def live(self) -> bool:
        """Whether it has come round lately."""
        return time.monotonic() - self._tended < LIVE_S

    def hand_over(self) -> None:
        """Say nothing of the instances any more: a successor speaks for them."""
        self._silent = True

    @property
    def ready(self) -> bool:
        """Whether it knows its placements and takes tasks."""
        return self._catalogue.ready

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, then drain and leave.

        Raises KafkaUnavailable, RegistryUnavailable.
        """
        self._outbox = Outbox(self._settings.kafka, self._codec, self._progress.done)
        self._tasks = TaskLog(self._settings.kafka, self._topic)
        try:
            with self._catalogue:
                log.info("worker.started", worker=self._settings.worker.worker, speed=self._speed)
                self._await_models(stop)
                while not stop.is_set():
                    self._turn()
                self._drain()
        finally:
            self._loader.close()
            self._tasks.close()
            self._registry.close()

    def _await_models(self, stop: threading.Event) -> None:
        """Let what is placed already be loaded before the first task, perhaps an old one."""
        self._tend()
        while self._hosting.loading and not stop.is_set():
            time.sleep(LOADING_S)
            self._tend()

    def _turn(self) -> None:
        self._receive(self._wait_s())
        now = fine_ms()
        step = self._engine.decide(now)
        self._send(step.finished)
        self._wake_at = step.wake_at
        if step.batch is not None:
            executed = execute(step.batch, now, self._speed, self._pause)
            self._send(self._engine.finish(step.batch, executed, fine_ms()))
        elif step.wake_at is not None:
            log.debug("worker.waits", until_ms=step.wake_at, why=step.why)
        self._tend()

    def _wait_s(self) -> float:
        """Return how long to wait for tasks: not at all while there is work to decide about."""
        if self._engine.idle:
            return IDLE_S
        if self._wake_at is None:
            return 0.0
        return max(0.0, min(IDLE_S, (self._wake_at - fine_ms()) / 1000))

    def _tend(self) -> None:
        """Do what is due besides tasks: acknowledgements, placements, heartbeats, the position."""
        self._tended = time.monotonic()
        self._outbox.poll()
        changed = self._hosting.follow(self._catalogue.current(), fine_ms())
        changed |= self._hosting.settle(fine_ms())
        now = time.monotonic()
        if changed or now >= self._next_report:
            self._report()
            self._next_report = now + self._settings.worker.heartbeat_ms / 1000
        if now >= self._next_telemetry:
            self._tell()
            self._next_telemetry = now + TELEMETRY_EVERY_S
        if now >= self._next_commit:
            self._tasks.commit(self._progress.position)
            self._next_commit = now + COMMIT_EVERY_S

    def _receive(self, wait_s: float) -> None:
        since = self._read_at
        messages = self._tasks.read(MOST_AT_ONCE, wait_s)
        self._read_at = fine_ms()
        for message in messages:
            self._take(message, since)

    def _take(self, message: RawMessage, since: float) -> None:
        offset = int(message.offset() or 0)
        self._progress.begin(offset)
        try:
            task = self._decode(message)
        except DecodeError as error:
            self._refuse(message, error, offset)
            return
        if self._engine.is_open(task.task_id):
            self._progress.done(offset)
            return
        now = fine_ms()
        arrived = min(now, max(since, float(task.created_at)))
        self._send(self._engine.receive(task, offset, now, arrived))

    def _decode(self, message: RawMessage) -> InferenceTask:
        while True:
            try:
                return self._codec.decode(message.value() or b"", InferenceTask)
            except RegistryUnavailable as error:
                log.warning("task.waits_for_registry", error=str(error))
                self._tended = time.monotonic()
                time.sleep(0.2)

    def _refuse(self, message: RawMessage, error: DecodeError, offset: int) -> None:
        letter = dead_letter(
            Refused.of(message),
            error,
            processor="worker",
            now_ms=int(fine_ms()),
            cluster=kafka.cluster_id(self._settings.kafka),
        )
        self._outbox.send(letter, offset)

    def _send(self, finished: list[Finished]) -> None:
        for entry in finished:
            self._outbox.send(entry.result, entry.offset)

    def _pause(self, milliseconds: float) -> None:
        """Let time pass as a slower device would, while tasks are taken and heartbeats sent."""
        until = time.perf_counter() + milliseconds / 1000
        while (left := until - time.perf_counter()) > 0:
            if left < 0.002:
                time.sleep(left)
            else:
                self._receive(min(left - 0.001, IDLE_S))
                self._tend()

    def _report(self) -> None:
        now = int(fine_ms())
        if self._succeeds:
            self._succeeds = not self._hosting.all_ready
        for replica in self._hosting if not (self._silent or self._succeeds) else ():
            condition = self._hosting.condition(replica)
            self._outbox.send(
                report(self._reporter, replica.wanted, replica.hosted, condition, now)
            )
        self._hosting.forget_stopped()

    def _tell(self, status: str = RUNNING) -> None:
        """Say what was done since the beginning, and as metrics since the last time."""
        now = fine_ms()
        for event in (self._telemetry.report(now, status), *self._telemetry.metrics(now)):
            self._outbox.send(event)

    def _drain(self) -> None:
        """Say that no more is taken, finish what waits, then end."""
        log.info("worker.draining")
        until = time.monotonic() + DRAIN_S
        self._hosting.drain(fine_ms())
        self._report()
        while self._hosting.serving and time.monotonic() < until:
            self._turn()
        self._send(self._engine.drain(fine_ms(), "the worker stops"))
        self._hosting.end()
        self._report()
        self._tell(STOPPED)
        if not self._outbox.flush(DRAIN_S):
            log.warning("worker.undelivered", under_way=self._progress.under_way)
        self._tasks.commit(self._progress.position)
        log.info("worker.stopped")


def engine_params(own: WorkerSettings) -> EngineParams:
    """Return the bounds of a worker as its settings say."""
    return EngineParams(
        node=own.node,
        worker=own.worker,
        scheduler=SchedulerParams(
            queue_tasks=own.queue_tasks, queue_ms=float(own.queue_ms), admit=own.admit
        ),
        bounds=Bounds(
            queue_tasks=own.service_queue_tasks or own.queue_tasks,
            queue_ms=float(own.service_queue_ms or own.queue_ms),
            drop=own.drop,
            max_age_ms=own.max_age_ms or math.inf,
            max_gap_ms=own.max_gap_ms,
            max_batch=own.max_batch,
        ),
        weight=own.priority_weight,
    )


def node_speed(settings: Settings) -> float:
    """Return the speed of the node that is played here, else the worker's own setting."""
    played = {node.name: node.speed for node in settings.local.nodes}
    return played.get(settings.worker.node, settings.worker.speed)

"""The worker process: reads its own task topic, executes, sends results, reports its instances.

One thread reads, decides and executes, so that a heartbeat that stays away means that serving
stands still; models are loaded, the catalogue is followed and local callers are listened to in
threads of their own. The task topic has one partition and belongs to this worker alone: it is
assigned, never shared, and its position is the lowest task without an acknowledged result. A task
that was read after an execution came when it was created, but not before the reading before that.
While there is no broker it goes on for local callers.
"""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from functools import partial

from schemas.errors import DecodeError
from schemas.inference import InferenceTask
from workers.artifacts.obtaining import artifacts_of
from workers.clock import fine_ms
from workers.edge.desk import Desk
from workers.edge.elsewhere import Elsewhere
from workers.edge.listening import Local, listening
from workers.errors import RegistryUnavailable
from workers.inference.consuming import Consumption
from workers.inference.contact import Contact
from workers.inference.engine import Engine, EngineParams, Finished
from workers.inference.executing import execute
from workers.inference.hosting import Hosting
from workers.inference.loading import Loader
from workers.inference.measuring import RUNNING, STOPPED, Telemetry
from workers.inference.observing import Observer
from workers.inference.pending import pendings_of
from workers.inference.replicas import Hosted
from workers.inference.reporting import Reporter, report
from workers.inference.results import Home
from workers.inference.serving import Bounds
from workers.inference.vitals import Vitals
from workers.kafka.clients import RawMessage
from workers.payloads.claims import kept, resolved
from workers.payloads.store import store_of
from workers.runtimes.known import known_runtimes
from workers.scheduling.orders.base import Order
from workers.scheduling.scheduler import SchedulerParams
from workers.settings import Settings, WorkerSettings
from workers.telemetry import logger

IDLE_S = 0.05
"""Longest wait for tasks while nothing else is to do."""
LISTEN_S = 0.002
"""Longest wait for Kafka while local callers may come."""
REGISTRY_S = 2.0
"""After so long a registry that did not answer is asked again."""
LOADING_S = 0.005
DRAIN_S = 5.0
MOST_AT_ONCE = 200
REMEMBERED = 2000
"""Results of a former process that are given again to tasks that are read again."""
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
        home = Home(own.node, own.worker)
        self._telemetry = Telemetry(home, fine_ms(), TELEMETRY_EXPIRY_MS)
        self._consumption = Consumption()
        self._own: tuple[list[Hosted], int] = ([], 0)
        store = store_of(settings)
        payloads = partial(resolved, store=store), partial(kept, store=store)
        told = (self._telemetry, *observers)
        self._engine = Engine(engine_params(own), order, told, *payloads)
        self._loader = Loader(known_runtimes(), artifacts_of(settings))
        self._hosting = Hosting(own.node, self._engine, self._loader, self._speed, own.serves)
        self._reporter = Reporter(
            home,
            settings.identity.run,
            settings.identity.user,
            os.getpid(),
            own.expiry_ms,
            settings.local_calls.advertise,
        )
        self._vitals = Vitals()
        self._elsewhere = Elsewhere(own.worker) if settings.local_calls.elsewhere else None
        self._desk = Desk()
        self._listens = settings.local_calls.port > 0
        self._ready = False
        self._next_report = 0.0
        self._next_telemetry = time.monotonic() + TELEMETRY_EVERY_S
        self._succeeds = succeeds
        self._silent = False
        self._wake_at: float | None = None
        self._read_at = 0.0
        self._unread: deque[tuple[RawMessage, int, float]] = deque()
        self._read_again = 0.0
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
        return self._ready

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, then drain and leave.

        Raises KafkaUnavailable or RegistryUnavailable when there is neither a broker nor a last
        placement to serve, NotListening.
        """
        own = self._settings.worker.worker
        self._contact = Contact(self._settings)
        local = Local(
            self._desk,
            self._settings.local_calls,
            own,
            lambda: self.live,
            lambda: self.ready,
            self._elsewhere,
        )
        try:
            self._contact.open()
            self._vitals.begin()
            self._ready = True
            for result in self._contact.past_results(REMEMBERED):
                self._engine.recall(result)
            with listening(local):
                log.info("worker.started", worker=own, speed=self._speed)
                self._await_models(stop)
                while not stop.is_set():
                    self._turn()
                self._drain()
        finally:
            self._vitals.close()
            self._desk.close()
            if self._elsewhere is not None:
                self._elsewhere.close()
            self._loader.close()
            self._contact.abandon()

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
            for pending, part in zip(pendings_of(step.batch), executed.parts, strict=True):
                self._desk.executed(pending.task.task_id, part)
            tasks = len(step.batch.jobs)
            self._consumption.executed(step.batch.service, tasks, executed.cpu_ms)
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
        self._contact.tend()
        catalogue = self._contact.catalogue()
        if self._elsewhere is not None:
            self._elsewhere.catalogue = catalogue
            self._contact.send((record, None) for record in self._elsewhere.records())
        changed = self._hosting.follow(catalogue, fine_ms())
        changed |= self._hosting.settle(fine_ms())
        if (told := self._vitals.take()) is not None:
            self._telemetry.pressed(self._engine.pressure(told, fine_ms()))
        now = time.monotonic()
        if changed or now >= self._next_report:
            self._report()
            self._next_report = now + self._settings.worker.heartbeat_ms / 1000
        if now >= self._next_telemetry:
            self._tell()
            self._next_telemetry = now + TELEMETRY_EVERY_S

    def _receive(self, wait_s: float) -> None:
        since = self._read_at
        messages, calls = self._come(wait_s)
        self._read_at = fine_ms()
        self._unread.extend((message, self._contact.begin(message), since) for message in messages)
        while self._unread and time.monotonic() >= self._read_again:
            self._take(*self._unread[0])
        for task in calls:
            self._accept(task, None, since)

    def _come(self, wait_s: float) -> tuple[list[RawMessage], list[InferenceTask]]:
        """Return tasks of Kafka and of local callers, after waiting for a first one."""
        until = time.monotonic() + wait_s
        while True:
            left = max(0.0, until - time.monotonic())
            if self._unread or not self._contact.connected:
                return [], self._desk.take(left)
            slept = min(left, LISTEN_S) if self._listens else left
            messages, calls = self._contact.read(MOST_AT_ONCE, slept), self._desk.take()
            if messages or calls or time.monotonic() >= until:
                return messages, calls

    def _take(self, message: RawMessage, ticket: int, since: float) -> None:
        """Take the first that is unread; it stays so while the registry does not tell its schema.

        Local callers are served meanwhile.
        """
        try:
            task = self._contact.decode(message)
        except RegistryUnavailable as error:
            log.warning("task.waits_for_registry", error=str(error))
            self._read_again = time.monotonic() + REGISTRY_S
            return
        except DecodeError as error:
            self._unread.popleft()
            self._contact.refuse(message, error, ticket)
            return
        self._unread.popleft()
        if self._engine.is_open(task.task_id):
            self._contact.done(ticket)
            return
        self._accept(task, ticket, since)

    def _accept(self, task: InferenceTask, ticket: int | None, since: float) -> None:
        now = fine_ms()
        arrived = min(now, max(since, float(task.created_at)))
        self._send(self._engine.receive(task, ticket, now, arrived))

    def _send(self, finished: list[Finished]) -> None:
        """Send results; a local caller hears of its own when it will not be lost any more."""
        asked = [entry.result for entry in finished if entry.offset is None]
        self._contact.send((e.result, e.offset) for e in finished if e.offset is not None)
        self._contact.send(((result, None) for result in asked), safe=True)
        for result in asked:
            self._desk.answer(result)

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
            self._contact.tell(
                report(self._reporter, replica.wanted, replica.hosted, condition, now)
            )
        self._desk.served = self._hosting.served()
        self._hosting.forget_stopped()

    def _tell(self, status: str = RUNNING) -> None:
        """Say what was done since the beginning, and as metrics since the last time."""
        now = fine_ms()
        if status == RUNNING:
            self._own = self._hosted(), self._memory_limit()
        told = self._telemetry.report(now, status)
        self._contact.tell(self._consumption.told(told, *self._own))
        self._telemetry.spooled(*self._contact.spooled)
        self._contact.send((event, None) for event in self._telemetry.metrics(now))

    def _hosted(self) -> list[Hosted]:
        return [replica.hosted for replica in self._hosting if replica.hosted is not None]

    def _memory_limit(self) -> int:
        """Return how much memory the local actuator lets this worker hold, MiB; 0: any."""
        local = self._settings.local
        given = sum(replica.wanted.memory_mib for replica in self._hosting)
        return given + local.overhead_mib if local.hold else 0

    def _drain(self) -> None:
        """Say that no more is taken, finish what waits, then end."""
        log.info("worker.draining")
        until = time.monotonic() + DRAIN_S
        self._own = self._hosted(), self._memory_limit()
        self._hosting.drain(fine_ms())
        self._report()
        while self._hosting.serving and time.monotonic() < until:
            self._turn()
        self._send(self._engine.drain(fine_ms(), "the worker stops"))
        self._hosting.end()
        self._report()
        self._tell(STOPPED)
        self._contact.close(DRAIN_S)
        log.info("worker.stopped")


def engine_params(own: WorkerSettings) -> EngineParams:
    """Return the bounds of a worker as its settings say."""
    return EngineParams(
        node=own.node,
        worker=own.worker,
        scheduler=SchedulerParams(
            queue_tasks=own.queue_tasks,
            queue_ms=float(own.queue_ms),
            admit=own.admit,
            spare=own.spare,
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
        summaries=own.summaries,
    )


def node_speed(settings: Settings) -> float:
    """Return the speed of the node that is played here, else the worker's own setting."""
    played = {node.name: node.speed for node in settings.local.nodes}
    return played.get(settings.worker.node, settings.worker.speed)

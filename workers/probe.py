"""Reports metrics of a process that is none of Weir's own, and that the process exists.

    probe = Probe(settings, tags=("camera",))      # who reports: settings.identity
    probe.report("brightness", 0.7)
    with probe.timer("capture"):
        ...
    probe.close()

Nothing here blocks or raises into the caller: measurements are handed to a thread through a
bounded queue, and what cannot be sent is counted.
"""

import contextlib
import math
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from schemas.base import Event
from schemas.errors import ContractError
from schemas.observing import MetricReport
from schemas.records import KeyValue
from schemas.registrations import InstanceReported
from schemas.topics import key_of, topic_of
from workers import kafka
from workers.clock import wall_ms
from workers.errors import WorkerError
from workers.registry import Registry
from workers.settings import Identity, Settings
from workers.telemetry import logger

QUEUE = 10_000
"""Most measurements that wait; librdkafka's own queue, as bounded, follows."""
HEARTBEAT_MS = 1_000
EXPIRY_MS = 5_000
RETRY_S = 0.2
TURN_S = 0.1
LAST_MS = 1 << 53

log = logger(__name__)


class NoIdentity(WorkerError):
    """A probe does not know for which application it reports."""


class Probe:
    """Reports for `settings.identity`, and as an instance with tags and properties.

    `sent`, `dropped` and `refused` count what was handed to Kafka, what found a full queue, and
    what was no finite number. Raises NoIdentity when the identity names no application.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        method: str = "",
    ) -> None:
        if not settings.identity.app:
            raise NoIdentity("name the application: WEIR_IDENTITY__APP, or [identity] app")
        self._identity = _named(settings.identity)
        self._registry = Registry(settings.registry)
        self._codec = self._registry.codec()
        self._producer = kafka.producer(
            settings.kafka, linger_ms=20, queue_buffering_max_messages=QUEUE
        )
        self._tags = tuple(tags)
        self._metadata = tuple(
            KeyValue(key=key, value=value) for key, value in (metadata or {}).items()
        )
        self._method = method
        self._waiting: queue.Queue[MetricReport] = queue.Queue(QUEUE)
        self._closing = threading.Event()
        self.sent = 0
        self.dropped = 0
        self.refused = 0
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def instance(self) -> str:
        """Return the id under which it reports itself."""
        return self._identity.instance

    def report(
        self,
        metric: str,
        value: float,
        *,
        unit: str = "",
        request_id: str | None = None,
        event_time: int | None = None,
    ) -> None:
        """Report one measurement, of now or of `event_time` (ms since the epoch)."""
        report = self._measured(metric, value, unit, request_id, event_time)
        if report is None:
            self.refused += 1
            return
        try:
            self._waiting.put_nowait(report)
        except queue.Full:
            self.dropped += 1

    @contextlib.contextmanager
    def timer(self, metric: str, *, request_id: str | None = None) -> Iterator[None]:
        """Report how long the block, or the decorated function, took in ms, also if it raises."""
        started = time.perf_counter()
        try:
            yield
        finally:
            took_ms = (time.perf_counter() - started) * 1000
            self.report(metric, took_ms, unit="ms", request_id=request_id)

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what waits, say that this instance has stopped, and end."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join(timeout_s)
        self._producer.flush(timeout_s)

    def _measured(
        self,
        metric: str,
        value: float,
        unit: str,
        request_id: str | None,
        event_time: int | None,
    ) -> MetricReport | None:
        """Return an event that can be sent, or None: a caller's mistake must not raise there."""
        own = self._identity
        try:
            number = float(value)
            when = wall_ms() if event_time is None else int(event_time)
        except (TypeError, ValueError, OverflowError):
            return None
        if not metric or not math.isfinite(number) or not 0 <= when < LAST_MS:
            return None
        return MetricReport(
            event_time=when,
            app=own.app,
            stage=own.stage,
            service=own.service,
            instance=own.instance,
            node=own.node,
            metric=_text(metric),
            value=number,
            unit=_text(unit),
            request_id=None if request_id is None else _text(request_id),
        )

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._registry.close()

    def _work(self) -> None:
        next_beat = 0.0
        while not self._closing.is_set():
            now = time.monotonic()
            if now >= next_beat and self._say(self._heartbeat("ready")):
                next_beat = now + HEARTBEAT_MS / 1000
            self._pass_on(TURN_S)
        while not self._waiting.empty():
            if not self._pass_on(0):
                return
        self._say(self._heartbeat("stopped"))

    def _pass_on(self, wait_s: float) -> bool:
        """Send one measurement and what follows at once; False when nothing can be sent."""
        try:
            report = self._waiting.get(timeout=wait_s) if wait_s else self._waiting.get_nowait()
        except queue.Empty:
            self._producer.poll(0)
            return True
        while not self._say(report):
            if self._closing.wait(RETRY_S):
                self.dropped += 1
                return False
        self.sent += 1
        return True

    def _say(self, event: Event) -> bool:
        """Hand an event to Kafka; False when it must be tried again."""
        try:
            value = self._codec.encode(event)
            self._producer.produce(topic_of(event), value, key=key_of(event))
            self._producer.poll(0)
        except (WorkerError, ContractError) as error:
            log.warning("probe.waits", error=str(error))
            return False
        except BufferError:
            self._producer.poll(TURN_S)
            return False
        return True

    def _heartbeat(self, health: str) -> InstanceReported:
        own, now = self._identity, wall_ms()
        return InstanceReported(
            instance=own.instance,
            service=own.service,
            app=own.app,
            stage=own.stage,
            node=own.node,
            worker="",
            task_topic="",
            model_version="",
            tags=self._tags,
            run=own.run,
            user=own.user,
            method=self._method,
            role="probe",
            metadata=self._metadata,
            health=health,
            heartbeat=now,
            expires_at=now + EXPIRY_MS,
        )


def _text(given: object) -> str:
    return str(given).encode("utf-8", "replace").decode("utf-8")


def _named(identity: Identity) -> Identity:
    """Return an identity with an instance id of its own, when none is set."""
    if identity.instance:
        return identity
    what = identity.service or identity.app
    name = f"{what}.{socket.gethostname()}.{os.getpid()}"
    return identity.model_copy(update={"instance": name})

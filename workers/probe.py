"""Reports of a process that is none of Weir's own: metrics, answers of models, and itself.

    probe = Probe(settings, tags=("camera",))      # who reports: settings.identity
    probe.report("brightness", 0.7)
    probe.gauge("queue", lambda: len(waiting))
    frames = probe.counter("frames")
    with probe.timer("capture"):                   # or @probe.timer("capture")
        frames.add()
    request_id = probe.report_inference(label="cat", confidence=0.9, execution_ms=12.5)
    probe.report_truth(request_id, "dog")
    probe.close()

Nothing here blocks or raises into the caller, whether broker and registry are there, come later or
never: what is told is put into a bounded buffer, a thread makes events of it, and what cannot be
sent is counted and reported, as metric `probe.dropped`, as soon as something can be. Whether a
measurement makes sense is judged by that thread too: a caller that comes out of a rest pays for
every function that it enters.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType

from typing_extensions import Self

from schemas.base import Event
from schemas.records import KeyValue
from schemas.registrations import InstanceReported
from workers.clock import wall_ms
from workers.errors import WorkerError
from workers.probing.buffer import Buffer
from workers.probing.encoding import NO_NUMBER, clean
from workers.probing.link import Link, to_kafka
from workers.probing.periodic import Counter, Gauge, Periodic
from workers.probing.results import Answer, Inference, known_request_id, result_of, truth_of
from workers.probing.sampling import Sampler, Sampling
from workers.probing.sender import RETRY_S, Counts, Later, Measured, Sender, Waiting, sensible
from workers.probing.timing import Timer
from workers.settings import Identity, Settings

BUFFER = 10_000
"""Most measurements that wait; librdkafka's own queue, as bounded, follows."""
TURN_S = 0.05
"""A measurement waits no longer than this when all is well."""

Connect = Callable[[Callable[[], object]], Link]
"""Makes a link, given what to call for each message that was taken and given up."""


class NoIdentity(WorkerError):
    """A probe does not know for which application it reports."""


class Probe:
    """Reports for `settings.identity`, and as an instance with tags and properties.

    `buffer` bounds what waits; `connect` makes the link, by default to Kafka and the registry of
    the settings. `sent`, `dropped` and `refused` count what was handed to Kafka, what found no
    room or was given up, and what made no sense. Raises NoIdentity when the identity names no
    application, KafkaUnavailable or RegistryUnavailable for settings that no client takes.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        method: str = "",
        role: str = "probe",
        sampling: Sampling | None = None,
        buffer: int = BUFFER,
        connect: Connect | None = None,
    ) -> None:
        if not settings.identity.app:
            raise NoIdentity("name the application: WEIR_IDENTITY__APP, or [identity] app")
        self._identity = _named(settings.identity)
        self._counts = Counts()
        self._waiting: Waiting = Buffer(buffer)
        self._sampler = Sampler(sampling or Sampling())
        self._samples = self._sampler.active
        self._periodic = Periodic(self.report_whole)
        self._closing = threading.Event()
        self._close_s = 0.0
        self._reached = False
        own = _instance(self._identity, tags, metadata or {}, method, role)
        link = (connect or partial(to_kafka, settings, buffer))(self._counts.dropped.add)
        self._sender = Sender(link, own, self._waiting, self._counts, self._sampler)
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

    @property
    def sent(self) -> int:
        """Return how many measurements and events were handed to Kafka's client."""
        return self._counts.sent

    @property
    def dropped(self) -> int:
        """Return how many found no room, or were taken and never acknowledged."""
        return self._counts.dropped.total()

    @property
    def refused(self) -> int:
        """Return how many made no sense: no finite number, no name, a time that is none."""
        return self._counts.refused.total()

    @property
    def reached(self) -> bool:
        """Return whether all that it was told had a way to Kafka when it last tried to send."""
        return self._reached and self._thread.is_alive()

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
        try:
            number = float(value)
            when = wall_ms() if event_time is None else int(event_time)
            measured = (metric, number, unit, request_id, when)
            if self._samples and sensible(measured) and not self._sampler.admits(str(metric)):
                return
        except NO_NUMBER:
            self._counts.refused.add()
            return
        if not self._waiting.offer(measured):
            self._counts.dropped.add()

    def report_whole(
        self, metric: str, value: float, *, unit: str = "", request_id: str | None = None
    ) -> None:
        """Report one measurement of now, whatever the sampling: sums and states are not sampled."""
        try:
            measured = metric, float(value), unit, request_id, wall_ms()
        except NO_NUMBER:
            self._counts.refused.add()
        else:
            self._wait(measured)

    def timer(self, metric: str, *, request_id: str | None = None) -> Timer:
        """Return what reports how long a block, or each call of a decorated function, takes."""
        return Timer(self.report, metric, request_id)

    def gauge(
        self, metric: str, read: Callable[[], float | None], *, unit: str = "", every_s: float = 1.0
    ) -> Gauge:
        """Ask for a value every so many seconds, in a thread, and report it unless it is None."""
        made = Gauge(metric, read, unit)
        self._periodic.add(made, every_s)
        return made

    def counter(
        self, metric: str, *, unit: str = "1", rate: bool = False, every_s: float = 1.0
    ) -> Counter:
        """Return a sum to add to; what came since last time is reported every so many seconds.

        With `rate` it is reported per second, as `<metric>.rate`.
        """
        made = Counter(metric, unit, rate=rate)
        self._periodic.add(made, every_s)
        return made

    def inference(self, request_id: str | None = None) -> Inference:
        """Return a block that times a model and reports what it answered."""
        return Inference(self, request_id)

    def report_inference(
        self,
        *,
        label: str | None = None,
        confidence: float | None = None,
        execution_ms: float = 0.0,
        queue_ms: float = 0.0,
        request_id: str | None = None,
        model_version: str = "",
    ) -> str:
        """Report an answer of a model; return the request id under which to tell the truth.

        `report_answer` takes what there is besides.
        """
        answer = Answer(
            label=label,
            confidence=confidence,
            execution_ms=execution_ms,
            queue_ms=queue_ms,
            model_version=model_version,
        )
        known = known_request_id(request_id)
        self.report_answer(known, answer)
        return known

    def report_answer(self, request_id: str, answer: Answer) -> None:
        """Report what a model answered to a request; again for the same request is a repetition."""
        known = clean(str(request_id))
        if self._sampler.admits_request(known):
            self._wait(partial(result_of, self._identity, known, answer, wall_ms()))

    def report_truth(
        self, request_id: str, label: str, *, known_at: int | None = None, source: str = ""
    ) -> None:
        """Tell what was right, known since `known_at` (ms since the epoch, now by default)."""
        when = wall_ms() if known_at is None else known_at
        known = clean(str(request_id))
        if self._sampler.admits_request(known):
            self._wait(partial(truth_of, self._identity, known, label, when, source))

    def tell(self, event: Event) -> None:
        """Send any event; one that does not fit its schema is refused."""
        self._wait(lambda: event)

    def accompany(self, make: Callable[[], Iterable[Event]]) -> None:
        """Send what `make` returns with every heartbeat: what would be stale if it waited."""
        self._sender.beside = make

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what waits, say that this instance has stopped, and end."""
        if self._closing.is_set():
            return
        self._periodic.end(timeout_s)
        self._close_s = timeout_s
        self._closing.set()
        self._thread.join(timeout_s + RETRY_S)

    def _wait(self, told: Measured | Later) -> None:
        if not self._waiting.offer(told):
            self._counts.dropped.add()

    def _run(self) -> None:
        wait_s = 0.0
        while not self._closing.wait(wait_s):
            self._reached = self._sender.turn(time.monotonic())
            wait_s = TURN_S if self._reached else RETRY_S
        self._sender.end(self._close_s)


def _instance(
    own: Identity, tags: Sequence[str], metadata: Mapping[str, str], method: str, role: str
) -> InstanceReported:
    return InstanceReported(
        instance=own.instance,
        service=own.service,
        app=own.app,
        stage=own.stage,
        node=own.node,
        worker="",
        task_topic="",
        model_version="",
        tags=tuple(tags),
        run=own.run,
        user=own.user,
        method=method,
        role=role,
        metadata=tuple(KeyValue(key=key, value=value) for key, value in metadata.items()),
        health="ready",
        heartbeat=0,
        expires_at=0,
    )


def _named(identity: Identity) -> Identity:
    """Return an identity with an instance id of its own, when none is set."""
    if identity.instance:
        return identity
    what = identity.service or identity.app
    name = f"{what}.{socket.gethostname()}.{os.getpid()}"
    return identity.model_copy(update={"instance": name})

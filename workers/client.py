"""Asks for inference: requests go out, answers are heard, the truth follows when it is known.

with Client(settings) as client:
    answer = client.ask("digits", tensors({"x": image}), deadline_ms=500)
    client.label("digits", answer.request_id, "7")
"""

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from schemas import checks
from schemas.base import Event
from schemas.errors import DecodeError
from schemas.inference import GroundTruth, InferenceRequest, InferenceResponse
from schemas.records import Tensor
from schemas.topics import key_of, topic_of
from workers.clock import wall_ms
from workers.errors import KafkaUnavailable, RegistryUnavailable, WorkerError
from workers.kafka import clients as kafka
from workers.kafka.steady import SteadyProducer
from workers.registry import Registry
from workers.settings import Settings
from workers.telemetry import logger

RESPONSES = "weir.responses"
GRACE_MS = 5_000
"""An answer is awaited so long after the deadline: late requests are rejected late."""
END = -1
"""Kafka's own word for the end of a partition, to begin reading at."""
POLL_S = 0.05

log = logger(__name__)


class NoAnswer(WorkerError):
    """A request was sent, and no answer came in time."""


class Undelivered(WorkerError):
    """A message could not be delivered: nobody has it."""


@dataclass(frozen=True, slots=True)
class _Awaited:
    future: "Future[InferenceResponse]"
    until_ms: int


def tensors(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Tensor, ...]:
    """Return named arrays as inline tensors, little-endian and row-major."""
    made = []
    for name, array in arrays.items():
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        shape = tuple(int(size) for size in array.shape)
        made.append(Tensor(name=name, dtype=array.dtype.name, shape=shape, data=little.tobytes()))
    return tuple(made)


class Client:
    """A context manager; its methods may be called from any thread.

    `acknowledged` counts the messages that all replicas have, `undelivered` those nobody has.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = Registry(settings.registry)
        self._codec = self._registry.codec()
        self._lock = threading.Lock()
        self._awaited: dict[str, _Awaited] = {}
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._error: WorkerError | None = None
        self.acknowledged = 0
        self.undelivered = 0

    def __enter__(self) -> Self:
        """Begin to listen. Raises KafkaUnavailable, RegistryUnavailable."""
        self._producer = SteadyProducer(self._settings.kafka, linger_ms=1)
        self._thread = threading.Thread(target=self._listen, name="responses", daemon=True)
        self._thread.start()
        if not self._ready.wait(30) or self._error is not None:
            self._stop.set()
            raise self._error or KafkaUnavailable(
                f"Kafka at {self._settings.kafka.bootstrap}: {RESPONSES} could not be read"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Deliver what is under way, and listen no more; open futures fail."""
        self._producer.flush(10)
        self._stop.set()
        self._thread.join(10)
        self._expire(None)
        self._registry.close()

    def ask(
        self,
        app: str,
        inputs: Sequence[Tensor],
        *,
        deadline_ms: int = 1_000,
        consumer: str = "",
        contract: str = "",
        priority: int = 0,
    ) -> InferenceResponse:
        """Return the answer of an application, due `deadline_ms` from now.

        Raises InvalidEvent for unusable inputs, NoAnswer when none comes, Undelivered.
        """
        now = wall_ms()
        request = InferenceRequest(
            request_id=uuid.uuid4().hex,
            app=app,
            consumer=consumer,
            contract=contract,
            priority=priority,
            created_at=now,
            deadline=now + deadline_ms,
            inputs=tuple(inputs),
        )
        return self.submit(request).result()

    def submit(self, request: InferenceRequest) -> "Future[InferenceResponse]":
        """Send a request and return its answer to come; repeated requests share one.

        The future raises NoAnswer 5 s after the deadline, Undelivered when Kafka does not take
        the request. Raises InvalidEvent for a request that makes no sense.
        """
        until_ms = request.deadline + GRACE_MS
        with self._lock:
            awaited = self._awaited.setdefault(request.request_id, _Awaited(Future(), until_ms))
        try:
            self.send(request)
        except BaseException:
            self._take(request.request_id)
            raise
        return awaited.future

    def send(self, request: InferenceRequest) -> None:
        """Send a request without waiting for its answer. Raises InvalidEvent."""
        checks.check(request, wall_ms())
        self._send(request, request.request_id)

    def label(
        self,
        app: str,
        request_id: str,
        label: str,
        *,
        known_at: int | None = None,
        source: str = "",
    ) -> None:
        """Tell what was right, known since `known_at` (ms since the epoch, now by default)."""
        truth = GroundTruth(
            request_id=request_id,
            app=app,
            label=label,
            known_at=wall_ms() if known_at is None else known_at,
            source=source,
        )
        self._send(truth, "")

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything sent is acknowledged; False when time ran out."""
        return int(self._producer.flush(timeout_s)) == 0

    def under_way(self) -> int:
        """Return how many messages Kafka has not confirmed yet, without waiting."""
        return int(self._producer.flush(0))

    def _send(self, event: Event, request_id: str) -> None:
        def delivered(error: object, _: object) -> None:
            self._note(request_id, error)

        value = self._codec.encode(event)
        while True:
            try:
                self._producer.produce(
                    topic_of(event), value, key=key_of(event), on_delivery=delivered
                )
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    def _note(self, request_id: str, error: object) -> None:
        with self._lock:
            if error is None:
                self.acknowledged += 1
                return
            self.undelivered += 1
        log.warning("client.undelivered", request_id=request_id, error=str(error))
        awaited = self._take(request_id)
        if awaited is not None:
            awaited.future.set_exception(Undelivered(str(error)))

    def _take(self, request_id: str) -> _Awaited | None:
        with self._lock:
            return self._awaited.pop(request_id, None)

    def _listen(self) -> None:
        reader = kafka.reader(self._settings.kafka)
        try:
            unknown = self._places()
            kafka.assign_more(reader, dict.fromkeys(unknown, END))
            while not self._stop.is_set():
                for message in kafka.drain(reader, 500, POLL_S):
                    kafka.check_alive(self._settings.kafka, message)
                    if message.error() is None:
                        self._hear(message.value() or b"")
                    elif kafka.is_eof(message):
                        unknown.discard(kafka.place_of(message))
                if not unknown:
                    self._ready.set()
                self._producer.poll(0)
                self._expire(wall_ms())
        except WorkerError as error:
            self._error = error
            log.warning("client.listens_no_more", error=str(error))
        finally:
            self._ready.set()
            reader.close()

    def _places(self) -> set[tuple[str, int]]:
        counts = kafka.partition_counts(self._settings.kafka)
        if RESPONSES not in counts:
            raise KafkaUnavailable(
                f"Kafka at {self._settings.kafka.bootstrap} has no topic {RESPONSES}; "
                "create it with `weir topics create`"
            )
        return {(RESPONSES, partition) for partition in range(counts[RESPONSES])}

    def _hear(self, value: bytes) -> None:
        while not self._stop.is_set():
            try:
                response = self._codec.decode(value, InferenceResponse)
            except DecodeError as error:
                log.warning("client.unreadable_response", error=str(error))
                return
            except RegistryUnavailable:
                time.sleep(0.2)
                continue
            awaited = self._take(response.request_id)
            if awaited is not None:
                awaited.future.set_result(response)
            return

    def _expire(self, now_ms: int | None) -> None:
        """Fail the futures whose time is over; all of them when `now_ms` is None."""
        with self._lock:
            over = [
                request_id
                for request_id, awaited in self._awaited.items()
                if now_ms is None or awaited.until_ms <= now_ms
            ]
        for request_id in over:
            awaited = self._take(request_id)
            if awaited is not None:
                awaited.future.set_exception(NoAnswer(f"no answer to request {request_id}"))

"""Asks for inference: requests go out, answers are heard, the truth follows when it is known.

with Client(settings) as client:
    answer = client.ask("digits", tensors({"x": image}), deadline_ms=500)
    client.label("digits", answer.request_id, "7")

From a coroutine it is `answer = await client.asking("digits", tensors({"x": image}))`.
"""

import asyncio
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from schemas import checks
from schemas.base import Event
from schemas.conditions import spelled
from schemas.errors import DecodeError
from schemas.identity import stable_id
from schemas.inference import GroundTruth, InferenceRequest, InferenceResponse
from schemas.records import KeyValue, Tensor
from schemas.topics import HOUR_MS, Topic, home_of, key_of, topic_of
from workers.awaiting import Awaited, Undelivered
from workers.clock import wall_ms
from workers.errors import KafkaUnavailable, RegistryUnavailable, WorkerError
from workers.kafka import clients as kafka
from workers.kafka.steady import SteadyProducer
from workers.payloads.claims import claimed, is_large, is_whole, resolved
from workers.payloads.store import store_of
from workers.registry import Registry
from workers.settings import Settings
from workers.telemetry import logger

RESPONSES = "weir.responses"
GRACE_MS = 5_000
"""An answer is awaited so long after the deadline: late requests are rejected late."""
MOST = 10_000
END = -1
"""Kafka's own word for the end of a partition, to begin reading at."""
POLL_S = 0.05
BEAT_S = 600.0
"""So often who has a topic of its own for answers writes there that it lives."""

log = logger(__name__)


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

    Tensors of more than 64 kB go through the payload store. `replies` names a topic of its own to
    which answers are directed, made at the start and removed at the end; without one it reads all
    that stands on weir.responses. At most `most` requests wait for an answer. Those that had none
    for `resend_ms` are sent again until their deadline, with the same id, so that they are served
    once; 0 for never. `acknowledged` counts the messages that all replicas have, `undelivered`
    those nobody has.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        replies: str = "",
        most: int = MOST,
        resend_ms: int = 0,
        grace_ms: int = GRACE_MS,
    ) -> None:
        self._settings = settings
        self._registry = Registry(settings.registry)
        self._codec = self._registry.codec()
        self._payloads = store_of(settings)
        self._replies = replies
        self._lock = threading.Lock()
        self._awaited = Awaited(most, resend_ms, grace_ms)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._error: WorkerError | None = None
        self._next_beat = 0.0
        self.acknowledged = 0
        self.undelivered = 0

    def __enter__(self) -> Self:
        """Begin to listen. Raises KafkaUnavailable, RegistryUnavailable."""
        if self._replies:
            own = Topic(self._replies, (InferenceResponse,), ("request_id",), retention_ms=HOUR_MS)
            kafka.create_topics(self._settings.kafka, [own])
        self._producer = SteadyProducer(self._settings.kafka, linger_ms=1)
        self._producer.meet()
        self._thread = threading.Thread(target=self._listen, name="responses", daemon=True)
        self._thread.start()
        if not self._ready.wait(30) or self._error is not None:
            self._stop.set()
            raise self._error or KafkaUnavailable(
                f"Kafka at {self._settings.kafka.bootstrap}: {self._home} could not be read"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Deliver what is under way, and listen no more; open futures fail."""
        self._producer.flush(10)
        self._stop.set()
        self._thread.join(10)
        self._awaited.give_up()
        self._registry.close()
        if self._replies:
            try:
                kafka.delete_topics(self._settings.kafka, [self._replies])
            except KafkaUnavailable as unavailable:  # its answers end by its retention, an hour
                log.warning("client.leaves_its_topic", topic=self._replies, error=str(unavailable))

    @property
    def listening(self) -> bool:
        """Whether answers are heard."""
        return self._ready.is_set() and self._error is None and not self._stop.is_set()

    def check(self) -> None:
        """Raise what ended the listening: KafkaUnavailable, RegistryUnavailable."""
        if self._error is not None:
            raise self._error

    @property
    def waiting(self) -> int:
        """How many requests wait for an answer."""
        return len(self._awaited)

    def ask(self, app: str, inputs: Sequence[Tensor], **wishes: Any) -> InferenceResponse:
        """Return the answer of an application; `wishes` are those of `request_of`.

        Raises InvalidEvent for unusable inputs, DecodeError for too large ones, NoAnswer when none
        comes, Undelivered, TooMany, PayloadRefused, PayloadLost.
        """
        return self.whole(self.submit(request_of(app, inputs, **wishes)).result())

    async def asking(self, app: str, inputs: Sequence[Tensor], **wishes: Any) -> InferenceResponse:
        """Return the answer of an application, as `ask` does, from a coroutine."""
        return await self.answer(request_of(app, inputs, **wishes))

    async def answer(self, request: InferenceRequest) -> InferenceResponse:
        """Return the answer to a request, raising as `submit`, its future and `whole` do.

        Large inputs are stored and large outputs read by a thread, so that no other coroutine waits
        for that.
        """
        if is_large(request):
            request = await asyncio.to_thread(claimed, request, self._payloads)
        response = await asyncio.shield(asyncio.wrap_future(self.submit(request)))
        if is_whole(response.outputs):
            return response
        return await asyncio.to_thread(self.whole, response)

    def whole(self, response: InferenceResponse) -> InferenceResponse:
        """Return an answer with the bytes of all its outputs: large ones come as references.

        Raises PayloadLost.
        """
        if is_whole(response.outputs):
            return response
        return replace(response, outputs=resolved(response.outputs, self._payloads))

    def submit(self, request: InferenceRequest) -> "Future[InferenceResponse]":
        """Send a request and return its answer to come; repeated requests share one.

        Of outputs of more than 64 kB it has references; see `whole`.
        The future raises NoAnswer `grace_ms` after the deadline, Undelivered when Kafka does not
        take the request. Raises InvalidEvent for a request that makes no sense, DecodeError for one
        that is too large, PayloadRefused, and TooMany when as many as may wait for an answer.
        """
        ready = self._prepared(request)
        future = self._awaited.add(ready, wall_ms())
        try:
            self._send(ready, ready.request_id)
        except BaseException:
            self._awaited.take(ready.request_id)
            raise
        return future

    def send(self, request: InferenceRequest) -> None:
        """Send a request without waiting for its answer.

        Raises InvalidEvent, DecodeError, PayloadRefused.
        """
        self._send(self._prepared(request), request.request_id)

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

    @property
    def _home(self) -> str:
        return self._replies or RESPONSES

    def _prepared(self, request: InferenceRequest) -> InferenceRequest:
        ready = claimed(request, self._payloads)
        checks.check(ready, wall_ms())
        if self._replies and ready.reply_to_topic is None:
            return replace(ready, reply_to_topic=self._replies, reply_to_partition=0)
        return ready

    def _send(self, event: Event, request_id: str) -> None:
        def delivered(error: object, _: object) -> None:
            self._note(request_id, error)

        value = self._codec.encode(event)
        checks.check_size(len(value), home_of(type(event)))
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
        self._awaited.fail(request_id, Undelivered(str(error)))

    def _listen(self) -> None:
        reader = kafka.reader(self._settings.kafka)
        try:
            unknown = self._places()
            kafka.assign_more(reader, dict.fromkeys(unknown, END))
            while not self._stop.is_set():
                for message in kafka.drain(reader, 500, POLL_S):
                    kafka.check_alive(self._settings.kafka, message)
                    if message.error() is None:
                        self._hear(message.value())
                    elif kafka.is_eof(message):
                        unknown.discard(kafka.place_of(message))
                if not unknown:
                    self._ready.set()
                self._producer.poll(0)
                self._tend()
        except WorkerError as error:
            self._error = error
            log.warning("client.listens_no_more", error=str(error))
        finally:
            self._ready.set()
            reader.close()

    def _tend(self) -> None:
        """Fail what is over, send again what had no answer for long, and tell that one lives."""
        now = wall_ms()
        if self._replies and time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_S
            self._producer.produce(self._replies, None, partition=0)
        self._awaited.expire(now)
        for request in self._awaited.due(now):
            self._send(request, "")

    def _places(self) -> set[tuple[str, int]]:
        counts = kafka.required(self._settings.kafka, {self._home})
        return {(self._home, partition) for partition in range(counts[self._home])}

    def _hear(self, value: bytes | None) -> None:
        """Take an answer; a record without a value is a beat."""
        while value is not None and not self._stop.is_set():
            try:
                response = self._codec.decode(value, InferenceResponse)
            except DecodeError as error:
                log.warning("client.unreadable_response", error=str(error))
                return
            except RegistryUnavailable:
                time.sleep(0.2)
                continue
            self._awaited.answer(response)
            return


def request_of(
    app: str,
    inputs: Sequence[Tensor],
    *,
    deadline_ms: int = 1_000,
    conditions: Mapping[str, str] | Sequence[KeyValue] = (),
    **wishes: Any,
) -> InferenceRequest:
    """Return a request that is due `deadline_ms` from now.

    `conditions` say of the circumstances of the inputs what answers are judged by, such as
    `{"light": "night"}`: at most 8, each of at most 100 characters as `light=night`.

    `wishes` are fields of InferenceRequest: consumer, contract, priority, explain, user; a
    `request_id` makes it one with all others of that id, an `idempotency_key` with those of the
    consumer for the application that have the same; otherwise it gets an id of its own.
    """
    now = wall_ms()
    key = wishes.get("idempotency_key")
    own = stable_id("gateway", wishes.get("consumer", ""), app, key) if key else uuid.uuid4().hex
    known: dict[str, Any] = {"request_id": own, "created_at": now} | wishes
    told = spelled(conditions.items()) if isinstance(conditions, Mapping) else tuple(conditions)
    return InferenceRequest(
        app=app, inputs=tuple(inputs), deadline=now + deadline_ms, conditions=told, **known
    )

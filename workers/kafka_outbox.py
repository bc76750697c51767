"""Sends a worker's events until the broker has them, behind the door to Kafka."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message

from schemas.base import Event
from schemas.codec import Codec
from schemas.topics import key_of, topic_of
from workers import kafka
from workers.errors import HostStopped
from workers.settings import KafkaSettings
from workers.telemetry import logger

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class _Letter:
    topic: str
    key: str
    value: bytes
    offset: int | None


class Outbox:
    """An idempotent producer that gives nothing up while the process lives.

    `on_done` is told the offset of a task when its result has been acknowledged by all replicas.
    """

    def __init__(
        self, settings: KafkaSettings, codec: Codec, on_done: Callable[[int], None]
    ) -> None:
        self._producer = kafka.producer(settings, linger_ms=0)
        self._codec = codec
        self._on_done = on_done
        self._again: deque[_Letter] = deque()
        self._fatal: KafkaError | None = None

    def send(self, event: Event, offset: int | None = None) -> None:
        """Hand an event over; `offset` is that of the task whose result it is."""
        letter = _Letter(topic_of(event), key_of(event), self._codec.encode(event), offset)
        self._produce(letter)

    def poll(self) -> None:
        """Take acknowledgements, and send again what was not delivered.

        Raises HostStopped when the producer can send nothing any more.
        """
        self._producer.poll(0)
        if self._fatal is not None:
            raise HostStopped(f"results can be sent no more: {self._fatal}")
        for _ in range(len(self._again)):
            self._produce(self._again.popleft())

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is acknowledged; False when time ran out."""
        left = self._producer.flush(timeout_s)
        return left == 0 and not self._again

    def _produce(self, letter: _Letter) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                if letter.offset is not None:
                    self._on_done(letter.offset)
                return
            if error.fatal():
                self._fatal = error
            log.warning("event.undelivered", topic=letter.topic, error=str(error))
            self._again.append(letter)

        while True:
            try:
                self._producer.produce(
                    letter.topic, letter.value, key=letter.key, on_delivery=delivered
                )
            except BufferError:
                self._producer.poll(0.05)
            else:
                return

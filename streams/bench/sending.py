"""Sends events one by one and notes when: handed over, and acknowledged by the broker."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from typing_extensions import Self

from schemas.base import Event
from schemas.codec import Codec
from schemas.topics import key_of, topic_of
from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings

FLUSH_S = 30.0


@dataclass(slots=True)
class Sent:
    """When an event was handed to the producer and acknowledged (ns), and where it stands."""

    at_ns: int
    acknowledged_ns: int = 0
    partition: int = -1
    offset: int = -1


class Sender:
    """A producer whose acknowledgements are taken at once, by a thread; a context manager.

    Events wait `linger_ms` for company.
    """

    def __init__(self, settings: KafkaSettings, codec: Codec, linger_ms: int = 0) -> None:
        self._settings = settings
        self._codec = codec
        self._linger_ms = linger_ms
        self._stop = threading.Event()
        self._lost: list[str] = []

    def __enter__(self) -> Self:
        self._producer = kafka.producer(self._settings, linger_ms=self._linger_ms)
        self._thread = threading.Thread(target=self._serve, name="sender", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._producer.flush(FLUSH_S)
        self._stop.set()
        self._thread.join(5)

    def send(self, event: Event) -> Sent:
        """Hand an event over; what is returned fills up when the broker has it."""
        value = self._codec.encode(event)
        sent = Sent(time.time_ns())

        def delivered(error: Any, message: Any) -> None:
            sent.acknowledged_ns = time.time_ns()
            if error is not None:
                self._lost.append(str(error))
            else:
                sent.partition, sent.offset = message.partition(), message.offset()

        self._producer.produce(topic_of(event), value, key=key_of(event), on_delivery=delivered)
        return sent

    def flush(self) -> None:
        """Return when the broker has everything. Raises KafkaUnavailable when it has not."""
        left = self._producer.flush(FLUSH_S)
        if left or self._lost:
            why = self._lost[0] if self._lost else f"no answer within {FLUSH_S:.0f} s"
            raise KafkaUnavailable(f"Kafka at {self._settings.bootstrap} took not all: {why}")

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.02)

"""A producer that outlives a fatal error, for processes that run for long and resend by themselves.

An idempotent producer never recovers once the broker has lost track of it, as brokers that were
down may: whatever it is given afterwards is refused. This one is replaced then; what it still held
is told as not delivered, so that nobody takes silence for success.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from workers.kafka import clients as kafka
from workers.settings import KafkaSettings
from workers.telemetry import logger

SERVE_S: Final = 1.0
"""Longest time in which a broken producer tells what it gave up."""
MEET_S: Final = 1.0
"""Longest wait for a cluster before a producer is used."""
log = logger(__name__)


def meet(producer: Any, timeout_s: float = MEET_S) -> None:
    """Let a new producer find its cluster before it is given anything; no answer is no error.

    librdkafka looks for leaders once a second: what is handed over before there is a connection
    waits for the next look.
    """
    with suppress(kafka.ClientError):
        producer.list_topics(timeout=timeout_s)


class SteadyProducer:
    """Produces as confluent-kafka's Producer does; may be used from several threads.

    `extra` are librdkafka properties, dots as '_'.
    """

    def __init__(self, settings: KafkaSettings, **extra: Any) -> None:
        self._connect: Callable[[], Any] = lambda: kafka.producer(settings, **extra)
        self._producer = self._connect()
        self._lock = threading.Lock()

    def meet(self, timeout_s: float = MEET_S) -> None:
        """Find the cluster, so that the first message goes at once."""
        meet(self._producer, timeout_s)

    def produce(self, topic: str, value: bytes | None, **message: Any) -> None:
        """Hand a message over: key, partition, headers, timestamp, on_delivery as there.

        Raises BufferError when the queue is full; workers.kafka.clients.ClientError for what no
        other producer would take either.
        """
        producer = self._producer
        try:
            producer.produce(topic, value, **message)
        except kafka.ClientError as error:
            if not error.args[0].fatal():
                raise
            self._replace(producer, str(error))
            self._producer.produce(topic, value, **message)

    def poll(self, timeout_s: float) -> int:
        """Serve delivery reports; return how many."""
        return int(self._producer.poll(timeout_s))

    def flush(self, timeout_s: float) -> int:
        """Wait until all is delivered or given up; return how much is not."""
        return int(self._producer.flush(timeout_s))

    def _replace(self, broken: Any, why: str) -> None:
        with self._lock:
            if self._producer is not broken:
                return
            log.warning("producer.replaced", reason=why)
            broken.purge()
            broken.flush(SERVE_S)
            self._producer = self._connect()

"""Events to Kafka, from an event loop: a bounded number on their way, each report's awaited.

A report is taken when Kafka has all of its events (acks=all). What Kafka has not in time is given
up and its sender told, who keeps it and sends it again: so an outage loses nothing and repeats
little. Repeats are possible where an acknowledgement was lost: delivery is at least once.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message

from schemas.base import Event
from schemas.codec import Codec
from schemas.errors import ContractError
from schemas.topics import key_of, topic_of
from workers.errors import WorkerError
from workers.intake import intake_metrics as metrics
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings
from workers.telemetry import logger

POLL_S = 0.05
_Encoded = tuple[str, str, bytes]

log = logger(__name__)


class Retry(WorkerError):
    """A report cannot be taken now; `after_s` is when it may be sent again."""

    after_s = 1


class Full(Retry):
    """As many events are on their way as may be."""


class Undelivered(Retry):
    """Kafka did not take an event in time."""


class Unfit(WorkerError):
    """A report can never be taken: it has too many events, or one that is too large."""


class Sender(Protocol):
    """Takes events until Kafka has them."""

    async def send(self, events: Sequence[Event]) -> None:
        """Return when Kafka has all events; raises Full, Undelivered, Unfit."""
        ...


class _Report:
    """Counts the deliveries of one report's events, in whichever thread they are told.

    `over` is called in the event loop when all are told; `error` says what went wrong first, and
    `unfit` whether it would go wrong for ever.
    """

    def __init__(
        self, count: int, loop: asyncio.AbstractEventLoop, over: Callable[["_Report"], None]
    ) -> None:
        self.count = count
        self.error = ""
        self.fatal = ""
        self.unfit = False
        self.done: asyncio.Future[None] = loop.create_future()
        self._left = count
        self._loop = loop
        self._over = over
        self._lock = threading.Lock()

    def delivered(self, error: KafkaError | None, _: Message) -> None:
        """Note that an event is delivered, or is not and why."""
        if error is not None and error.fatal():
            self.fatal = str(error)
        self.settle(1, error)

    def settle(self, count: int, error: object = None) -> None:
        """Note that so many of the events are delivered, or are not and why."""
        if isinstance(error, KafkaError) and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self.unfit = True
        with self._lock:
            self._left -= count
            if error is not None and not self.error:
                self.error = str(error)
            over = self._left == 0
        if over:
            self._loop.call_soon_threadsafe(self._over, self)


class Delivery:
    """Sends to Kafka what is given to it within one event loop, until it is closed.

    `fatal` says why nothing can be sent any more; empty as long as it can.
    """

    def __init__(self, settings: KafkaSettings, codec: Codec, most: int, answer_s: float) -> None:
        self._codec = codec
        self._most = most
        self._producer = kafka.producer(
            settings,
            linger_ms=2,
            queue_buffering_max_messages=2 * most,
            delivery_timeout_ms=round(answer_s * 1000),
        )
        self._pending = 0
        self.fatal = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="deliveries", daemon=True)
        self._thread.start()
        metrics.PENDING.set_function(lambda: self._pending)

    @property
    def pending(self) -> int:
        """How many events are on their way."""
        return self._pending

    async def send(self, events: Sequence[Event]) -> None:
        """Return when Kafka has all events; raises Full, Undelivered, Unfit.

        Encoding asks the registry for the schema of an event that was never sent before.
        """
        if not events:
            return
        try:
            encoded = [(topic_of(e), key_of(e), self._codec.encode(e)) for e in events]
        except (ContractError, WorkerError) as error:
            raise Undelivered(str(error)) from error
        self._reserve(len(encoded))
        report = _Report(len(encoded), asyncio.get_running_loop(), self._settled)
        self._produce(encoded, report)
        await asyncio.shield(report.done)
        if report.unfit:
            raise Unfit(f"an event is larger than Kafka takes: {report.error}")
        if report.error:
            raise Undelivered(f"Kafka has not taken the events: {report.error}")

    def close(self, timeout_s: float) -> None:
        """Wait until nothing is on its way, and end."""
        self._producer.flush(timeout_s)
        self._closing.set()
        self._thread.join(timeout_s)

    def _reserve(self, count: int) -> None:
        if count > self._most:
            raise Unfit(f"{count} events at once; at most {self._most} may be on their way")
        if self._pending + count > self._most:
            raise Full(f"{self._pending} events are on their way to Kafka; try again")
        self._pending += count

    def _produce(self, encoded: Sequence[_Encoded], report: _Report) -> None:
        for number, (topic, key, value) in enumerate(encoded):
            try:
                self._producer.produce(topic, value, key=key, on_delivery=report.delivered)
            except BufferError as error:
                report.settle(len(encoded) - number, error)
                return
            except KafkaException as error:
                report.settle(len(encoded) - number, error.args[0])
                return

    def _settled(self, report: _Report) -> None:
        """Take leave of a report, in the event loop, be its sender still there or not."""
        self._pending -= report.count
        self.fatal = self.fatal or report.fatal
        report.done.set_result(None)

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_S)

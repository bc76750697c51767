"""A probe's way to Kafka: hands events over, and outlasts that broker or registry are away."""

import enum
import json
from collections.abc import Callable
from typing import Any, Protocol

from schemas.base import Event
from schemas.codec import frame, pack
from schemas.errors import ContractError
from schemas.topics import home_of, key_of
from workers.errors import WorkerError
from workers.kafka import clients as kafka
from workers.kafka.steady import SteadyProducer
from workers.registry import Registry
from workers.settings import Settings
from workers.telemetry import logger

Ids = Callable[[type[Event]], int | None]
"""From an event class to the id of its newest schema; None when it is not registered."""

log = logger(__name__)


class Producing(Protocol):
    """What a link needs of a producer; workers.kafka.steady has one."""

    def produce(self, topic: str, value: bytes, *, key: str, on_delivery: Any) -> None:
        """Take a message; raises BufferError when its queue is full."""
        ...

    def poll(self, timeout: float, /) -> int:
        """Call back for what was delivered or given up."""
        ...

    def flush(self, timeout: float, /) -> int:
        """Wait for deliveries; return how many messages are still under way."""
        ...


class Fate(enum.Enum):
    """What became of an event: with Kafka's client, to be tried again, or never to be sent."""

    SENT = 1
    LATER = 2
    REFUSED = 3


class Link:
    """Sends from one thread. `lost` is called for each message that was taken and given up.

    The producer is one that outlives its own fatal errors; `done` is called when nothing is to be
    sent any more.
    """

    def __init__(
        self,
        producer: Producing,
        ids: Ids,
        lost: Callable[[], object],
        done: Callable[[], object] = bool,
    ) -> None:
        self._producer = producer
        self._ask = ids
        self._known: dict[type[Event], int] = {}
        self._lost = lost
        self._done = done
        self._waits = False

    def send(self, event: Event) -> Fate:
        """Hand an event over."""
        try:
            body = pack(event)
        except ContractError as error:
            log.warning("probe.refused", error=str(error))
            return Fate.REFUSED
        return self.post(type(event), key_of(event), body)

    def post(self, kind: type[Event], key: str, body: bytes) -> Fate:
        """Hand over the Avro body of an event that does not go to a task topic."""
        schema_id = self._id(kind)
        if schema_id is None:
            return Fate.LATER
        topic = home_of(kind).name
        try:
            self._producer.produce(
                topic, frame(schema_id, body), key=key, on_delivery=self._delivered
            )
        except BufferError:
            self._say_waiting("Kafka does not take what is sent")
            return Fate.LATER
        except kafka.ClientError as error:
            log.warning("probe.refused", error=str(error))
            return Fate.REFUSED
        self._waits = False
        return Fate.SENT

    def poll(self) -> None:
        """Hear what became of messages that were handed over."""
        self._producer.poll(0)

    def close(self, timeout_s: float) -> int:
        """Wait for acknowledgements, and end; return how many messages have none."""
        left = int(self._producer.flush(timeout_s))
        self._done()
        return left

    def _id(self, kind: type[Event]) -> int | None:
        known = self._known.get(kind)
        if known is not None:
            return known
        try:
            found = self._ask(kind)
        except (WorkerError, ContractError) as error:
            self._say_waiting(str(error))
            return None
        if found is None:
            self._say_waiting(f"{kind.__name__} is not registered; run `weir schemas register`")
            return None
        self._known[kind] = found
        return found

    def _delivered(self, error: object, _: object) -> None:
        if error is not None:
            self._lost()
            self._say_waiting(str(error))

    def _say_waiting(self, why: str) -> None:
        """Say once that nothing can be sent, until something was."""
        if not self._waits:
            self._waits = True
            log.warning("probe.waits", error=why)


class Wire:
    """Keeps how many `bytes` librdkafka has sent to brokers so far, as compressed."""

    def __init__(self) -> None:
        self.bytes = 0

    def hear(self, statistics: str) -> None:
        """Take in its statistics, which are JSON."""
        self.bytes = int(json.loads(statistics).get("tx_bytes", 0))


def to_kafka(
    settings: Settings,
    most: int,
    lost: Callable[[], object],
    on_stats: Callable[[str], object] | None = None,
) -> Link:
    """Return a link to Kafka and the registry; at most `most` messages are under way.

    What was taken is tried for as long as the process lives: time alone loses nothing. `on_stats`
    hears librdkafka's statistics, as JSON, once a second.
    """
    try:
        producer = SteadyProducer(
            settings.kafka,
            linger_ms=20,
            on_stats=on_stats,
            queue_buffering_max_messages=most,
            compression_type="lz4",
            delivery_timeout_ms=0,
        )
    except kafka.ClientError as error:
        raise kafka.unavailable(settings.kafka, error) from error
    registry = Registry(settings.registry)
    return Link(producer, registry.id_of, lost, registry.close)

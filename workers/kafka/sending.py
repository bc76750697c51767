"""Sending with a guarantee, behind the door to Kafka: transactions, and settled deliveries.

With a transaction outputs, snapshots and offsets become visible together. Where the settings say
that what is not committed is read too, snapshots are sent when every output is acknowledged: a
broker that shows aborted records then never shows a state whose outputs are missing, so that the
guarantee sinks to at least once, not below. Elsewhere all goes out at once, which takes a third
off the time of a commit.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.topics import TASKS_PREFIX, TOPICS
from workers.errors import Aborted, Fenced, HostStopped, KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka.steady import SteadyProducer, meet
from workers.settings import KafkaSettings
from workers.telemetry import logger

CALL_S = 5.0
"""Longest single wait for a transaction call; a retriable failure repeats it."""
FENCED = (
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
)
_GONE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
)
LINGER_MS = 1
"""So long outputs of one batch wait for each other: each request to a broker has its price."""
Partition = tuple[str, int]

log = logger(__name__)


class Outgoing(NamedTuple):
    """An encoded output; partition -1 lets the key decide."""

    topic: str
    key: bytes
    value: bytes
    partition: int = -1
    headers: tuple[tuple[str, bytes], ...] = ()


class Transactions:
    """Commits outputs, snapshots and offsets in one Kafka transaction at a time.

    `stalled` is called while Kafka does not take what we send; when it returns False, waiting is
    given up and Aborted raised.
    """

    def __init__(
        self, settings: KafkaSettings, transactional_id: str, stalled: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._id = transactional_id
        self._stalled = stalled
        self._producer = kafka.transactional_producer(settings, transactional_id)
        self._expires = 0.0
        self._doubtful = False

    def recover(self) -> None:
        """Settle a transaction whose end is not known, before anything is restored.

        A call that was given up leaves the client half way: it can neither go on nor begin again.
        A new producer of the same id completes or voids what the old one left open. Raises
        Aborted while Kafka does not answer, Fenced.
        """
        if not self._doubtful:
            return
        log.warning("transaction.renewed", transactional_id=self._id)
        try:
            self._producer = kafka.transactional_producer(
                self._settings, self._id, timeout_s=CALL_S
            )
        except KafkaUnavailable as error:
            raise Aborted(str(error)) from error
        self._doubtful = False

    def commit(
        self,
        outputs: Sequence[Outgoing],
        snapshots: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        generation: Any,
    ) -> None:
        """Make everything visible together; `generation` is `Member.generation`.

        Raises Aborted when it must be done again, Fenced or HostStopped when it never can.
        """
        self._expires = time.monotonic() + self._settings.transaction_timeout_ms / 1000
        try:
            self._producer.begin_transaction()
            self._send(outputs)
            if outputs and self._settings.isolation == "read_uncommitted":
                self._insist(self._flush)
            self._send(snapshots)
            places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
            self._insist(
                lambda: self._producer.send_offsets_to_transaction(places, generation, CALL_S)
            )
            self._insist(lambda: self._producer.commit_transaction(CALL_S))
        except KafkaException as error:
            self._give_up(error)

    def _send(self, records: Iterable[Outgoing]) -> None:
        for record in records:
            try:
                _produce(self._producer, record)
            except (BufferError, KafkaException):
                self._insist(lambda record=record: _produce(self._producer, record))  # type: ignore[misc]

    def _flush(self) -> None:
        if self._producer.flush(CALL_S) > 0:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, retriable=True))  # noqa: SLF001

    def _insist(self, call: Callable[[], Any]) -> None:
        while True:
            try:
                call()
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            else:
                return
            if not self._stalled() or time.monotonic() > self._expires:
                self.abort()
                raise Aborted("gave up while Kafka did not answer")

    def _give_up(self, error: KafkaException) -> None:
        cause = error.args[0]
        if cause.code() in FENCED:
            raise Fenced(
                f"another process took over {self._id!r}, or this one stood still for longer than "
                "a transaction may last: give each process its own WEIR_HOST__SLOT, and start again"
            ) from error
        if cause.txn_requires_abort():
            self.abort()
            raise Aborted(str(cause)) from error
        raise HostStopped(f"transaction of {self._id!r} failed: {cause}") from error

    def abort(self) -> None:
        """Void an open transaction; the broker voids it by itself when it cannot be reached."""
        try:
            self._producer.abort_transaction(CALL_S)
        except KafkaException as error:
            if error.args[0].fatal():
                self._give_up(error)
            self._doubtful = True


def _produce(
    producer: Producer | SteadyProducer, record: Outgoing, on_delivery: Any = None
) -> None:
    topic, key, value, partition, headers = record
    producer.produce(
        topic,
        value,
        key=key,
        partition=partition,
        headers=list(headers) if headers else None,
        on_delivery=on_delivery,
    )


class Wave:
    """What was sent from one mark to the next; `left` of it is not acknowledged yet."""

    __slots__ = ("_failed", "left")

    def __init__(self, failed: Callable[[KafkaError, Message], None]) -> None:
        self.left = 0
        self._failed = failed

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Count what has been acknowledged, or never will be."""
        self.left -= 1
        if error is not None:
            self._failed(error, message)


class Deliveries:
    """Sends outputs at once, without a transaction.

    Offsets may be committed after `settle`, or when `mark`'s wave and all before have none left.

    What goes to topics that others named (reply topics) is sent by a producer of its own, once,
    and waited for by nobody. A task topic may be gone with its worker; whoever sent the task
    notices that no result comes.
    """

    def __init__(self, settings: KafkaSettings, stalled: Callable[[], bool]) -> None:
        self._stalled = stalled
        self._settings = settings
        self._producer = kafka.producer(settings, linger_ms=LINGER_MS)
        meet(self._producer)
        self._outside: SteadyProducer | None = None
        self._failed: KafkaError | None = None
        self._wave = Wave(self._undelivered)

    def send(self, records: Iterable[Outgoing]) -> None:
        """Hand outputs to the producer, and wait where its queue is full.

        Raises HostStopped when an earlier output was lost, Aborted when waiting is given up.
        """
        for record in records:
            if record.topic not in TOPICS and not record.topic.startswith(TASKS_PREFIX):
                self._send_outside(record)
                continue
            while not self._handed(record):
                self._producer.poll(0.05)
                if not self._stalled():
                    raise Aborted("gave up while Kafka did not answer")
        self.serve()

    def serve(self) -> None:
        """Take note of what has been acknowledged; raises HostStopped when an output was lost."""
        self._producer.poll(0)
        if self._outside is not None:
            self._outside.poll(0)
        self._check()

    def mark(self) -> Wave:
        """Return what was sent since the last mark."""
        wave, self._wave = self._wave, Wave(self._undelivered)
        return wave

    def _send_outside(self, record: Outgoing) -> None:
        if self._outside is None:
            self._outside = SteadyProducer(self._settings, linger_ms=0)
        try:
            _produce(self._outside, record, _note_undelivered)
        except (BufferError, KafkaException) as error:
            log.warning("output.undelivered", topic=record.topic, error=str(error))

    def _handed(self, record: Outgoing) -> bool:
        try:
            _produce(self._producer, record, self._wave.delivered)
        except BufferError:
            return False
        except KafkaException as error:
            raise HostStopped(f"an output could not be sent: {error.args[0]}") from error
        self._wave.left += 1
        return True

    def settle(self) -> None:
        """Return when all that was sent is acknowledged; raises as `send` does."""
        while self._producer.flush(CALL_S) > 0:
            if not self._stalled():
                raise Aborted("gave up while Kafka did not answer")
        self._check()

    def _undelivered(self, error: KafkaError, message: Message) -> None:
        if error.code() in _GONE and str(message.topic()).startswith(TASKS_PREFIX):
            _note_undelivered(error, message)
        else:
            self._failed = error

    def _check(self) -> None:
        if self._failed is not None:
            raise HostStopped(f"an output could not be delivered: {self._failed}")


def _note_undelivered(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        log.warning("output.undelivered", topic=message.topic(), error=str(error))

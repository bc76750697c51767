"""Sends a worker's events until the broker has them, behind the door to Kafka.

While the broker takes them they go straight to it. What it has not acknowledged when it is given
up, and all that comes until it is back, waits in the spool, and goes from there in order; what is
new goes behind it. `safe` events are in the spool before anybody hears of them, so that they
outlast the process too.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message

from schemas.base import Event
from schemas.codec import Codec
from schemas.errors import DecodeError, EncodeError
from schemas.topics import key_of, topic_of
from workers.clock import wall_ms
from workers.edge.errors import StoreTrouble
from workers.edge.packed import Packed
from workers.edge.spool import Entry, Lost, Spool
from workers.errors import WorkerError
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings
from workers.telemetry import logger

PATIENCE_S: Final = 5.0
"""A broker that has not acknowledged for so long is given up until it answers again."""
WINDOW: Final = 500
"""Most entries of the spool that are under way at once."""
CHUNK: Final = 50
SLICE_S: Final = 0.005
"""Longest time that a turn spends on the spool."""
PURGE_S: Final = 0.2
REFUSED: Final = "the broker refused it"
UNREADABLE: Final = "it could not be read from disk"
_FOREVER: Final = (
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_RECORD,
)
"""What no later attempt mends."""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class _Letter:
    """An event, and the offset of the task whose result it is."""

    event: Event
    offset: int | None


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is under way since a time: a letter, an entry of the spool, or what is said again."""

    since: float
    letter: _Letter | None = None
    entry: Entry | None = None


class Outbox:
    """Sends by an idempotent producer while there is one, and keeps what it cannot send.

    `on_done` is told the offset of a task when its result has been acknowledged by all replicas,
    or was counted as lost.
    """

    def __init__(
        self, settings: KafkaSettings, spool: Spool, on_done: Callable[[int], None]
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._on_done = on_done
        self._producer: Any = None
        self._codec: Codec | None = None
        self._under_way: dict[int, _Sent] = {}
        self._numbers = 0
        self._held: list[_Letter] = []
        self._offsets: dict[int, int] = {}
        self._acknowledged: list[int] = []
        self._sent_to = 0
        self._behind = len(spool) > 0
        self._broken: str | None = None
        self._heard = False

    @property
    def connected(self) -> bool:
        """Whether events are sent now."""
        return self._producer is not None

    @property
    def heard(self) -> bool:
        """Whether the broker has acknowledged anything since it was connected."""
        return self._heard

    @property
    def waiting(self) -> int:
        """Return how many events wait in the spool."""
        return len(self._spool)

    @property
    def stalled(self) -> str | None:
        """Return why the broker is to be given up; None while all is well."""
        if self._broken is not None:
            return self._broken
        first = next(iter(self._under_way.values()), None)
        if first is None or time.monotonic() - first.since < PATIENCE_S:
            return None
        return f"Kafka at {self._settings.bootstrap} acknowledged nothing for {PATIENCE_S:.0f} s"

    def connect(self, codec: Codec) -> None:
        """Send again, what waits first."""
        self._codec = codec
        self._producer = kafka.producer(self._settings, linger_ms=0)
        self._sent_to, self._behind = 0, len(self._spool) > 0
        self._broken, self._heard = None, False

    def disconnect(self) -> None:
        """Send no more; what was not acknowledged waits in the spool."""
        producer, self._producer = self._producer, None
        self._give_up()
        self.settle()
        if producer is not None:
            producer.purge()
            producer.flush(PURGE_S)

    def send(self, event: Event, offset: int | None = None, *, safe: bool = False) -> None:
        """Take an event; `settle` soon. `offset` is that of the task whose result it is."""
        letter = _Letter(event, offset)
        if safe or not self.connected or self._behind or self._held:
            self._held.append(letter)
        else:
            self._post(letter)

    def tell(self, event: Event) -> None:
        """Send what will be said again soon; it waits for nobody, and is kept by nobody."""
        if self.connected:
            self._produce(event, _Sent(time.monotonic()))

    def settle(self) -> None:
        """Have the events that must be on disk there when this returns."""
        if self._broken is not None:
            self._give_up()
        if not self._held:
            return
        held, self._held = self._held, []
        try:
            packed = [Packed.of(letter.event) for letter in held]
            numbers, gone = self._spool.append(packed, wall_ms())
        except StoreTrouble as error:
            self._unkept(held, error)
            return
        pairs = zip(numbers, held, strict=True)
        self._offsets |= {n: each.offset for n, each in pairs if each.offset is not None}
        self._behind = True
        for number in gone:
            self._end(number)
        self._pump()

    def poll(self) -> None:
        """Take acknowledgements, and send of what waits."""
        if self.connected:
            self._producer.poll(0)
        self._forget_acknowledged()
        self._pump()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is acknowledged; False when it is not in time."""
        self.settle()
        until = time.monotonic() + timeout_s
        while self.connected and self.stalled is None and time.monotonic() < until:
            self.poll()
            if not self._under_way and not self._behind:
                return True
            self._producer.flush(0.02)
        return not self._under_way and not len(self._spool)

    def untold(self) -> list[Lost]:
        """Return what was lost and nobody was told of; nothing when the disk does not answer."""
        try:
            return self._spool.lost()
        except StoreTrouble as error:
            log.warning("spool.failed", error=str(error))
            return []

    def told(self, lost: Lost) -> None:
        """Take note that somebody was told."""
        self._attempt(lambda: self._spool.told(lost))

    def _give_up(self) -> None:
        """Wait for no acknowledgement any more; what it was of comes before what is held."""
        under_way, self._under_way = list(self._under_way.values()), {}
        self._held = [s.letter for s in under_way if s.letter is not None] + self._held

    def _post(self, letter: _Letter) -> None:
        if not self._produce(letter.event, _Sent(time.monotonic(), letter)):
            self._held.append(letter)

    def _pump(self) -> None:
        """Send entries of the spool, oldest first, for a moment."""
        until = time.monotonic() + SLICE_S
        while self.connected and self._behind and self._broken is None:
            room = WINDOW - len(self._under_way)
            if room <= 0 or time.monotonic() > until:
                return
            try:
                entries = self._spool.oldest(min(room, CHUNK), self._sent_to)
            except StoreTrouble as error:
                log.warning("spool.failed", error=str(error))
                return
            self._behind = bool(entries)
            for entry in entries:
                if not self._post_entry(entry):
                    return
                self._sent_to = entry.number

    def _post_entry(self, entry: Entry) -> bool:
        try:
            event = entry.packed.event()
        except DecodeError as error:
            log.warning("spool.unreadable", record=entry.packed.record, error=str(error))
            self._lose(entry, UNREADABLE)
            return True
        return self._produce(event, _Sent(time.monotonic(), entry=entry))

    def _produce(self, event: Event, sent: _Sent) -> bool:
        """Hand an event to the producer; False when that cannot be done now."""
        self._numbers += 1
        number = self._numbers
        if self._codec is None or self._broken is not None:
            return False
        try:
            value = self._codec.encode(event)
            self._producer.produce(
                topic_of(event),
                value,
                key=key_of(event),
                on_delivery=lambda error, _: self._delivered(number, error),
            )
        except (BufferError, EncodeError, KafkaException, WorkerError) as error:
            self._broken = f"{type(event).__name__} cannot be sent: {error}"
            return False
        self._under_way[number] = sent
        return True

    def _delivered(self, number: int, error: KafkaError | None, _: Message | None = None) -> None:
        sent = self._under_way.pop(number, None)
        if sent is None:
            return
        if error is None:
            self._heard = True
            self._done(sent)
        elif error.code() in _FOREVER:
            log.warning("event.refused", error=str(error))
            self._refused(sent)
        else:
            self._broken = str(error)
            self._under_way[number] = sent

    def _done(self, sent: _Sent) -> None:
        if sent.entry is not None:
            self._acknowledged.append(sent.entry.number)
        elif sent.letter is not None and sent.letter.offset is not None:
            self._on_done(sent.letter.offset)

    def _refused(self, sent: _Sent) -> None:
        if sent.entry is not None:
            self._lose(sent.entry, REFUSED)
        elif sent.letter is not None:
            record = type(sent.letter.event).__name__
            self._attempt(lambda: self._spool.count_lost(record, REFUSED, wall_ms()))
            self._done(sent)

    def _lose(self, entry: Entry, why: str) -> None:
        self._attempt(lambda: self._spool.lose(entry, why, wall_ms()))
        self._end(entry.number)

    def _forget_acknowledged(self) -> None:
        numbers, self._acknowledged = self._acknowledged, []
        if numbers and self._attempt(lambda: self._spool.remove(numbers)):
            for number in numbers:
                self._end(number)

    def _end(self, number: int) -> None:
        offset = self._offsets.pop(number, None)
        if offset is not None:
            self._on_done(offset)

    def _unkept(self, letters: list[_Letter], error: StoreTrouble) -> None:
        """Send what the disk does not take, if there is a broker; else it is lost, and said so.

        A task whose result is lost so is not done: it is read again by the next process.
        """
        log.warning("spool.failed", events=len(letters), error=str(error))
        for letter in letters:
            if not self._produce(letter.event, _Sent(time.monotonic(), letter)):
                log.error("event.lost", record=type(letter.event).__name__)

    def _attempt(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except StoreTrouble as error:
            log.warning("spool.failed", error=str(error))
            return False
        return True

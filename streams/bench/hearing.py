"""What the benchmarks hear of topics: every event with the moment at which a reader had it.

A reader of committed data: an event counts when whoever wants to act on it can see it, so
transactions and the way through the broker are part of every figure.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from typing_extensions import Self

from schemas.base import Event
from schemas.codec import Codec
from schemas.errors import ContractError, DecodeError
from schemas.topics import topic_named
from workers.errors import KafkaUnavailable, WorkerError
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings

END = -1
START_S = 300.0


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, where it stood, and when it was heard (ns, the system's clock)."""

    event: Event
    topic: str
    partition: int
    offset: int
    at_ns: int


class Ears:
    """Reads topics from their present ends on in a thread of its own; a context manager.

    `hear` is called there. Entering returns when all ends are known. What goes wrong later is
    raised by `check`.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        codec: Codec,
        topics: Sequence[str],
        hear: Callable[[Heard], None],
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._topics = topics
        self._hear = hear
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._error: WorkerError | ContractError | None = None

    def __enter__(self) -> Self:
        """Begin. Raises KafkaUnavailable when a topic cannot be read."""
        self._thread = threading.Thread(target=self._run, name="ears", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S) or self._error is not None:
            self._stop.set()
            raise self._error or KafkaUnavailable(
                f"Kafka at {self._settings.bootstrap}: {', '.join(self._topics)} not readable"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(10)

    def check(self) -> None:
        """Raise what ended the listening, if anything did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        reader = kafka.reader(self._settings)
        try:
            counts = kafka.partition_counts(self._settings)
            unknown = {(name, p) for name in self._topics for p in range(counts.get(name, 0))}
            kafka.assign_more(reader, dict.fromkeys(unknown, END))
            while not self._stop.is_set():
                for message in kafka.drain(reader, 500, 0.05):
                    if message.error() is None:
                        self._take(message, time.time_ns())
                    elif kafka.is_eof(message):
                        unknown.discard(kafka.place_of(message))
                if not unknown:
                    self._ready.set()
        except (WorkerError, ContractError) as error:
            self._error = error
        finally:
            self._ready.set()
            reader.close()

    def _take(self, message: kafka.RawMessage, at_ns: int) -> None:
        value = message.value()
        if value is None:
            return
        topic, partition = str(message.topic()), int(message.partition() or 0)
        try:
            event = self._codec.decode(value, *topic_named(topic).events)
        except DecodeError:
            return  # somebody's poison is no event
        self._hear(Heard(event, topic, partition, int(message.offset() or 0), at_ns))

"""The catalogue as a process follows it: compacted topics, read to their ends, then kept up.

All partitions, no consumer group, tombstones honoured. A bad entry changes nothing and is handed
to a callback, which makes it a dead letter.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from typing_extensions import Self

from schemas import checks, topics
from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.codec import Codec
from schemas.errors import ContractError, InvalidEvent
from workers.errors import KafkaUnavailable, RegistryUnavailable, WorkerError
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings
from workers.telemetry import logger

OnBad = Callable[[kafka.RawMessage, ContractError], None]
_FETCH_WAIT_MS = 200
"""Longest wait of a fetch; slower than a host's, because the catalogue changes rarely and every
process follows it: the embedded broker answers each fetch of nothing at a price."""

log = logger(__name__)


def update_of(message: kafka.RawMessage, codec: Codec) -> Update:
    """Return what one message of a compacted topic changes.

    Raises DecodeError or InvalidEvent when it is no entry that can be used.
    """
    topic = topics.topic_named(str(message.topic()))
    key = (message.key() or b"").decode("utf-8", "replace")
    place = (topic.name, int(message.partition() or 0), int(message.offset() or 0))
    value = message.value()
    if value is None:
        return Update(*place, key, None)
    event = codec.decode(value, *topic.events)
    checks.check(event, message.timestamp()[1])
    if topics.key_of(event) != key:
        field = ", ".join(topic.key)
        raise InvalidEvent(
            "key", field, f"the message key is {key!r}; it must be {topics.key_of(event)!r}"
        )
    return Update(*place, key, event)


def log_bad(message: kafka.RawMessage, error: ContractError) -> None:
    """Say in the log that an entry is unusable: what a reader does that writes no dead letters."""
    log.warning(
        "catalogue.bad_entry",
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        error=str(error),
    )


class CatalogueReader:
    """Follows the compacted topics of some event classes in a thread; a context manager."""

    def __init__(
        self,
        settings: KafkaSettings,
        codec: Codec,
        kinds: Iterable[type[Event]],
        on_bad: OnBad = log_bad,
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._topics = sorted({topics.home_of(kind).name for kind in kinds})
        self._on_bad = on_bad
        self._current = Catalogue()
        self._error: WorkerError | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        """Whether every partition has been read to its end once."""
        return self._ready.is_set()

    def current(self) -> Catalogue:
        """Return the catalogue as known now: an immutable value, new only when it changed.

        Raises WorkerError when following it has failed.
        """
        if self._error is not None:
            raise self._error
        return self._current

    def begin(self) -> None:
        """Begin to follow in the background."""
        if not self._topics:
            self._ready.set()
            return
        self._thread = threading.Thread(target=self._run, name="catalogue", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float = 60.0) -> None:
        """Return when every partition has been read to its end once.

        Raises KafkaUnavailable or RegistryUnavailable when that does not happen in time.
        """
        if not self._ready.wait(timeout_s):
            raise KafkaUnavailable(
                f"Kafka at {self._settings.bootstrap}: "
                f"the catalogue was not read to its end within {timeout_s:.0f} s"
            )
        self.current()

    def start(self, timeout_s: float = 60.0) -> Self:
        """Begin to follow, and return when the ends have been reached; raises as `wait`."""
        self.begin()
        try:
            self.wait(timeout_s)
        except WorkerError:
            self._stopping.set()
            raise
        return self

    def stop(self) -> None:
        """Stop following; `current` keeps its last value."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        wait = max(self._settings.fetch_wait_ms, _FETCH_WAIT_MS)
        client = kafka.reader(self._settings, fetch_wait_max_ms=wait)
        try:
            open_ends = kafka.assign_all(client, self._settings, self._topics)
            while not self._stopping.is_set():
                messages = kafka.drain(client, 5000, 0.1)
                self._take([message for message in messages if message.error() is None])
                for message in messages:
                    kafka.check_alive(self._settings, message)
                    if kafka.is_eof(message):
                        open_ends.discard(kafka.place_of(message))
                if not open_ends:
                    self._ready.set()
        except WorkerError as error:
            self._error = error
            log.exception("catalogue.failed")
        finally:
            self._ready.set()
            client.close()

    def _take(self, messages: Sequence[kafka.RawMessage]) -> None:
        updates = [update for message in messages if (update := self._decode(message)) is not None]
        if updates:
            self._current = self._current.apply(updates)

    def _decode(self, message: kafka.RawMessage) -> Update | None:
        while not self._stopping.is_set():
            try:
                return update_of(message, self._codec)
            except ContractError as error:
                self._on_bad(message, error)
                return None
            except RegistryUnavailable as error:
                log.warning("catalogue.waits_for_registry", error=str(error))
                time.sleep(0.5)
        return None

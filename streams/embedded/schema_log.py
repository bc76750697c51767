"""The topic `_schemas`: where a registry's records stand, in Confluent's form."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from streams.embedded.versions import RegistryRefused, Write, content_of
from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.kafka.steady import SteadyProducer
from workers.settings import KafkaSettings

WRITE_S = 10.0
KNOWN_S = 20.0
_NEEDED = {
    "SCHEMA": (("subject", "version"), ("id", "schema")),
    "DELETE_SUBJECT": (("subject",), ("version",)),
    "CONFIG": ((), ("compatibilityLevel",)),
    "MODE": ((), ("mode",)),
}
"""Fields that the keys and values of a kind of record must have."""


class SchemaLog:
    """Reads and writes the records; made with the topic."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = kafka.REGISTRY_TOPIC.name
        kafka.create_topics(settings, [kafka.REGISTRY_TOPIC])
        self._producer = SteadyProducer(settings, linger_ms=0)

    def read(self) -> Iterator[Write]:
        """Yield all records, oldest first; what is no record of a registry is passed over.

        Raises KafkaUnavailable.
        """
        for message in self._messages():
            write = record_of(message.key(), message.value())
            if write is not None:
                yield write

    def _messages(self) -> list[kafka.RawMessage]:
        """Read the topic; what was just created may take a moment until a broker knows it."""
        deadline = time.monotonic() + KNOWN_S
        while True:
            try:
                return list(kafka_reading.read_all(self._settings, [self._topic]))
            except KafkaUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def append(self, writes: Sequence[Write]) -> None:
        """Return when the broker has the records.

        Raises RegistryRefused (50001) when it does not take them in time.
        """
        failures: list[str] = []

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failures.append(str(error))

        for write in writes:
            value = None if write.value is None else _bytes(write.value)
            self._producer.produce(self._topic, value, key=_bytes(write.key), on_delivery=delivered)
        left = self._producer.flush(WRITE_S)
        if left or failures:
            reason = failures[0] if failures else f"no answer within {WRITE_S:.0f} s"
            raise RegistryRefused(50001, f"Error in the backend data store: {reason}")


def record_of(key: bytes | None, value: bytes | None) -> Write | None:
    """Return the record in a message; None when it is of a kind that is not kept here."""
    try:
        parsed = json.loads(key or b"null")
        content = None if value is None else json.loads(value)
    except ValueError:
        return None
    return Write(parsed, content) if _is_record(parsed, content) else None


def _is_record(key: Any, value: Any) -> bool:
    if not isinstance(key, dict) or not isinstance(value, dict | None):
        return False
    needed = _NEEDED.get(key.get("keytype", ""))
    if needed is None or not all(name in key for name in needed[0]):
        return False
    return value is None or (all(name in value for name in needed[1]) and _is_usable(value))


def _is_usable(value: dict[str, Any]) -> bool:
    try:
        content_of(value)
        return int(value.get("id", 0)) >= 0 and int(value.get("version", 0)) >= 0
    except (RegistryRefused, TypeError, ValueError):
        return False


def _bytes(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()

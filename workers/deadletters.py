"""Messages that cannot be processed: as events, and within limits."""

import hashlib
from collections import deque
from dataclasses import dataclass

from schemas.decisions import DeadLetter
from schemas.errors import ContractError, DecodeError, InvalidEvent
from schemas.identity import stable_id
from workers.errors import TooManyBad
from workers.kafka.clients import RawMessage

KEPT_BYTES = 65_536
WINDOW = 1_000


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that was refused: where it stood, and its bytes; `timestamp` in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @classmethod
    def of(cls, message: RawMessage) -> "Refused":
        """Take it from a message of a Kafka client."""
        return cls(
            topic=str(message.topic()),
            partition=int(message.partition() or 0),
            offset=int(message.offset() or 0),
            timestamp=message.timestamp()[1],
            key=message.key(),
            value=message.value(),
        )


def dead_letter(
    refused: Refused, error: ContractError, *, processor: str, now_ms: int, cluster: str = ""
) -> DeadLetter:
    """Return the event that says what stood where and why it was refused.

    The first 64 kB of the value are kept. Its id depends on the place alone, so that several
    processors that refuse one message name the same dead letter.
    """
    payload = refused.value or b""
    known = isinstance(error, DecodeError | InvalidEvent)
    return DeadLetter(
        event_id=stable_id("deadletter", cluster, refused.topic, refused.partition, refused.offset),
        topic=refused.topic,
        partition=refused.partition,
        offset=refused.offset,
        timestamp=max(refused.timestamp, 0),
        key=refused.key,
        payload=payload[:KEPT_BYTES],
        length=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        error=error.kind if known else type(error).__name__,  # type: ignore[attr-defined]
        field=error.field if known else "",  # type: ignore[attr-defined]
        message=str(error),
        processor=processor,
        detected_at=now_ms,
    )


class BadShare:
    """The share of bad messages among the last 1,000; a guard against dead-lettering everything.

    A producer that breaks its contract, or a wrong deployment here, must stop the host before
    whole topics are thrown away.
    """

    def __init__(self, limit: float, processor: str) -> None:
        self._most = limit * WINDOW
        self._limit = limit
        self._processor = processor
        self._runs: deque[tuple[int, int]] = deque()
        self._bad = 0
        self._all = 0

    def count(self, messages: int, bad: int) -> None:
        """Take a batch into account.

        Raises TooManyBad when too many of the last 1,000 messages (whole batches) were bad.
        """
        self._runs.append((messages, bad))
        self._all += messages
        self._bad += bad
        while self._runs and self._all - self._runs[0][0] >= WINDOW:
            old, old_bad = self._runs.popleft()
            self._all -= old
            self._bad -= old_bad
        if self._bad > self._most and self._bad > self._limit * self._all:
            raise TooManyBad(
                f"{self._processor}: {self._bad} of the last {self._all} messages were bad, more "
                f"than the share of {self._limit:.0%} that is tolerated; see weir.deadletters, "
                "mend the producer, then start again"
            )

"""A state made anew from the log: a processor applies what it once applied, and nobody hears it.

Records are merged by their timestamps, which stand for the host's clock; timers fire where nothing
came. The catalogue is the present one.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence

from schemas.catalogue import Catalogue
from schemas.processing import Partition
from workers.hosting.state import Instance
from workers.kafka import reading as kafka_reading
from workers.kafka.clients import RawMessage
from workers.settings import KafkaSettings

AT_ONCE = 5_000
PAUSE_MS = 200
"""A pause in the log that a timer may have noticed: what comes after it is another batch."""
MOST_TIMERS = 10_000


def replay(
    instance: Instance,
    ends: Mapping[Partition, int],
    settings: KafkaSettings,
    catalogue: Catalogue,
) -> int:
    """Let a fresh instance apply all that the log holds before `ends`; outputs are dropped.

    Returns how many messages that were. Raises KafkaUnavailable, RegistryUnavailable.
    """
    applied = 0
    instance.begin(None, dict.fromkeys(ends, 0))
    merged = heapq.merge(
        *(_stream(settings, place, end) for place, end in sorted(ends.items())),
        key=lambda message: message.timestamp()[1],
    )
    now_ms: int | None = None
    for batch in _batches(merged):
        first, last = batch[0].timestamp()[1], batch[-1].timestamp()[1]
        if now_ms is not None:
            _pass_time(instance, now_ms, first, catalogue)
        now_ms = max(last, now_ms or 0)
        applied += instance.apply(batch, now_ms, catalogue).messages
    instance.positions |= ends
    return applied


def _stream(settings: KafkaSettings, place: Partition, end: int) -> Iterator[RawMessage]:
    if end <= 0:
        return
    for messages in kafka_reading.read_ranges(settings, {place: (0, end)}):
        yield from messages


def _batches(messages: Iterator[RawMessage]) -> Iterator[Sequence[RawMessage]]:
    """Cut at pauses, so that timers find the silence that they found then."""
    batch: list[RawMessage] = []
    for message in messages:
        if batch:
            pause = message.timestamp()[1] - batch[-1].timestamp()[1]
            if pause > PAUSE_MS or len(batch) >= AT_ONCE:
                yield batch
                batch = []
        batch.append(message)
    if batch:
        yield batch


def _pass_time(instance: Instance, since_ms: int, until_ms: int, catalogue: Catalogue) -> None:
    """Fire the timers that were due between two batches; after too many, the last alone."""
    for _ in range(MOST_TIMERS):
        due = instance.wake_at()
        if due is None or due > until_ms:
            return
        instance.wake(max(due, since_ms), catalogue)
        if instance.wake_at() == due:
            return
    instance.wake(until_ms, catalogue)

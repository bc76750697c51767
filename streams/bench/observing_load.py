"""What `weir bench observe` puts on weir.metrics: metrics of so many series, in ticks.

A tick is one event of each series, all with one event time; ticks follow each other at the rate
of a series. So any first part of a partition tells how many events of which windows it holds.
Eight fields of an event have a value: stage is empty and there is no request id.
"""

import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas import codec
from schemas.observing import MetricReport
from schemas.partitioning import partition_of
from schemas.topics import PARTITIONS, key_of

RATE = 100
"""Events a second of each series: a window of a second has so many."""
SECOND_MS = 1_000
_VALUES = 10_007
"""Different values, in turn; a prime, so that series do not share them."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is produced; `timestamp` is the event time, ms since the epoch."""

    partition: int
    key: bytes
    value: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Load:
    """So many ticks of so many series from an instant on, which is the start of a second."""

    series: int
    ticks: int
    start_ms: int
    rate: int = RATE

    @property
    def events(self) -> int:
        """How many events there are in all."""
        return self.series * self.ticks

    @property
    def span_ms(self) -> int:
        """From the first event time to the end of the last tick."""
        return self.ticks * SECOND_MS // self.rate

    def report(self, number: int, tick: int) -> MetricReport:
        """Return the event of a series in a tick."""
        return MetricReport(
            event_time=self.start_ms + tick * SECOND_MS // self.rate,
            app=f"app-{number % 10}",
            service=f"service-{number % 50}",
            instance=f"instance-{number}",
            node=f"node-{number % 20}",
            metric="latency",
            value=_VALUE_OF[(number + tick * self.series) % _VALUES],
            unit="ms",
        )

    def messages(self, schema_id: int) -> Iterator[Message]:
        """Yield all messages, tick by tick, series by series."""
        ready = [self._prepared(number, schema_id) for number in range(self.series)]
        at = 0
        for tick in range(self.ticks):
            time_ms = self.start_ms + tick * SECOND_MS // self.rate
            moment = _varint(time_ms)
            for partition, key, head, body, tail in ready:
                value = b"".join((head, moment, body, _PACKED[at], tail))
                yield Message(partition, key, value, time_ms)
                at = at + 1 if at + 1 < _VALUES else 0

    def _prepared(self, number: int, schema_id: int) -> tuple[int, bytes, bytes, bytes, bytes]:
        """Return partition, key, and what stands before event time, value, and after it."""
        report = self.report(number, 0)
        packed = codec.frame(schema_id, codec.pack(report))
        moment, value = _varint(report.event_time), struct.pack("<d", report.value)
        head, _, rest = packed.partition(moment)
        body, _, tail = rest.rpartition(value)
        key = key_of(report)
        return partition_of(key, PARTITIONS), key.encode(), head, body, tail

    def shares(self) -> dict[int, int]:
        """Return how many series each partition has."""
        found = dict.fromkeys(range(PARTITIONS), 0)
        for number in range(self.series):
            found[partition_of(key_of(self.report(number, 0)), PARTITIONS)] += 1
        return found

    def first(self, ticks: int) -> dict[int, int]:
        """Return how many messages of each partition the first ticks are."""
        return {partition: count * ticks for partition, count in self.shares().items()}

    def closed(self, positions: Mapping[int, int], size_ms: int) -> int:
        """Return how many events stand in windows that a later event of their series has closed.

        `positions` is how many messages of each partition were read.
        """
        each = size_ms * self.rate // SECOND_MS
        shares = self.shares()
        return sum(
            each * sum(max(0, seen - 1) // each for seen in _seen(read, shares[partition]))
            for partition, read in positions.items()
        )


def _seen(read: int, series: int) -> Sequence[int]:
    """Return how many events of each series of a partition its first messages hold."""
    whole, more = divmod(read, series) if series else (0, 0)
    return [whole + (place < more) for place in range(series)]


def _varint(number: int) -> bytes:
    """Return a long as Avro writes it: zigzag, seven bits a byte, the lowest first."""
    left, found = number << 1, bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


def _values() -> list[float]:
    chance = random.Random(1)  # noqa: S311 - values to measure with, no secrets
    return [chance.gauss(20.0, 4.0) for _ in range(_VALUES)]


_VALUE_OF = _values()
_PACKED = [struct.pack("<d", value) for value in _VALUE_OF]


def load(series: int, events: int, now_ms: int, rate: int = RATE) -> Load:
    """Return so many events, whole seconds of them and one at least, that end before now.

    Event times in the future would be refused, and what is days old would be deleted.
    """
    seconds = max(1, round(events / (series * rate)))
    start = (now_ms // (10 * SECOND_MS) - 1) * 10 * SECOND_MS - seconds * SECOND_MS
    start -= start % (10 * SECOND_MS)
    return Load(series, seconds * rate, start, rate)

"""Bytewax: a fold over tumbling event-time windows per series, one worker.

Chosen in its favour: a source of our own on its input API, which hands on whole batches of
messages and makes no object of eight fields of each as its KafkaSource does; decoding in
`flat_map_batch`, without a call of the dataflow per event; `ordered=False`; a clock that knows
event time alone, so that a slow run makes nothing late; no recovery store. Windows that are open
at the end close with the input and are part of the time.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import windowing
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from stopwatch import FETCHING, Stopwatch, Task, decoder, task

BATCH = 5_000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
Sums = list[float]
"""Count, sum, least and greatest of a window."""


class Share(StatefulSourcePartition):  # type: ignore[misc]  # Bytewax is not installed here
    """One partition, up to the number of events that is asked of it."""

    def __init__(self, asked: Task, partition: int, watch: Stopwatch) -> None:
        self._left = asked.shares[partition]
        self._watch = watch
        self._consumer = Consumer(
            {"bootstrap.servers": asked.bootstrap, "group.id": asked.group}
            | {"enable.auto.commit": False, **FETCHING}
        )
        self._consumer.assign([TopicPartition(asked.topic, partition, OFFSET_BEGINNING)])

    def next_batch(self) -> list[tuple[bytes, bytes]]:
        """Return keys and values."""
        if self._left == 0:
            raise StopIteration
        found = self._consumer.consume(min(BATCH, self._left), 0.001)
        batch = [(m.key() or b"", m.value() or b"") for m in found if m.error() is None]
        if batch:
            self._watch.begin()
        self._left -= len(batch)
        return batch

    def snapshot(self) -> None:
        """Return nothing: there is no recovery store."""


class Source(FixedPartitionedSource):  # type: ignore[misc]  # Bytewax is not installed here
    """The partitions of the topic."""

    def __init__(self, asked: Task, watch: Stopwatch) -> None:
        self._asked = asked
        self._watch = watch

    def list_parts(self) -> list[str]:
        """Return the partitions' numbers."""
        return [str(partition) for partition in self._asked.shares]

    def build_part(self, _: str, for_part: str, __: None) -> Share:
        """Return the reader of one partition."""
        return Share(self._asked, int(for_part), self._watch)


class Total(DynamicSink):  # type: ignore[misc]  # Bytewax is not installed here
    """Adds up the counts of closed windows."""

    def __init__(self) -> None:
        self.counted = 0
        self.windows = 0

    def build(self, _: str, __: int, ___: int) -> "Adding":
        """Return the sink of the one worker."""
        return Adding(self)


class Adding(StatelessSinkPartition):  # type: ignore[misc]  # Bytewax is not installed here
    """The sink of one worker."""

    def __init__(self, total: Total) -> None:
        self._total = total

    def write_batch(self, items: list[tuple[str, tuple[int, Sums]]]) -> None:
        """Take closed windows, their mean computed."""
        for _, (_, (count, total, _, _)) in items:
            if count and total / count > float("-inf"):
                self._total.counted += int(count)
                self._total.windows += 1


def fold(sums: Sums, item: tuple[datetime, float]) -> Sums:
    """Put an event into its window."""
    value = item[1]
    sums[0] += 1
    sums[1] += value
    sums[2] = min(sums[2], value)
    sums[3] = max(sums[3], value)
    return sums


def merge(one: Sums, other: Sums) -> Sums:
    """Return two windows as one."""
    return [one[0] + other[0], one[1] + other[1], min(one[2], other[2]), max(one[3], other[3])]


def batches(decode: Callable[[bytes], Any]) -> Callable[[list[Any]], Iterable[Any]]:
    """Return the function from messages to series, event time and value."""
    milli = timedelta(milliseconds=1)

    def decoded(batch: list[tuple[bytes, bytes]]) -> Iterable[Any]:
        found = []
        for key, value in batch:
            record = decode(value)
            found.append((key.decode(), (EPOCH + milli * record["event_time"], record["value"])))
        return found

    return decoded


def flow(asked: Task, watch: Stopwatch, total: Total) -> Dataflow:
    """Return the dataflow."""
    made = Dataflow("bench")
    messages = op.input("read", made, Source(asked, watch))
    keyed = op.flat_map_batch("decode", messages, batches(decoder(asked.schema)))
    clock = windowing.EventClock(
        ts_getter=lambda item: item[0],
        wait_for_system_duration=timedelta(0),
        now_getter=lambda: EPOCH,
        to_system_utc=lambda _: None,
    )
    windower = windowing.TumblingWindower(
        length=timedelta(milliseconds=asked.size_ms), align_to=EPOCH
    )
    folded = windowing.fold_window(
        "fold",
        keyed,
        clock,
        windower,
        lambda: [0, 0.0, float("inf"), float("-inf")],
        fold,
        merge,
        ordered=False,
    )
    op.output("add", folded.down, total)
    return made


def main() -> None:
    """Fold the events and tell how long it took."""
    asked, watch, total = task(), Stopwatch(), Total()
    run_main(flow(asked, watch, total))
    watch.end()
    told = ("bytewax", "confluent-kafka", "fastavro")
    watch.tell(asked.events, total.counted, *told, windows=total.windows)


if __name__ == "__main__":
    main()

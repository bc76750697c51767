"""Quix Streams: a reduction over tumbling windows per series: count, sum, least and greatest.

Chosen in its favour: one reduce function instead of four aggregations, no changelog topics,
at-least-once, a commit each five seconds (its default), final results alone, closed by the newest
time of their own key, state in a folder that is thrown away (it keeps state in RocksDB, and offers
no other store), warnings only.

Windows that are open at the end stay open: the counts of the closed ones are held against what
the offsets reached say that must have closed.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from quixstreams import Application
from quixstreams.models import Deserializer
from stopwatch import FETCHING, Stopwatch, decoder, task


class Avro(Deserializer):  # type: ignore[misc]  # Quix Streams is not installed here
    """Decodes Confluent-framed values by fastavro; the first one starts the watch."""

    def __init__(self, schema: Any, watch: Stopwatch) -> None:
        super().__init__()
        self._decode = decoder(schema)
        self._watch = watch

    def __call__(self, value: bytes, ctx: Any) -> Any:  # noqa: ARG002 - given by this name
        """Return the record."""
        if not self._watch.begun:
            self._watch.begin()
        return self._decode(value)


def event_time(value: Any, _: Any, __: int, ___: Any) -> int:
    """Return the event time, ms since the epoch."""
    return int(value["event_time"])


def begin(record: Any) -> list[float]:
    """Return count, sum, least and greatest of a window's first event."""
    value = record["value"]
    return [1, value, value, value]


def fold(sums: list[float], record: Any) -> list[float]:
    """Put an event into its window."""
    value = record["value"]
    sums[0] += 1
    sums[1] += value
    if value < sums[2]:  # noqa: PLR1730 - quicker than min()
        sums[2] = value
    if value > sums[3]:  # noqa: PLR1730 - quicker than max()
        sums[3] = value
    return sums


class Reading:
    """What was read so far; calls `ended` after the last event."""

    def __init__(self, events: int, watch: Stopwatch) -> None:
        self.ended: Callable[[], None] = lambda: None
        self._events = events
        self._watch = watch
        self.seen = 0
        self.counted = 0
        self.windows = 0
        self.positions: dict[int, int] = {}

    def processed(self, _: str, partition: int, offset: int) -> None:
        """Note a message that is done with."""
        self.seen += 1
        if self.seen == self._events:
            self._watch.end()
            self.ended()
        if self.seen <= self._events:
            self.positions[partition] = offset + 1

    def close(self, window: Any) -> None:
        """Take a closed window, its mean computed."""
        count, total, _, _ = window["value"]
        if self.seen < self._events and total / count > float("-inf"):
            self.counted += count
            self.windows += 1


def main() -> None:
    """Aggregate the events and tell how long it took."""
    asked, watch = task(), Stopwatch()
    reading = Reading(asked.events, watch)
    app = Application(
        broker_address=asked.bootstrap,
        consumer_group=asked.group,
        auto_offset_reset="earliest",
        consumer_extra_config=dict(FETCHING),
        loglevel="WARNING",
        use_changelog_topics=False,
        auto_create_topics=False,
        state_dir=asked.folder,
        on_message_processed=reading.processed,
    )
    reading.ended = app.stop
    topic = app.topic(
        asked.topic,
        key_deserializer="str",
        value_deserializer=Avro(asked.schema, watch),
        timestamp_extractor=event_time,
    )
    frame = app.dataframe(topic)
    window = frame.tumbling_window(timedelta(milliseconds=asked.size_ms), grace_ms=0)
    window.reduce(fold, begin).final().update(reading.close)
    app.run()
    told = ("quixstreams", "confluent-kafka", "fastavro")
    more = {"windows": reading.windows, "positions": reading.positions}
    watch.tell(asked.events, reading.counted, *told, **more)


if __name__ == "__main__":
    main()

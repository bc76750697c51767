"""Faust: an agent that keeps count, sum, least and greatest in a tumbling table.

Chosen in its favour: the table in memory, its changelog not sent, windows that never expire, no
web server, no monitor, no checksums, warnings only, large fetches and buffers; its Cython streams
where the wheel has them. The table, which then has all windows, is read once, at the end.
"""

import asyncio
import logging
from typing import Any

import faust
from faust.serializers import codecs
from stopwatch import Stopwatch, Task, decoder, task

NOTHING = (0, 0.0, float("inf"), float("-inf"))


class Avro(codecs.Codec):
    """Decodes Confluent-framed values by fastavro."""

    def __init__(self, schema: Any) -> None:
        super().__init__(schema=schema)
        self._decode = decoder(schema)

    def _loads(self, s: bytes) -> Any:
        return self._decode(s)

    def _dumps(self, s: Any) -> bytes:
        raise NotImplementedError("nothing is sent")


class Unlogged(faust.Table):  # type: ignore[type-arg]  # a class by itself cannot be subscripted
    """A table whose changes are neither sent to its changelog nor noted for expiry."""

    def on_key_set(self, key: Any, value: Any) -> None:
        """Do nothing with a change."""


def application(asked: Task) -> faust.App:
    """Return the application."""
    return faust.App(
        asked.group,
        broker=f"kafka://{asked.bootstrap}",
        store="memory://",
        datadir=asked.folder,
        web_enabled=False,
        broker_check_crcs=False,
        broker_commit_every=100_000,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=16 * 1_048_576,
        broker_max_poll_records=5_000,
        stream_buffer_maxsize=50_000,
        stream_wait_empty=False,
        topic_disable_leader=True,
        stream_recovery_delay=0.0,
    )


def build(app: faust.App, asked: Task, watch: Stopwatch, done: asyncio.Event) -> Any:
    """Give the application its agent, and return its table."""
    codecs.register("metrics", Avro(asked.schema))
    topic = app.topic(asked.topic, key_type=bytes, value_type=bytes, value_serializer="metrics")
    table: Any = Unlogged(
        app, name="windows", default=lambda: NOTHING, partitions=len(asked.shares)
    )
    app.tables.add(table)
    size_s = asked.size_ms / 1000
    windows = table.tumbling(size_s, expires=None).relative_to(
        lambda event: event.value["event_time"] / 1000
    )

    async def observe(stream: Any) -> None:
        seen = 0
        async for key, record in stream.items():
            if not seen:
                watch.begin()
            seen += 1
            value = record["value"]
            window = windows[key]
            count, total, least, most = window.value()
            windows[key] = (count + 1, total + value, min(least, value), max(most, value))
            if seen == asked.events:
                watch.end()
                done.set()
                return

    app.agent(topic)(observe)
    return table


async def run(asked: Task, watch: Stopwatch) -> Any:
    """Run the application until the events are in the table; return that."""
    done = asyncio.Event()
    app = application(asked)
    table = build(app, asked, watch, done)
    await app.start()
    await done.wait()
    found = list(table.data.items())
    await app.stop()
    return found


def main() -> None:
    """Count the events and tell how long it took."""
    logging.basicConfig(level=logging.WARNING)
    asked, watch = task(), Stopwatch()
    found = asyncio.run(run(asked, watch))
    counted = sum(count for _, (count, *_) in found)
    told = ("faust-streaming", "aiokafka", "fastavro")
    watch.tell(asked.events, counted, *told, windows=len(found))


if __name__ == "__main__":
    main()

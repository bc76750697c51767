"""The process that sends metrics: `python -m streams.bench.metric_source`, settings from WEIR_.

Rates come in by stdin, one a line, in events a second; counts go out by stdout ten times a
second, as JSON lines with `sent` and the first of `failures`. It ends with its stdin, after a
flush, with a last line whose `sent` is what the broker has acknowledged.

Events are those of 64 series of four applications, eight metrics each, latency and error among
them; event time is now. One payload a series is encoded for each tick of 10 ms and sent as often
as the rate asks: a generator should not eat the machine that it measures.
"""

import json
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from schemas.codec import Codec
from schemas.observing import MetricReport
from schemas.topics import key_of
from streams.settings import load
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.registry import Registry

TICK_S = 0.01
TOLD_S = 0.1
APP = "bench-load"
METRICS = (
    "latency",
    "queue",
    "execution",
    "confidence",
    "failure",
    "error",
    "accuracy",
    "agreement",
)
FLUSH_S = 30.0


def series(number: int) -> tuple[str, str, str]:
    """Return application, service and metric of one of the 64 series."""
    app = f"{APP}-{number % 4}"
    return app, f"{app}.{number // 32}", METRICS[number // 4 % 8]


class Source:
    """Sends at the rate that it was last told; `sent` counts what the producer took."""

    def __init__(self, producer: kafka.ProducerClient, codec: Codec) -> None:
        self._producer = producer
        self._codec = codec
        self.failures: list[str] = []
        self._series = [series(number) for number in range(64)]
        self._next = 0
        self.rate = 0.0
        self.sent = 0

    def tick(self, count: int) -> None:
        """Send so many events of now, series by series."""
        now = wall_ms()
        chosen = [(self._next + i) % len(self._series) for i in range(min(count, 64))]
        self._next = (self._next + count) % len(self._series)
        ready = [self._encoded(*self._series[number], now) for number in chosen]
        for number in range(count):
            key, value = ready[number % len(ready)]
            self._produce(key, value)
        self._producer.poll(0)

    def _encoded(self, app: str, service: str, metric: str, now: int) -> tuple[str, bytes]:
        share = metric in ("confidence", "failure", "error", "accuracy", "agreement")
        event = MetricReport(
            event_time=now,
            app=app,
            stage="serve",
            service=service,
            instance=f"{service}.a",
            node="bench",
            metric=metric,
            value=0.5 if share else 12.5,
            unit="" if share else "ms",
        )
        return key_of(event), self._codec.encode(event)

    def _produce(self, key: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce("weir.metrics", value, key, on_delivery=self._failed)
            except BufferError:
                self._producer.poll(0.01)
            else:
                self.sent += 1
                return

    def _failed(self, error: object, _: object) -> None:
        self.failures.append(str(error))

    def run(self, ended: threading.Event) -> None:
        """Send until `ended` is set, and tell how much; a rate that cannot be kept is not."""
        due, told, last = 0.0, 0.0, time.monotonic()
        while not ended.is_set():
            now = time.monotonic()
            due = min(due + (now - last) * self.rate, self.rate * 0.5 + 1)
            last = now
            if due >= 1:
                self.tick(int(due))
                due -= int(due)
            if now >= told:
                _tell({"sent": self.sent, "failures": self.failures[:1]})
                told = now + TOLD_S
            time.sleep(max(0.0, TICK_S - (time.monotonic() - now)))


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _listen(source: Source, ended: threading.Event) -> None:
    for line in sys.stdin:
        source.rate = float(line)
    ended.set()


def main(_: Sequence[str] = ()) -> int:
    """Send until stdin ends; 1 when the broker did not take everything."""
    settings = load()
    producer = kafka.producer(settings.kafka, linger_ms=5, delivery_report_only_error=True)
    registry = Registry(settings.registry)
    source = Source(producer, registry.codec())
    ended = threading.Event()
    threading.Thread(target=_listen, args=(source, ended), daemon=True).start()
    source.run(ended)
    left = producer.flush(FLUSH_S)
    registry.close()
    sent = source.sent - left - len(source.failures)
    _tell({"sent": sent, "failures": source.failures[:1]})
    return 1 if left or source.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

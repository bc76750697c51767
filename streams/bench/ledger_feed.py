"""Sends a page of the ledger at a steady rate, and notes what the broker acknowledged."""

import itertools
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.base import Event
from schemas.codec import Codec
from schemas.inference import InferenceRequest
from schemas.observing import MetricReport
from schemas.partitioning import partition_of
from schemas.topics import PARTITIONS, key_of, topic_of
from streams.bench.ledger import Ledger, Metric
from streams.bench.ledger_app import APP, SERVICE, STAGE, WINDOW_MS
from workers.client import tensors
from workers.clock import wall_ms
from workers.kafka.steady import SteadyProducer
from workers.settings import KafkaSettings

SERIES = tuple(f"m{number}" for number in range(8))
DEADLINE_MS = 10_000
STRAY = 40
"""Every so many metrics one stands in a wrong partition, as other people's producers do it.

Not where aborted transactions are seen: what is sent home has a new place and no id.
"""
TURN_S = 0.02
FLUSH_S = 20.0
_INPUT = tensors({"x": np.array([0, 5, 0], np.float32)})


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages a second."""

    metrics: float = 100.0
    requests: float = 10.0


class Feed:
    """Fills the ledger of one page from a thread of its own; `factor` multiplies the rates.

    Deliveries that fail are not repeated: the ledger knows them as sent and not acknowledged.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        codec: Codec,
        page: str,
        rates: Rates,
        *,
        exact: bool = True,
    ) -> None:
        self.page = page
        self.ledger = Ledger(WINDOW_MS, exact)
        self.factor = 1.0
        self._codec = codec
        self._rates = rates
        self._numbers = itertools.count()
        self._producer = SteadyProducer(settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feed {page}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait until everything is acknowledged or given up."""
        self._stop.set()
        self._thread.join(FLUSH_S)
        self._producer.flush(FLUSH_S)

    def round(self) -> None:
        """Send one metric of each series, whose windows take what came late before."""
        for series in SERIES:
            self.measure(series, wall_ms())
        self._producer.flush(FLUSH_S)

    def measure(self, series: str, event_time: int, *, refused: bool = False) -> None:
        """Send a metric of an event time (ms); `refused` when it must become a dead letter."""
        number = next(self._numbers)
        name = f"{self.page}/{number}"
        event = MetricReport(
            event_time=event_time,
            app=APP,
            stage=STAGE,
            service=SERVICE,
            instance=self.page,
            metric=series,
            value=float(number % 7),
            request_id=name,
        )
        if refused:
            self.ledger.refused.add(name)
        else:
            self.ledger.metrics[name] = Metric(series, event_time)
        strays = number % STRAY == 0 and not refused and self.ledger.exact
        wrong = (partition_of(key_of(event), PARTITIONS) + 1) % PARTITIONS
        self._send(name, event, wrong if strays else -1)

    def ask(self) -> None:
        """Send a request."""
        name, now = f"{self.page}/{next(self._numbers)}", wall_ms()
        self.ledger.requests.add(name)
        request = InferenceRequest(
            request_id=name, app=APP, created_at=now, deadline=now + DEADLINE_MS, inputs=_INPUT
        )
        self._send(name, request)

    def refuse(self, topic: str, value: bytes, partition: int, *, told: bool) -> None:
        """Send what nobody can use; `told` when it must become a dead letter."""
        name = f"{self.page}/{next(self._numbers)}"
        if told:
            self.ledger.refused.add(name)
        self._produce(name, topic, b"poison", value, partition)

    def _send(self, name: str, event: Event, partition: int = -1) -> None:
        value, key = self._codec.encode(event), key_of(event).encode()
        self._produce(name, topic_of(event), key, value, partition)

    def _produce(self, name: str, topic: str, key: bytes, value: bytes, partition: int) -> None:
        def delivered(error: Any, message: Any) -> None:
            if error is None:
                place = (str(message.topic()), int(message.partition()), int(message.offset()))
                self.ledger.acknowledged[name] = place

        while True:
            try:
                self._producer.produce(
                    topic, value, key=key, partition=partition, on_delivery=delivered
                )
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    def _run(self) -> None:
        """Send what is due; what a stall held up is not made up for."""
        metrics = requests = 0.0
        last = time.monotonic()
        turns = itertools.cycle(SERIES)
        while not self._stop.wait(TURN_S):
            now = time.monotonic()
            passed = min(1.0, now - last) * self.factor
            last = now
            metrics += passed * self._rates.metrics
            requests += passed * self._rates.requests
            for _ in range(int(metrics)):
                self.measure(next(turns), wall_ms())
            for _ in range(int(requests)):
                self.ask()
            metrics, requests = metrics % 1, requests % 1
            self._producer.poll(0)

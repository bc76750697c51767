"""Sends a page of the ledger at a steady rate, and notes what the broker acknowledged."""

import itertools
import threading
import time
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.base import Event
from schemas.codec import Codec
from schemas.inference import InferenceRequest
from schemas.observing import MetricReport
from schemas.partitioning import partition_of
from schemas.topics import PARTITIONS, key_of, topic_of
from streams.bench import ledger_errands as errands
from streams.bench.ledger import Ledger, Metric
from streams.bench.ledger_app import APP, SERVICE, STAGE, WINDOW_MS
from streams.bench.ledger_callers import Callers, Doors
from streams.bench.ledger_outside import subject
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
    """So many a second: messages, calls and reports over HTTP, and errands."""

    metrics: float = 100.0
    requests: float = 10.0
    calls: float = 0.0
    reports: float = 0.0
    notices: float = 0.0
    diagnoses: float = 0.0


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
        doors: Doors,
        *,
        exact: bool = True,
    ) -> None:
        self.page = page
        self.ledger = Ledger(WINDOW_MS, exact, heard=doors.outside.heard, began=wall_ms())
        self.factor = 1.0
        self._callers = Callers(self.ledger, doors)
        self._turns = itertools.cycle(SERIES)
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
        self._callers.end()
        self.ledger.ended = wall_ms()

    def missing(self, since_ms: int) -> list[str]:
        """Return which ways out of Weir have not carried anything that began since then (ms)."""
        ledger = self.ledger
        ways: dict[str, tuple[dict[str, int], Container[str]]] = {
            "calls": (ledger.calls, ledger.acknowledged),
            "reports": (ledger.reports, ledger.acknowledged),
            "notices": (ledger.notices, ledger.heard),
            "diagnoses": (ledger.diagnoses, ledger.heard),
        }
        return [
            way
            for way, (begun, done) in ways.items()
            if getattr(self._rates, way)
            and not any(at >= since_ms and name in done for name, at in list(begun.items()))
        ]

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

    def call(self) -> None:
        """Ask over HTTP."""
        self._callers.call(f"{self.page}/{next(self._numbers)}", wall_ms())

    def report(self) -> None:
        """Report a metric over HTTP."""
        name = f"{self.page}/{next(self._numbers)}"
        self._callers.report(name, self.page, Metric(next(self._turns), wall_ms()))

    def notify(self) -> None:
        """Want somebody to be told."""
        name, now = f"{self.page}/{next(self._numbers)}", wall_ms()
        self.ledger.notices[name] = now
        self._send(name, errands.notice(name, self.page, now))

    def diagnose(self) -> None:
        """Send a diagnosis."""
        number, now = next(self._numbers), wall_ms()
        name = f"{self.page}/{number}"
        self.ledger.diagnoses[name] = now
        self._send(name, errands.diagnosis(name, self.page, subject(number), now))

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
        rates = self._rates
        ways = {
            self._measure_next: rates.metrics,
            self.ask: rates.requests,
            self.call: rates.calls,
            self.report: rates.reports,
            self.notify: rates.notices,
            self.diagnose: rates.diagnoses,
        }
        due = dict.fromkeys(ways, 0.0)
        last = time.monotonic()
        while not self._stop.wait(TURN_S):
            now = time.monotonic()
            passed = min(1.0, now - last) * self.factor
            last = now
            for send, rate in ways.items():
                due[send] += passed * rate
                for _ in range(int(due[send])):
                    send()
                due[send] %= 1
            self._producer.poll(0)

    def _measure_next(self) -> None:
        self.measure(next(self._turns), wall_ms())

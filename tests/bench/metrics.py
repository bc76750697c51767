"""Metric reports to measure with: 1,000 series, ten events of each per second of event time."""

import random
from collections.abc import Iterator

from schemas import codec
from schemas.observing import MetricReport

SERIES = 1_000
START_MS = 1_700_000_000_000


def reports(count: int) -> Iterator[MetricReport]:
    """Yield reports in the order of their event times, the same on every call."""
    chance = random.Random(1)
    for number in range(count):
        series = number % SERIES
        yield MetricReport(
            event_time=START_MS + number * 1000 // (10 * SERIES),
            app=f"app-{series % 10}",
            stage="classify",
            service=f"service-{series % 50}",
            instance=f"instance-{series}",
            node=f"node-{series % 20}",
            metric="latency",
            value=chance.gauss(20.0, 4.0),
            unit="ms",
        )


def framed(count: int, schema_id: int) -> Iterator[bytes]:
    """Yield the same as message values."""
    for report in reports(count):
        yield codec.frame(schema_id, codec.pack(report))

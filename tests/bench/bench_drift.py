"""ADWIN verdicts over 1,000 series: the drift processor against River's bare update loop."""

import random
from collections.abc import Iterator

import polars as pl
from river.drift import ADWIN

from processors.drift import spec
from schemas.columns import metrics
from schemas.processing import Columns
from tests.bench.measure import Row, rate
from tests.bench.metrics import SERIES, START_MS

EVENTS = 200_000
BATCH = 5_000


def rows() -> Iterator[Row]:
    """Measure and yield the lines of the report."""
    chance = random.Random(1)
    errors = [float(chance.random() < 0.1) for _ in range(EVENTS)]
    frame = pl.DataFrame(
        {
            "event_time": [START_MS + n * 100 // SERIES for n in range(EVENTS)],
            "app": [f"app-{n % 10}" for n in range(EVENTS)],
            "stage": "classify",
            "service": [f"service-{n % SERIES}" for n in range(EVENTS)],
            "instance": "",
            "node": "",
            "metric": "error",
            "value": errors,
            "unit": "",
            "request_id": None,
            "_offset": range(EVENTS),
        },
        schema_overrides={"request_id": pl.String, "_offset": pl.Int64, "event_time": pl.Int64},
    )
    batches = [
        Columns(lean, "weir.metrics", 0, START_MS, series=series)
        for start in range(0, EVENTS, BATCH)
        for lean, series in [metrics(frame[start : start + BATCH])]
    ]

    def ours() -> int:
        processor = spec().build(0)
        for batch in batches:
            processor.process(batch)  # type: ignore[arg-type]  # a columnar processor
        return EVENTS

    def theirs() -> int:
        detectors = {key: ADWIN() for key in range(SERIES)}
        for number, value in enumerate(errors):
            detectors[number % SERIES].update(value)
        return EVENTS

    yield Row("drift, ADWIN verdicts", rate(ours, 3), "River's bare loop", rate(theirs, 3), 0.4)

"""ADWIN verdicts: the drift processor over few and many series against River's bare update loop."""

import random
from collections.abc import Iterator
from functools import partial

import polars as pl
from river.drift import ADWIN

from processors.drifting.drift import DriftParams, spec
from schemas.columns import metrics
from schemas.processing import Columns
from tests.bench.measure import Row, rate
from tests.bench.metrics import START_MS

EVENTS = 200_000
BATCH = 2_000
SERIES = (10, 1_000, 10_000)
PARAMS = DriftParams(max_series=max(SERIES))


def rows() -> Iterator[Row]:
    """Measure and yield the lines of the report.

    Both check with the same parameters, and make their detectors within what is measured.
    """
    chance = random.Random(1)
    errors = [float(chance.random() < 0.1) for _ in range(EVENTS)]
    for series in SERIES:
        given = batches(errors, series)
        ours = rate(partial(_ours, given), 3)
        theirs = rate(partial(_theirs, errors, series), 3)
        yield Row(f"drift, {series:,} series", ours, "River's bare loop", theirs, 0.4)


def batches(errors: list[float], series: int) -> list[Columns]:
    """Return errors of so many series in turn, their series numbered as decoders do it."""
    frame = pl.DataFrame(
        {
            "event_time": [START_MS + n * 100 // series for n in range(EVENTS)],
            "app": [f"app-{n % 10}" for n in range(EVENTS)],
            "stage": "classify",
            "service": [f"service-{n % series}" for n in range(EVENTS)],
            "instance": "",
            "node": "",
            "metric": "error",
            "value": errors,
            "unit": "",
            "_offset": range(EVENTS),
        },
        schema_overrides={"_offset": pl.Int64, "event_time": pl.Int64},
    )
    entries: dict[bytes, int] = {}
    made = []
    for start in range(0, EVENTS, BATCH):
        lean, named = metrics(frame[start : start + BATCH])
        found = [entries.setdefault(key, len(entries)) for key in named["_key"]]
        named = named.with_columns(pl.Series("_entry", found, dtype=pl.Int64))
        made.append(Columns(lean, "weir.metrics", 0, START_MS, series=named))
    return made


def _ours(given: list[Columns]) -> int:
    processor = spec(PARAMS).build(0)
    for batch in given:
        processor.process(batch)  # type: ignore[arg-type]  # a columnar processor
    return EVENTS


def _theirs(errors: list[float], series: int) -> int:
    detectors = [
        ADWIN(delta=PARAMS.delta, clock=PARAMS.clock, grace_period=PARAMS.grace)
        for _ in range(series)
    ]
    for number, value in enumerate(errors):
        detectors[number % series].update(value)
    return EVENTS

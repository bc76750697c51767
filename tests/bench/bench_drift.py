"""ADWIN verdicts: the drift processor over few and many series against River's bare update loop."""

import random
from collections.abc import Iterator
from functools import partial

import numpy as np
from river.drift import ADWIN

from processors.drifting.drift import DriftParams, spec
from schemas.processing import Columns
from streams.bench.quality_drift import batches
from tests.bench.measure import Row, rate

EVENTS = 200_000
SERIES = (10, 1_000, 10_000)
PARAMS = DriftParams(max_series=max(SERIES))


def rows() -> Iterator[Row]:
    """Measure and yield the lines of the report.

    Both check with the same parameters, and make their detectors within what is measured.
    """
    chance = random.Random(1)
    errors = [float(chance.random() < 0.1) for _ in range(EVENTS)]
    for series in SERIES:
        given = batches(np.array(errors), series)
        ours = rate(partial(_ours, given), 3)
        theirs = rate(partial(_theirs, errors, series), 3)
        yield Row(f"drift, {series:,} series", ours, "River's bare loop", theirs, 0.4)


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

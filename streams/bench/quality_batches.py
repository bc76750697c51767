"""Windows of many series to measure tiers of quality with: as columns, and as events."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.catalogue import Catalogue
from schemas.columns import frame_of
from schemas.observing import Observation
from schemas.processing import Columns

STEP_MS = 1_000
_EACH = 10
"""Windows of each series in a batch."""


def batches(series: int, windows: int, known: Catalogue) -> Iterator[Columns]:
    """Yield the windows of all series, ten of each at once."""
    base = frame_of(Observation, [_window(0, number, 10.0) for number in range(series)])
    values = _values(series, windows)
    for first in range(0, windows, _EACH):
        last = min(first + _EACH, windows)
        frame = pl.concat([_later(base, at, values[at]) for at in range(first, last)])
        yield Columns(frame, "weir.observations", 0, STEP_MS * first, known)


def _later(base: pl.DataFrame, at: int, values: npt.NDArray[np.float64]) -> pl.DataFrame:
    """Return the windows of all series that end a number of steps later, with other values."""
    moved = pl.Series("mean", values) - base["mean"]
    statistics = ("min", "max", "mean", "p50", "p90", "p95", "p99")
    return base.with_columns(
        pl.col("window_start", "window_end") + at * STEP_MS,
        *(pl.col(name) + moved for name in statistics),
        pl.col("event_id") + f" {at}",
    )


def observed(series: int, windows: int) -> Iterator[Observation]:
    """Yield the windows of all series, those that end together after each other."""
    for at, row in enumerate(_values(series, windows).tolist()):
        yield from (_window(at, number, value) for number, value in enumerate(row))


def _values(series: int, windows: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(10.0, 1.0, (windows, series))


def _window(at: int, number: int, value: float) -> Observation:
    return Observation(
        event_id=f"{number:016x}{at:016x}",
        app="bench",
        stage="",
        service=f"service {number}",
        instance="",
        node="",
        metric="latency",
        unit="ms",
        window="default",
        window_start=1 + at * STEP_MS,
        window_end=1 + (at + 1) * STEP_MS,
        count=20,
        mean=value,
        std=0.5,
        min=value - 1.0,
        max=value + 1.0,
        p50=value,
        p90=value + 0.4,
        p95=value + 0.6,
        p99=value + 0.8,
        late_count=0,
        emitted_at=0,
    )

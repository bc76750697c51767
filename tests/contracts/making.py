"""Observations for scenarios and tests, with what does not matter filled in."""

from collections.abc import Sequence

import polars as pl

from schemas.catalogue import Catalogue
from schemas.columns import frame_of
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.processing import Columns, Record
from schemas.topics import topic_of

START = 1_700_000_000_000


def observation(
    value: float,
    end_ms: int,
    *,
    app: str = "digits",
    stage: str = "",
    service: str = "",
    node: str = "",
    metric: str = "accuracy",
    count: int = 20,
    size_ms: int = 1_000,
) -> Observation:
    """Return the observation of a window that ends `end_ms` after START, all events alike."""
    start = START + end_ms - size_ms
    return Observation(
        event_id=stable_id("test", app, stage, service, metric, start, str(value)),
        app=app,
        stage=stage,
        service=service,
        instance="",
        node=node,
        metric=metric,
        unit="",
        window="default",
        window_start=start,
        window_end=start + size_ms,
        count=count,
        mean=value,
        std=0.0,
        min=value,
        max=value,
        p50=value,
        p90=value,
        p95=value,
        p99=value,
        late_count=0,
        emitted_at=start + size_ms,
    )


def records(events: list[Observation], first: int = 0) -> tuple[Record, ...]:
    """Return events as they stand in partition 0 of their topic, from an offset on."""
    return tuple(
        Record(event, topic_of(event), 0, first + number, event.emitted_at)
        for number, event in enumerate(events)
    )


def columns(
    events: Sequence[Observation], now_ms: int, catalogue: Catalogue, first: int = 0
) -> Columns:
    """Return events as columns, as they stand in partition 0 of their topic, from an offset on."""
    offsets = pl.Series("_offset", range(first, first + len(events)), dtype=pl.Int64)
    frame = frame_of(Observation, events).with_columns(offsets)
    return Columns(frame, "weir.observations", 0, now_ms, catalogue)

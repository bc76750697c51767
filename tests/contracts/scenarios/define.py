"""Define: rows of three partitions as observe tells them, late ones too, and definitions."""

import random
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from processors.defining.define import DefineParams, spec
from processors.defining.plugins import Plugin
from processors.observing.observe import Observe, ObserveParams
from schemas.catalogue import Catalogue
from schemas.closed import WindowsClosed
from schemas.columns import metrics
from schemas.processing import Batch, Columns, Record
from schemas.registrations import MetricDefined, WindowDefined
from streams.plugins.attempts import attempted

START = 1_700_000_000_000
OBSERVED = ObserveParams(size_ms=1_000, allowed_lateness_ms=200, forget_ms=60_000)


def spread(rows: pl.DataFrame) -> float:
    low, high = rows["value"].min(), rows["value"].max()
    assert isinstance(low, float)
    assert isinstance(high, float)
    return high - low


def fails(rows: pl.DataFrame) -> float:
    raise ZeroDivisionError("as it was told to")


PLUGINS = {
    "spread": Plugin("spread", "1", spread),
    "fails": Plugin("fails", "1", partial(attempted, fails)),
}
SPEC = spec(DefineParams(sources=3, wait_ms=1_500, silent_ms=4_000, keep_ms=6_000), PLUGINS)


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    observers = [Observe(OBSERVED) for _ in range(3)]
    offsets = [100, 200, 300]
    now, offset = START, 0
    made: list[Batch | Columns] = []
    for number in range(8):
        now += dice.choice((50, 300, 900, 2_500))
        catalogue = catalogue_of(number)
        events: list[WindowsClosed] = []
        for partition, observer in enumerate(observers):
            rows = [_row(dice, partition, now) for _ in range(dice.choice((0, 3, 9)))]
            if rows:
                events += closed(observer, rows, offsets[partition], partition, now, catalogue)
                offsets[partition] += len(rows)
        records = []
        for event in events:
            records.append(Record(event, "weir.closed", 0, offset, now))
            offset += 1
        if records:
            made.append(Batch(tuple(records), now, catalogue))
    return made


def closed(
    observer: Observe,
    rows: list[dict[str, Any]],
    first: int,
    partition: int,
    now: int,
    catalogue: Catalogue,
) -> list[WindowsClosed]:
    """Return the rows of windows that an observer tells when it is given rows."""
    frame = pl.DataFrame(rows, schema_overrides={"request_id": pl.String})
    offsets = pl.Series("_offset", range(first, first + len(rows)), dtype=pl.Int64)
    lean, series = metrics(frame.with_columns(offsets))
    batch = Columns(lean, "weir.metrics", partition, now, catalogue, series)
    return [one for one in observer.process(batch) if isinstance(one, WindowsClosed)]


def _row(dice: random.Random, partition: int, now: int) -> dict[str, Any]:
    return {
        "event_time": now - dice.randint(0, 300),
        "app": dice.choice(("shop", "gate")),
        "stage": "s1",
        "service": f"{dice.choice('ab')}{partition}",
        "instance": "",
        "node": "",
        "metric": dice.choice(("latency", "error")),
        "value": float(dice.randint(0, 3)),
        "unit": "",
        "request_id": dice.choice((None, "r1", "r2")),
    }


def defined(name: str, expression: str, **fields: Any) -> MetricDefined:
    """Return a definition whose metric has its name."""
    made = MetricDefined(
        name=name,
        metric=name,
        unit="",
        description="",
        registered_at=START,
        event_id=f"{name} {expression}",
        expression=expression,
    )
    return replace(made, **fields)


def catalogue_of(number: int) -> Catalogue:
    share = 'count(where metric == "error" and value > 0) / count(where metric == "error")'
    definitions = [
        defined("error_share", share),
        defined("busy", "rate()", app="shop", group_by=("stage", "service")),
        defined("requests", "distinct(request_id)", group_by=("metric",)),
        defined("wrong", "avg(valu)"),
        defined("spread_of", "spread(where value > 0)"),
        defined("fails_of", "fails()"),
        defined("recent", "avg(value)", window="counted"),
    ]
    if number > 3:
        definitions.append(defined("later", "max(value)"))
    counted = WindowDefined(
        name="counted",
        app="gate",
        kind="count",
        size_ms=0,
        size_events=4,
        allowed_lateness_ms=100,
        registered_at=START,
        event_id="counted",
    )
    return Catalogue(
        {
            MetricDefined: {one.name: one for one in definitions},
            WindowDefined: {"counted": counted},
        }
    )

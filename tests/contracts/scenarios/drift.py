"""Drift: error rates that jump and come back, a metric with a range, a series that falls silent."""

import random

import polars as pl

from processors.drifting.drift import DriftParams, spec
from schemas.catalogue import Catalogue
from schemas.columns import metrics
from schemas.processing import Batch, Columns
from schemas.registrations import MetricDefined

SPEC = spec(DriftParams(metrics=("error", "confidence", "load"), stale_ms=60_000))
START = 1_700_000_000_000
SERVICES = ("small", "large", "")


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    load = MetricDefined(
        name="load",
        metric="load",
        unit="%",
        low=0.0,
        high=100.0,
        description="",
        registered_at=START,
        event_id="load",
    )
    catalogue = Catalogue({MetricDefined: {"load": load}})
    made: list[Batch | Columns] = []
    at, offset = START, 40
    while offset < 3_600:
        rows = []
        for _ in range(dice.choice((1, 20, 150, 400))):
            at += 25
            rows += _rows(dice, at, offset, broken=1_200 <= offset < 2_600)
            offset += 1
        at += 90_000 if dice.random() < 0.02 else 0
        frame, series = metrics(_frame(rows, len(made)))
        made.append(Columns(frame, "weir.metrics", 0, at, catalogue, series))
    return made


def _rows(dice: random.Random, at: int, offset: int, *, broken: bool) -> list[dict[str, object]]:
    service = dice.choice(SERVICES)
    metric = dice.choice(("error", "error", "load", "latency"))
    share = 0.5 if broken and service != "large" else 0.06
    error = float(dice.random() < share)
    value = {"error": error, "load": dice.gauss(80 if broken else 40, 5)}.get(metric, 3.0)
    return [
        {
            "event_time": at - dice.randint(0, 50),
            "app": "digits",
            "stage": "classify" if service else "",
            "service": service,
            "instance": "",
            "node": "",
            "metric": metric,
            "value": value,
            "unit": "",
            "request_id": None,
            "_offset": offset,
        }
    ]


def _frame(rows: list[dict[str, object]], _number: int) -> pl.DataFrame:
    return pl.DataFrame(rows, schema_overrides={"request_id": pl.String})

"""Observe: windows of all kinds, late rows, silence, definitions that change and stop."""

import random
from dataclasses import replace
from typing import Any

import polars as pl

from processors.observing.observe import ObserveParams, spec
from schemas.catalogue import Catalogue
from schemas.columns import metrics
from schemas.processing import Batch, Columns
from schemas.registrations import WindowDefined

SPEC = spec(ObserveParams(size_ms=1_000, allowed_lateness_ms=200, hold_ms=3_000, forget_ms=4_000))
START = 1_700_000_000_000


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    now, offset = START, 100
    made: list[Batch | Columns] = []
    for number in range(14):
        now += dice.choice((50, 300, 900, 2_500))
        rows = [_row(dice, now, offset + i) for i in range(dice.choice((0, 1, 7, 60)))]
        if rows:
            offset += len(rows)
            frame, series = metrics(_frame(rows))
            batch = Columns(frame, "weir.metrics", 0, now, _catalogue(number), series)
            made.append(batch)
    return made


def _row(dice: random.Random, now: int, offset: int) -> dict[str, object]:
    late = dice.choice((0, 0, 0, 150, 1_200, 5_000))
    app = dice.choice(("shop", "gate", "rare" if dice.random() < 0.05 else "shop"))
    return {
        "event_time": now - dice.randint(0, 300) - late,
        "app": app,
        "stage": "s1",
        "service": dice.choice(("a", "b")),
        "instance": "",
        "node": "",
        "metric": dice.choice(("latency", "error")),
        "value": dice.gauss(10, 3),
        "unit": "ms",
        "request_id": None,
        "_offset": offset,
    }


def _frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema_overrides={"request_id": pl.String})


def _catalogue(number: int) -> Catalogue:
    size = 500 if number < 7 else 2_000
    definitions = [
        _window("gate", app="gate", size_ms=size),
        _window("errors", metric="error", size_ms=3_000, late="send", early_ms=700),
        _window("hop", kind="hopping", size_ms=1_500, interval_ms=400, early_ms=300),
        _window("sit", kind="session", gap_ms=400, size_ms=1_700, late="send", early_ms=500),
        _window("dozen", kind="count", size_events=12, interval_events=5, early_ms=900),
        _window("few", kind="count", size_events=3, interval_events=8, app="shop"),
        _window("last", kind="trailing", size_events=6, interval_ms=700, align_ms=50),
        _window("every", kind="trailing", size_ms=2_500, interval_events=4),
        _window("wrong", kind="rolling", size_ms=1_000),
    ]
    if number > 9:
        definitions[3] = replace(definitions[3], stopped=True)
        definitions[4] = replace(definitions[4], functions=("mean", "first"), event_id="dozen-2")
    return Catalogue({WindowDefined: {d.name: d for d in definitions}})


def _window(name: str, *, size_ms: int = 0, **fields: Any) -> WindowDefined:
    return WindowDefined(
        name=name,
        size_ms=size_ms,
        allowed_lateness_ms=100,
        registered_at=START,
        event_id=f"{name}-{size_ms}",
        **fields,
    )

"""Explain: errors that jump with and without a drift of inputs, sensors that stick, silence."""

import random
from typing import Any

from processors.shifting.explain import ExplainParams, spec
from schemas.base import Event
from schemas.observing import DriftDetected, FeatureShift, Observation
from schemas.processing import Batch, Columns, Record

SPEC = spec(ExplainParams(patience_ms=5_000, apart_ms=20_000, max_waiting=20))
START = 1_700_000_000_000
CAUSES = ("covariate", "covariate", "sensor-stuck", "sensor-unit")


def drift(metric: str, at: int, number: int, **known: Any) -> DriftDetected:
    """Return a confirmed drift to the worse unless `known` says otherwise."""
    fields: dict[str, Any] = {
        "event_id": f"{metric} {number}",
        "app": "digits",
        "stage": "classify",
        "service": "small",
        "instance": "",
        "node": "",
        "metric": metric,
        "detector": "adwin",
        "status": "confirmed",
        "kind": "sudden",
        "cause_class": "error",
        "before": 0.1,
        "after": 0.5,
        "width": 40,
        "degree": 1.0,
        "since": at - 1_000,
        "detected_at": at,
    }
    return DriftDetected(**fields | known)


def inputs(at: int, number: int, **known: Any) -> DriftDetected:
    shift = FeatureShift(
        feature="image.mean", statistic="ks", before=0.5, after=0.3, effect=0.9, p_value=1e-9
    )
    return drift("inputs", at, number, **{"features": (shift,), "cause": "covariate"} | known)


def window(at: int, number: int, metric: str = "input.mean.image", **known: Any) -> Observation:
    numbers = ("mean", "std", "min", "max", "p50", "p90", "p95", "p99")
    fields: dict[str, Any] = {
        "event_id": f"window {number}",
        "app": "digits",
        "stage": "classify",
        "service": "small",
        "instance": "small.edge",
        "node": "edge",
        "metric": metric,
        "unit": "",
        "window": "default",
        "window_start": at - 5_000,
        "window_end": at,
        "count": 9,
        "late_count": 0,
        "emitted_at": at,
        **dict.fromkeys(numbers, 0.5),
    }
    return Observation(**fields | known)


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    at, number, offsets = START, 0, {"weir.drifts": 10, "weir.observations": 30}
    while number < 250:
        records = []
        for _ in range(dice.choice((1, 3, 9))):
            event = _event(dice, at + dice.randint(0, 900), number)
            topic = "weir.observations" if isinstance(event, Observation) else "weir.drifts"
            records.append(Record(event, topic, 0, offsets[topic], at))
            offsets[topic] += 1
            number += 1
        at += dice.choice((200, 1_000, 7_000))
        made.append(Batch(tuple(records), at))
    return made


def _event(dice: random.Random, at: int, number: int) -> Event:
    where = {"app": dice.choice(("digits", "faces")), "service": dice.choice(("small", "large"))}
    kind = dice.random()
    if kind < 0.4:
        return window(at, number, dice.choice(("input.mean.image", "latency")), **where)
    if kind < 0.6:
        status = dice.choice(("warning", "confirmed", "dismissed"))
        return inputs(at, number, status=status, cause=dice.choice(CAUSES), **where)
    after = dice.choice((0.05, 0.5))
    metric = dice.choice(("error", "confidence", "accuracy.class.7", "latency"))
    where["service"] = dice.choice(("", "small"))
    return drift(metric, at, number, after=after, **where)

"""Quality: every kind of rule, silences, dependencies, nodes, absence, rules that come and go."""

import random
from dataclasses import replace

from processors.rules.quality import QualityParams, spec
from schemas.catalogue import Catalogue
from schemas.processing import Batch, Columns
from schemas.quality import BurnWindow, RuleDefined, SilenceDefined
from schemas.registrations import NodeReported
from tests.contracts.making import START, columns, observation
from tests.examples import example

SPEC = spec(QualityParams(max_judged=85, look_ms=1_500, forget_ms=12_000))
APP = "digits"
NODE = replace(example(NodeReported), node="n1", status="ready", expires_at=START + 9_000)


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    offset = 5
    for number in range(20):
        level = 0.9 if number % 10 < 4 else 0.5
        events = [
            observation(
                level + dice.uniform(-0.1, 0.1),
                1_000 * (number + 1),
                service=service,
                node="n1" if service == "a" else "",
                metric=metric,
            )
            for service in dice.sample(("a", "b", "c", "d", ""), 4)
            for metric in dice.choice((["accuracy"], ["latency"], ["accuracy", "latency"]))
        ]
        events += events[:1]
        now = START + 1_000 * (number + 1)
        made.append(columns(events, now, _catalogue(number), offset))
        offset += len(events)
    return made


def _catalogue(number: int) -> Catalogue:
    rules = [
        rule("low", metric="accuracy", operator="<", threshold=0.7, clear_threshold=0.75),
        rule("strange", metric="accuracy", operator="!=", threshold=0.0),
        rule("lower", metric="accuracy", operator="<", threshold=0.6, critical_threshold=0.45),
        rule("child", metric="accuracy", operator="<", threshold=0.62, depends_on=("low",)),
        rule("falls", kind="rate", metric="accuracy", operator="<", threshold=-0.2, span_ms=2_000),
        rule(
            "ratio",
            kind="ratio",
            metric="accuracy",
            over_metric="latency",
            over_statistic="mean",
            operator=">",
            threshold=1.0,
        ),
        rule("gone", kind="absence", metric="latency", statistic="", operator="", span_ms=2_500),
        rule("none", kind="absence", metric="x", statistic="", operator="", span_ms=3_000, app=APP),
        rule(
            "burn",
            kind="burn",
            metric="accuracy",
            statistic="",
            operator="<",
            threshold=0.8,
            objective=0.5,
            burns=(
                BurnWindow(long_ms=6_000, short_ms=2_000, factor=1.5, severity="warning"),
                BurnWindow(long_ms=4_000, short_ms=1_000, factor=1.9, severity="critical"),
            ),
        ),
    ]
    if number < 15:
        rules.append(rule("slow", metric="latency", operator="<=", threshold=0.6))
    return Catalogue(
        {
            RuleDefined: {one.name: one for one in rules},
            SilenceDefined: {"upkeep": silence(START + 5_000, START + 11_000)},
            NodeReported: {"n1": NODE},
        }
    )


def silence(starts_at: int, ends_at: int, **scope: str) -> SilenceDefined:
    return SilenceDefined(
        name="upkeep",
        **{"service": "b"} | scope,
        starts_at=starts_at,
        ends_at=ends_at,
        reason="upkeep",
        registered_at=START,
        event_id="upkeep",
    )


def rule(name: str, **values: object) -> RuleDefined:
    plain = {
        "name": name,
        "metric": "accuracy",
        "statistic": "mean",
        "operator": "<",
        "threshold": 0.0,
        "for_windows": 2,
        "clear_windows": 2,
        "registered_at": START,
        "event_id": name,
    }
    return RuleDefined(**plain | values)  # type: ignore[arg-type]  # tests give what fits

"""Quality: rules with hysteresis on several series, a rule that goes, one that makes no sense."""

import random

from processors.rules.quality import QualityParams, spec
from schemas.catalogue import Catalogue
from schemas.processing import Batch, Columns
from schemas.quality import RuleDefined
from tests.contracts.making import START, observation, records

SPEC = spec(QualityParams(max_judged=6))


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
                metric=dice.choice(("accuracy", "latency")),
            )
            for service in dice.sample(("a", "b", "c", "d", ""), 4)
        ]
        events += events[:1]
        now = START + 1_000 * (number + 1)
        made.append(Batch(records(events, offset), now, _catalogue(number)))
        offset += len(events)
    return made


def _catalogue(number: int) -> Catalogue:
    rules = [
        _rule("low", metric="accuracy", operator="<", threshold=0.7, clear_threshold=0.75),
        _rule("strange", metric="accuracy", operator="!=", threshold=0.0),
    ]
    if number < 15:
        rules.append(_rule("slow", metric="latency", operator="<=", threshold=0.6))
    return Catalogue({RuleDefined: {rule.name: rule for rule in rules}})


def _rule(
    name: str,
    *,
    metric: str,
    operator: str,
    threshold: float,
    clear_threshold: float | None = None,
) -> RuleDefined:
    return RuleDefined(
        name=name,
        metric=metric,
        statistic="mean",
        operator=operator,
        threshold=threshold,
        clear_threshold=clear_threshold,
        for_windows=2,
        clear_windows=2,
        registered_at=START,
        event_id=name,
    )

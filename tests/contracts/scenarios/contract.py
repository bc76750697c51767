"""Contract: clauses at three levels, versions, contracts that come, go, end, cannot be kept."""

import random
from dataclasses import replace

from processors.contracts.contract import spec
from processors.contracts.state import ContractParams
from schemas.catalogue import Catalogue
from schemas.observing import Observation
from schemas.processing import Batch, Columns
from schemas.registrations import Clause, ContractRegistered
from tests.contracts.making import START, observation, records

SPEC = spec(ContractParams(settle_ms=300, check_ms=700, tell_ms=5_000, silent_ms=4_000))
APPS = ("shop", "gate")
SERVICES = ("small", "large")


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    offset = 3
    for number in range(24):
        events = _windows(dice, number)
        for part in (events[:5], events[5:]):
            now = START + 1_000 * (number + 1) + (0 if part is events else dice.randint(0, 400))
            now = max([now, *(batch.now_ms for batch in made)])
            made.append(Batch(records(part, offset), now, _catalogue(number)))
            offset += len(part)
    return made


def _windows(dice: random.Random, number: int) -> list[Observation]:
    bad = 8 <= number < 15
    end = 1_000 * (number + 1 - dice.choice((0, 0, 0, 2)))
    events = []
    for app in APPS:
        accuracy = (0.6 if bad else 0.9) + dice.uniform(-0.05, 0.05)
        events.append(observation(accuracy, end, app=app))
        for service in SERVICES:
            worse = accuracy - (0.1 if service == "small" else -0.2)
            latency = (80.0 if bad else 20.0) + dice.uniform(-5, 5)
            for metric, value in (("accuracy", worse), ("latency", latency)):
                events.append(
                    observation(
                        value, end, app=app, stage="classify", service=service, metric=metric
                    )
                )
    events.append(observation(1.0, end, app="shop", metric="agreement"))
    return [*events, *dice.sample(events, 2)]


def _catalogue(number: int) -> Catalogue:
    accuracy = _clause("right", "accuracy", ">=", 0.8, window_ms=3_000)
    slow = _clause("quick", "latency", "<", 50.0, window_ms=2_000, statistic="p95")
    small = _clause("small", "accuracy", ">=", 0.7, window_ms=1_000, service="small")
    never = _clause("never", "accuracy", ">", 1.5, window_ms=1_000)
    budgeted = replace(slow, objective=0.9, period_ms=10_000)
    version = 1 if number < 11 else 3 if number < 16 else 2
    contracts = [
        _contract("shop-1", "shop", accuracy, slow if number < 11 else budgeted, version=version),
        _contract("dream", "gate", _clause("joy", "happiness", ">", 1.0, window_ms=1_000)),
        _contract("beyond", "gate", never),
        _contract("short", "gate", accuracy, until=START + 13_000),
    ]
    if number >= 10:
        agreed = _clause("agreed", "agreement", ">=", 0.5, window_ms=9_000)
        contracts.append(_contract("shop-2", "shop", agreed))
    if number < 12:
        contracts.append(_contract("gate-1", "gate", accuracy, small))
    return Catalogue({ContractRegistered: {one.contract: one for one in contracts}})


def _clause(
    name: str,
    metric: str,
    comparison: str,
    threshold: float,
    *,
    window_ms: int,
    statistic: str = "mean",
    service: str = "",
) -> Clause:
    return Clause(
        name=name,
        metric=metric,
        statistic=statistic,
        operator=comparison,
        threshold=threshold,
        window_ms=window_ms,
        tolerance=0.02,
        min_count=10,
        service=service,
    )


def _contract(
    name: str, app: str, *clauses: Clause, version: int = 1, until: int | None = None
) -> ContractRegistered:
    return ContractRegistered(
        contract=name,
        consumer="someone",
        app=app,
        owner="tests",
        clauses=clauses,
        version=version,
        valid_until=until,
        registered_at=START,
        event_id=f"{name}.{version}",
    )

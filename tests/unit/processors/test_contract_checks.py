"""Which contracts cannot be judged, and why."""

import math
from dataclasses import replace

import pytest

from processors.contracts.checks import limits_of, reasons_against
from schemas.registrations import Clause, ContractRegistered, MetricDefined

RIGHT = Clause(
    name="right", metric="accuracy", statistic="mean", operator=">=", threshold=0.8, window_ms=2_000
)
SLOW = replace(RIGHT, name="slow", metric="latency", operator="<=", threshold=50.0)


def contract(*clauses: Clause) -> ContractRegistered:
    return ContractRegistered(
        contract="desk", consumer="", app="a", owner="", clauses=clauses, registered_at=0,
        event_id="e",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("clause", "why"),
    [
        (replace(RIGHT, statistic="median"), "statistic 'median' is unknown"),
        (replace(RIGHT, operator="="), "operator '=' is unknown"),
        (replace(RIGHT, window_ms=0), "window_ms is 0"),
        (replace(RIGHT, tolerance=-0.1), "tolerance is -0.1"),
        (replace(RIGHT, tolerance=math.nan), "tolerance is nan"),
        (replace(RIGHT, threshold=math.nan), "threshold is nan"),
        (replace(RIGHT, objective=1.0), "objective is 1.0"),
        (replace(RIGHT, objective=0.9, period_ms=1_000), "period_ms is 1000"),
        (replace(RIGHT, severity="loud"), "severity 'loud' is unknown"),
        (replace(RIGHT, metric=""), "it names no metric"),
        (replace(RIGHT, threshold=1.5), "no value meets it: mean of accuracy is from 0 to 1"),
        (replace(RIGHT, threshold=1.5, label="7"), "mean of accuracy.class.7 is from 0 to 1"),
        (replace(SLOW, operator="<", threshold=0.0), "no value meets it: mean of latency"),
        (replace(SLOW, statistic="count", min_count=9, threshold=5.0), "from min_count 9 events"),
        (replace(SLOW, statistic="rate", threshold=-1.0), "rate of latency is from 0 to inf"),
    ],
)
def test_clauses_that_cannot_be_judged(clause: Clause, why: str) -> None:
    assert why in "; ".join(reasons_against(contract(clause), {}))


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (SLOW, replace(SLOW, name="b", operator=">", threshold=60.0), True),
        (SLOW, replace(SLOW, name="b", operator=">", threshold=50.0), True),
        (SLOW, replace(SLOW, name="b", operator=">=", threshold=50.0), False),
        (SLOW, replace(SLOW, name="b", operator=">", threshold=60.0, tolerance=0.2), False),
        (SLOW, replace(SLOW, name="b", operator=">", threshold=60.0, service="s"), False),
        (SLOW, replace(SLOW, name="b", operator=">", threshold=60.0, statistic="max"), False),
        (SLOW, replace(SLOW, name="b", operator=">", threshold=60.0, statistic="min"), True),
        (
            replace(SLOW, statistic="p90"),
            replace(SLOW, name="b", operator=">", threshold=60.0, statistic="p50"),
            True,
        ),
        (SLOW, RIGHT, False),
    ],
)
def test_clauses_that_no_value_meets_together(one: Clause, other: Clause, contradict: bool) -> None:
    reasons = reasons_against(contract(one, other), {})

    assert bool(reasons) is contradict
    assert all("contradict each other: no value has" in reason for reason in reasons)


def test_contracts_that_say_nothing_twice_or_never() -> None:
    assert reasons_against(contract(), {}) == ["it needs at least one clause"]
    assert reasons_against(contract(RIGHT, RIGHT), {}) == ["two clauses have the same name"]
    never = replace(contract(RIGHT), valid_from=5, valid_until=5)
    assert "it would never be in force" in reasons_against(never, {})[0]


def test_a_definition_says_what_values_there_are() -> None:
    fps = MetricDefined(
        name="fps", metric="fps", unit="1/s", low=0.0, high=60.0, description="", registered_at=0,
        event_id="e",
    )  # fmt: skip
    promised = contract(replace(RIGHT, metric="fps", threshold=90.0))

    assert reasons_against(promised, {}) == []
    assert "mean of fps is from 0 to 60" in reasons_against(promised, limits_of({"fps": fps}))[0]

"""Contributions: they add up to the excess, whatever the statistic, and name who moved."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.contracts.clauses import beyond, judged_as, value_of
from processors.contracts.games import EXACT, moved
from processors.contracts.shares import MOST, Past, contributions
from processors.contracts.usual import MAX_PARTS, Usual, learned
from processors.measures import STATISTICS
from schemas.observing import Contribution, Observation
from schemas.registrations import Clause
from tests.contracts.making import observation

CLAUSE = Clause(
    name="right",
    metric="accuracy",
    statistic="mean",
    operator=">=",
    threshold=0.8,
    window_ms=1_000,
)
QUICK = replace(CLAUSE, metric="latency", operator="<", threshold=50.0)
NOTHING = Past(0.0, 0, ())
numbers = st.floats(-1e6, 1e6, allow_nan=False)


def window(
    value: float,
    service: str = "",
    instance: str = "",
    *,
    end_ms: int = 1_000,
    stage: str = "classify",
    metric: str = "latency",
    count: int = 20,
) -> Observation:
    made = observation(
        value, end_ms, stage=stage if service else "", service=service, metric=metric, count=count
    )
    return replace(made, instance=instance, event_id=f"{made.event_id}{instance}")


def past(value: float, *windows: Observation) -> Past:
    """Return a past of ten spans of these windows, one after the other, before the present one."""
    parts: tuple[Usual, ...] = ()
    for back in range(10, 0, -1):
        shift = back * 1_000
        parts = learned(
            parts,
            [
                replace(w, window_start=w.window_start - shift, window_end=w.window_end - shift)
                for w in windows
            ],
            0,
        )
    return Past(value, 10, parts)


def told(clause: Clause, windows: list[Observation], before: Past = NOTHING) -> dict[str, float]:
    return {one.service + one.instance: one.amount for one in parts_of(clause, windows, before)}


def parts_of(
    clause: Clause, windows: list[Observation], before: Past = NOTHING
) -> tuple[Contribution, ...]:
    judged = judged_as(clause, value_of(clause, windows))
    assert judged is not None
    parts = contributions(clause, judged, windows, before)
    excess = beyond(clause, judged.observed)
    scale = max(1.0, abs(excess), *(abs(one.amount) for one in parts))
    assert math.fsum(one.amount for one in parts) == pytest.approx(excess, abs=1e-12 * scale)
    assert sum(one.share for one in parts) == pytest.approx(1)
    assert all(0 <= one.share <= 1 + 1e-12 for one in parts)
    return parts


values = st.floats(0, 1e4, allow_nan=False)
spreads = st.lists(values, min_size=6, max_size=6).map(sorted)


@st.composite
def spread(draw: st.DrawFn, service: str, end_ms: int) -> Observation:
    low, p50, p90, p95, p99, high = draw(spreads)
    made = window(low, service, end_ms=end_ms, count=draw(st.integers(1, 500)))
    return replace(
        made, mean=(low + high) / 2, p50=p50, p90=p90, p95=p95, p99=p99, max=high, min=low
    )


@settings(max_examples=20, deadline=None)
@given(st.data(), st.sampled_from(STATISTICS), st.sampled_from(["<", ">="]), numbers)
def test_amounts_add_up_for_every_statistic(
    data: st.DataObject, statistic: str, comparison: str, threshold: float
) -> None:
    names = [f"s{number}" for number in range(data.draw(st.integers(1, 7)))]
    now = [data.draw(spread(name, 1_000)) for name in names]
    before = [data.draw(spread(name, 1_000)) for name in names if data.draw(st.booleans())]
    clause = replace(QUICK, statistic=statistic, operator=comparison, threshold=threshold)
    whole = [window(data.draw(values))] if data.draw(st.booleans()) else []
    usual = past(data.draw(values), *before) if before else NOTHING

    parts_of(clause, [*now, *whole], usual)


@given(st.lists(numbers, min_size=1, max_size=EXACT + 3))
def test_of_a_sum_everyone_has_what_is_his(own: list[float]) -> None:
    amounts = moved(len(own), lambda chosen: math.fsum(own[place] for place in chosen))

    assert amounts == pytest.approx(own, abs=1e-6)


def test_who_was_slow_is_named_against_the_past_of_each() -> None:
    usual = past(35.0, window(30, "small"), window(40, "large"))
    # mean 65 instead of 35: "large" moved from 40 to 100, the excess is 15
    parts = parts_of(QUICK, [window(30, "small"), window(100, "large")], usual)

    assert [(one.service, one.baseline) for one in parts] == [("large", 40.0), ("small", 30.0)]
    assert parts[0].amount == pytest.approx(15)
    assert parts[1].amount == pytest.approx(0)


def test_who_got_better_has_a_negative_amount_and_the_slack_is_not_his() -> None:
    usual = past(40.0, window(40, "a"), window(40, "b"))
    found = told(QUICK, [window(100, "a"), window(20, "b")], usual)

    # the mean rose by 20, of which a has 30 and b -10; the first 10 were allowed
    assert found == pytest.approx({"a": 20, "b": -10})


def test_a_past_that_broke_the_clause_too_is_no_measure() -> None:
    usual = past(55.0, window(80, "a"), window(30, "b"))
    found = told(QUICK, [window(90, "a"), window(30, "b")], usual)

    assert found == pytest.approx({"a": 20, "b": -10})


def test_more_parts_than_are_remembered_are_compared_with_the_threshold() -> None:
    known = past(30.0, window(30, "a"))
    (mine,) = known.parts
    others = tuple(replace(mine, stage="x", service=f"s{n}") for n in range(MAX_PARTS - 1))
    usual = replace(known, parts=(mine, *others))
    here = replace(QUICK, stage="classify")
    found = told(here, [window(40, "a"), window(100, "new")], usual)

    assert found["a"] < 0


def test_two_that_need_each_other_share_alike_among_many() -> None:
    amounts = moved(EXACT + 2, lambda chosen: float({0, 1} <= chosen))

    assert amounts == pytest.approx([0.5, 0.5, *[0.0] * EXACT])


def test_nodes_of_a_service_are_learned_together() -> None:
    one = window(30, "a", count=10)
    other = replace(one, event_id="other", node="edge-2", mean=60.0, count=20)
    (part,) = past(50.0, one, other).parts

    assert part.seen == 10
    assert part.summary(0, 1_000).count == pytest.approx(30)
    assert part.summary(0, 1_000).mean == pytest.approx(50)


def test_more_traffic_of_a_slow_service_counts_as_its_part() -> None:
    usual = past(40.0, window(20, "fast", count=50), window(60, "slow", count=50))
    found = told(QUICK, [window(20, "fast", count=10), window(60, "slow", count=90)], usual)

    assert found["slow"] > 0
    assert sum(found.values()) == pytest.approx(6)


def test_without_a_past_the_threshold_is_the_measure() -> None:
    windows = [
        window(0.6, "small", metric="accuracy"),
        window(0.2, "tiny", metric="accuracy"),
        window(0.95, "large", metric="accuracy"),
    ]
    found = told(CLAUSE, [window(0.5, metric="accuracy"), *windows])

    # a third of what each lacks to 0.8, and what the ensemble lacks to their mean
    shared = {"tiny": 0.2, "small": 0.2 / 3, "large": -0.05, "": 0.25 / 3}
    assert found == pytest.approx(shared)


def test_an_answer_waits_for_the_slowest_of_each_stage() -> None:
    clause = replace(QUICK, metric="response_latency")
    before = [window(10, "crop", stage="crop"), window(20, "a"), window(15, "b")]
    now = [window(12, "crop", stage="crop"), window(20, "a"), window(60, "b")]
    usual = past(35.0, *before)
    parts = parts_of(clause, [window(77.0, metric="response_latency"), *now], usual)

    # 35 was usual, 5 of it on the way: b alone adds 40 to its stage, crop 2 to its own
    amounts = {one.service: one.amount for one in parts}
    assert amounts["b"] == pytest.approx(27 * 40 / 42)
    assert amounts["crop"] == pytest.approx(27 * 2 / 42)
    assert amounts["a"] == pytest.approx(0, abs=1e-9)


def test_a_quantile_is_shared_by_who_has_its_tail() -> None:
    clause = replace(QUICK, statistic="p95")
    steady = [window(20, "a", count=100), window(25, "b", count=100)]
    late = [window(20, "a", count=100), window(90, "b", count=100)]
    found = told(clause, late, past(25.0, *steady))

    assert found["b"] == pytest.approx(sum(found.values()), rel=1e-6)


def test_a_part_that_is_gone_answers_for_the_throughput() -> None:
    clause = replace(QUICK, statistic="rate", operator=">=", threshold=35.0)
    usual = past(40.0, window(5, "a", count=20), window(5, "b", count=20))
    parts = parts_of(clause, [window(5, "a", count=20)], usual)

    assert [(one.service, one.observed, one.baseline) for one in parts] == [
        ("b", 0.0, 20.0),
        ("a", 20.0, 20.0),
    ]
    assert parts[0].amount == pytest.approx(15)


def test_instances_are_told_apart_and_many_of_them_by_service() -> None:
    few = [window(80, "a", "a.1"), window(40, "a", "a.2")]
    assert set(told(QUICK, few)) == {"aa.1", "aa.2"}

    many = [window(80, f"s{n % 3}", f"i{n}") for n in range(MOST + 1)]
    assert set(told(QUICK, many)) == {"s0", "s1", "s2"}


def test_without_parts_the_whole_has_all_of_it() -> None:
    (part,) = parts_of(CLAUSE, [window(0.5, metric="accuracy")])

    assert (part.stage, part.service, part.observed, part.share) == ("", "", 0.5, 1.0)

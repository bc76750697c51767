"""How many copies there should be: the rule, its bounds, its patience."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.scaling.sizing import (
    Bearing,
    Called,
    Range,
    ScalePolicy,
    called_for,
    remember,
    settle,
)
from placement.scaling.state import AppLoad
from placement.scaling.steps import blamed_by
from schemas.observing import Contribution
from tests.unit.placement import scaling_cases

POLICY = ScalePolicy()
LIMITS = Range(least=0, most=10, target=0.5, idle_ms=60_000)


@pytest.mark.parametrize(
    ("bearing", "copies", "why"),
    [
        (Bearing(copies=2, load=1.0), 2, "bears 0.50"),
        (Bearing(copies=2, load=1.09), 2, "bears 0.55"),
        (Bearing(copies=2, load=1.2), 3, "bears 0.60"),
        (Bearing(copies=4, load=0.5), 1, "bears 0.12"),
        (Bearing(copies=4, load=0.0), 1, "bears 0.00"),
        (Bearing(copies=1, load=100.0), 5, "bears 100"),
        (Bearing(copies=6, load=100.0), 10, "bears"),
        (Bearing(copies=2, load=0.0, idle_for=60_000), 0, "no requests for 60 s"),
        (Bearing(copies=0, load=0.0), 0, "nobody asks"),
        (Bearing(copies=0, load=0.0, wanted=True), 1, "requests came"),
        (Bearing(copies=2, load=0.9, blamed=("gold/p95",)), 3, "gold/p95 is violated"),
        (Bearing(copies=2, load=2.0, blamed=("gold/p95",)), 4, "bears 1.00"),
        (Bearing(copies=10, load=5.0, blamed=("gold/p95",)), 10, "violated"),
    ],
)
def test_the_number_follows_from_what_is_borne(bearing: Bearing, copies: int, why: str) -> None:
    called = called_for(bearing, LIMITS, POLICY)

    assert called.copies == copies
    assert why in called.why


def test_a_service_with_a_least_number_never_sleeps() -> None:
    limits = Range(least=2, most=3, target=0.5, idle_ms=10)

    assert called_for(Bearing(copies=3, load=0.0, idle_for=99), limits, POLICY).copies == 2
    assert called_for(Bearing(copies=0, load=0.0, wanted=True), limits, POLICY).copies == 2
    raised = called_for(Bearing(copies=0, load=0.0), limits, POLICY)
    assert (raised.copies, raised.why) == (2, "it has no copies; 2 at least are wanted")


@given(
    copies=st.integers(0, 50),
    load=st.floats(0, 1e6),
    least=st.integers(0, 5),
    most=st.integers(1, 20),
    idle=st.integers(0, 100_000),
    blamed=st.booleans(),
    wanted=st.booleans(),
)
def test_the_number_stays_in_its_range(
    copies: int, load: float, least: int, most: int, idle: int, blamed: bool, wanted: bool
) -> None:
    limits = Range(min(least, most), most, 0.7, 50_000)
    bearing = Bearing(
        copies=copies,
        load=load,
        idle_for=idle,
        blamed=("c",) if blamed else (),
        wanted=wanted,
    )

    called = called_for(bearing, limits, POLICY).copies

    assert called == 0 or limits.least <= called <= limits.most
    assert called or not copies or (idle >= 50_000 and limits.least == 0)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 9)), max_size=40))
def test_what_is_remembered_gives_the_most_of_the_time(calls: list[tuple[int, int]]) -> None:
    kept: tuple[tuple[int, int], ...] = ()
    at, told = 0, []
    for step, copies in calls:
        at += step
        told.append((at, copies))
        kept = remember(kept, at, copies, 1_000)
        most = max(c for when, c in told if when > at - 1_000)

        assert kept[0][1] == most
        assert len(kept) <= 10


def test_more_waits_for_the_cool_down_and_fewer_for_all_calls_to_agree() -> None:
    more, fewer = Called(3, ""), Called(1, "")
    fresh = Bearing(copies=2, load=0.0, since_change=4_999)
    rested = Bearing(copies=2, load=0.0, since_change=60_000)

    assert settle(fresh, more, ((0, 3),), POLICY) is None
    assert settle(rested, more, ((0, 3),), POLICY) == more
    assert settle(rested, fewer, ((0, 2), (5, 1)), POLICY) is None
    assert settle(rested, fewer, ((5, 1),), POLICY) == fewer
    assert settle(fresh, fewer, ((5, 1),), POLICY) is None


def test_who_is_idle_leaves_without_more_patience() -> None:
    fresh = Bearing(copies=2, load=0.0, since_change=0, blamed=("c",))
    idle = Called(0, "", idle=True)

    assert settle(fresh, idle, ((0, 2), (5, 0)), POLICY) == idle
    assert settle(replace(fresh, copies=0), idle, ((5, 0),), POLICY) is None


def test_a_service_that_is_blamed_loses_no_copy() -> None:
    blamed = Bearing(copies=3, load=0.0, since_change=90_000, blamed=("c",))

    assert settle(blamed, Called(1, ""), ((0, 1),), POLICY) is None


def test_who_has_none_wakes_without_waiting() -> None:
    asleep = Bearing(copies=0, load=0.0, since_change=0)

    assert settle(asleep, Called(1, ""), ((0, 1),), POLICY) == Called(1, "")


def test_instances_of_a_service_are_blamed_together_and_the_whole_is_not() -> None:
    parts = [("", "", 0.4), ("small", "s.1", 0.25), ("large", "l.1", 0.2), ("large", "l.2", 0.15)]
    seen = replace(
        scaling_cases.violated(1_000),
        contributions=tuple(
            Contribution(stage="classify", service=service, instance=one, observed=9.0, share=share)
            for service, one, share in parts
        ),
    )
    state = AppLoad(app="a")
    blamed_by(state, seen)

    assert state.broken[0].services == ("large",)

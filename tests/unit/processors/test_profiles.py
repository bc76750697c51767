"""Profiles: what counts, what does not, and what it adds up to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.selecting.profiles import (
    NOTHING,
    Series,
    add,
    after,
    first_start,
    newest_end,
    summary,
)
from tests.unit.processors.selecting_cases import observation, revised

STARTS = st.lists(st.integers(0, 50), max_size=60)


def filled(*starts: int, keep: int = 10, count: int = 10) -> Series:
    series = Series()
    for start in starts:
        seen = observation("accuracy", start * 1000, start / 100, service="a", count=count)
        series = add(series, seen, keep)
    return series


@given(STARTS)
def test_no_event_counts_twice_and_the_newest_windows_stay(starts: list[int]) -> None:
    series = filled(*starts)
    kept = [span.start for span in series.spans]
    assert kept == sorted(set(kept))
    assert len(kept) <= 10
    assert kept == [s * 1000 for s in sorted(set(starts))][-10:] or len(set(starts)) > 10


def test_means_are_weighted_by_count() -> None:
    series = add(Series(), observation("accuracy", 0, 1.0, service="a", count=30), 5)
    series = add(series, observation("accuracy", 1000, 0.0, service="a", count=10), 5)
    found = summary(series)
    assert (found.count, found.mean) == (40, 0.75)
    assert found.error == pytest.approx((0.75 * 0.25 / 40) ** 0.5)


def test_a_later_revision_replaces_and_an_earlier_one_does_not() -> None:
    first = observation("accuracy", 0, 0.5, service="a")
    later = revised(first, 0.8)
    series = add(add(Series(), first, 5), later, 5)
    assert summary(series).mean == pytest.approx(0.8)
    assert add(series, first, 5) == series


def test_windows_that_overlap_are_left_out() -> None:
    series = filled(0, 1)
    hopping = observation("accuracy", 1500, 0.9, service="a")
    assert add(series, hopping, 10) == series


def test_the_shortest_definition_counts() -> None:
    wide = observation("accuracy", 0, 0.2, service="a", window="4s", window_end=4000)
    series = add(Series(), wide, 5)
    series = add(series, observation("accuracy", 0, 0.6, service="a"), 5)
    assert summary(series).mean == pytest.approx(0.6)
    assert add(series, wide, 5) == series


def test_instances_are_kept_apart() -> None:
    series = Series()
    for instance in ("a.x", "a.y"):
        series = add(series, observation("latency", 0, 5.0, service="a", instance=instance), 5)
    assert summary(series).count == 80


def test_only_windows_of_the_present_concept_tell() -> None:
    series = filled(1, 2, 3)
    assert summary(series, 2000).count == 20
    assert after(series, 2000).spans == series.spans[1:]
    assert first_start(series, 1500) == 2000
    assert newest_end(series) == 4000


def test_nothing_is_known_of_nothing() -> None:
    assert summary(Series()) == NOTHING
    assert NOTHING.error == float("inf")
    assert first_start(Series(), 0) is None

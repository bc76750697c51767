"""Error budgets: exact as if every judgement were kept, and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.contracts.budgets import BUCKETS, Bucket, account, entered

STEPS = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 50), st.booleans()), max_size=60)


@given(STEPS, st.integers(1, 5_000))
def test_the_ring_counts_what_ended_within_the_period(
    steps: list[tuple[int, int, bool]], period_ms: int
) -> None:
    ring: tuple[Bucket, ...] = ()
    told, end = [], 0
    for gap, ms, held in steps:
        end += gap
        ring = entered(ring, end, ms, held=held, period_ms=period_ms)
        told.append((end, ms, held))
        length = -(-period_ms // BUCKETS)
        buckets = -(-period_ms // length)
        inside = [one for one in told if one[0] // length > end // length - buckets]
        found = account(ring, end, period_ms)

        assert len(ring) <= BUCKETS
        assert found.judged == len(inside)
        assert found.held == sum(held for _, _, held in inside)
        assert found.broken_ms == sum(ms for _, ms, held in inside if not held)


def test_the_budget_burns_down_and_comes_back() -> None:
    ring: tuple[Bucket, ...] = ()
    left = []
    for second in range(1, 201):
        held = second not in (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
        ring = entered(ring, second * 1_000, 1_000, held=held, period_ms=100_000)
        left.append(account(ring, second * 1_000, 100_000).left(0.9, 100_000))

    assert left[8] == 1.0
    assert left[9] == pytest.approx(0.9)
    assert left[94] == pytest.approx(0.0)
    assert left[98] == pytest.approx(-0.1)
    assert left[199] == 1.0


def test_the_ring_never_grows_beyond_its_buckets() -> None:
    ring: tuple[Bucket, ...] = ()
    for second in range(1_000):
        ring = entered(ring, second * 1_000, 1_000, held=True, period_ms=200_000)

    assert len(ring) <= BUCKETS


def test_what_is_older_goes_into_the_newest_bucket() -> None:
    ring = entered((), 5_000, 10, held=True, period_ms=1_200)
    ring = entered(ring, 4_000, 10, held=False, period_ms=1_200)

    assert [(one.judged, one.held) for one in ring] == [(2, 1)]


def test_nothing_judged_is_nothing_spent_and_no_objective_no_budget() -> None:
    empty = account((), 0, 1_000)

    assert (empty.share, empty.left(0.9, 1_000), empty.left(0.0, 1_000)) == (1.0, 1.0, None)

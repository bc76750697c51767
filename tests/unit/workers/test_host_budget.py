"""States are written at half a megabyte a second, and small ones at once."""

from hypothesis import given
from hypothesis import strategies as st

from workers.hosting.budget import BYTES_PER_MS, LONGEST_WAIT_MS, SAVED_BYTES, SnapshotBudget

NOW = 1_000_000


def test_small_states_delay_nothing_and_large_ones_the_next_by_what_they_are_above() -> None:
    budget = SnapshotBudget()
    assert budget.spend(SAVED_BYTES // 2, NOW) == NOW
    assert budget.spend(SAVED_BYTES // 2, NOW) == NOW
    assert budget.spend(40 * BYTES_PER_MS, NOW) == NOW + 40
    assert budget.spend(10 * BYTES_PER_MS, NOW + 40) == NOW + 50
    assert budget.spend(10 * BYTES_PER_MS, NOW + 1_000) == NOW + 1_000


def test_the_largest_delays_by_half_a_second_and_is_then_forgiven() -> None:
    budget = SnapshotBudget()
    assert budget.spend(10**9, NOW) == NOW + LONGEST_WAIT_MS
    assert budget.spend(0, NOW + LONGEST_WAIT_MS) == NOW + LONGEST_WAIT_MS


def test_a_clock_that_went_back_earns_nothing_and_delays_nothing() -> None:
    budget = SnapshotBudget()
    budget.spend(SAVED_BYTES, NOW)
    assert budget.spend(BYTES_PER_MS, NOW - 10_000) == NOW - 10_000 + 1


@given(st.lists(st.integers(0, SAVED_BYTES // 4), min_size=20, max_size=200))
def test_who_waits_as_told_writes_no_more_than_the_rate(sizes: list[int]) -> None:
    budget, now = SnapshotBudget(), NOW
    for size in sizes:
        now = budget.spend(size, now)
    assert sum(sizes) <= SAVED_BYTES + (now - NOW + len(sizes)) * BYTES_PER_MS

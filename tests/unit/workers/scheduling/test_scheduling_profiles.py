"""What is predicted: service times, batch sizes, slow-downs, arrivals."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.scheduling.scheduling_world import terms
from workers.scheduling.changes import Cusum
from workers.scheduling.profiles import UNDECLARED_MS, Profile, ProfileParams, Profiles
from workers.scheduling.rhythm import Rhythm
from workers.scheduling.windows import Window


def profile(prior_ms: float | None = 10.0, **fields: object) -> Profile:
    made = Profiles().of(terms(prior_ms=prior_ms, **fields))
    made.learn(1, 500.0)
    return made


def test_a_declared_time_is_believed_until_it_has_run() -> None:
    made = Profiles().of(terms(prior_ms=10.0, prior_batches=((4, 16.0),), max_batch=8))
    assert [made.typical(size) for size in (1, 2, 4, 6)] == [10.0, 12.0, 16.0, 20.0]
    assert Profiles().of(terms(prior_ms=None)).typical() == UNDECLARED_MS


def test_the_first_run_is_cold_and_kept_out() -> None:
    made = Profiles().of(terms(cold_ms=300.0))
    assert (made.typical(), made.careful()) == (10.0, 300.0)
    assert made.learn(1, 350.0)
    assert (made.typical(), made.careful()) == (10.0, 10.0)
    made.loaded()
    assert made.careful() == 300.0


def test_other_terms_alone_make_nothing_cold() -> None:
    profiles = Profiles()
    made = profiles.of(terms(cold_ms=300.0))
    made.learn(1, 350.0)
    assert profiles.of(terms(cold_ms=300.0, budget_ms=7.0), loaded=False) is made
    assert made.careful() == 10.0
    assert profiles.of(terms(cold_ms=300.0)).careful() == 300.0


def test_what_was_not_declared_is_replaced_by_the_first_warm_run() -> None:
    made = profile(None)
    made.learn(1, 40.0)
    assert made.typical() == 40.0


def test_quantiles_are_those_of_the_latest_times() -> None:
    made = profile()
    for took in range(1, 101):
        made.learn(1, 100.0 + took / 100)
    latest = sorted(100.0 + took / 100 for took in range(69, 101))
    assert made.typical() == latest[math.ceil(0.5 * 32) - 1]
    assert made.careful() == latest[math.ceil(0.75 * 32) - 1]


def test_sizes_between_and_above_what_was_seen_lie_on_lines() -> None:
    made = profile(8.0)
    for _ in range(8):
        made.learn(1, 8.0)
        made.learn(4, 14.0)
    assert [made.typical(size) for size in (1, 2, 3, 4, 8)] == [8.0, 10.0, 12.0, 14.0, 22.0]


def test_one_size_alone_scales_in_proportion_and_smaller_ones_count_whole() -> None:
    made = profile(None)
    made.learn(4, 20.0)
    assert [made.typical(size) for size in (1, 4, 8)] == [20.0, 20.0, 40.0]


@pytest.mark.parametrize("factor", [1.5, 2.0, 3.0, 0.5])
def test_a_device_that_throttles_is_followed_within_six_runs(factor: float) -> None:
    chance = random.Random(1)
    made = profile()
    for _ in range(50):
        made.learn(1, 10.0 * chance.uniform(0.95, 1.05))
        made.learn(4, 20.0 * chance.uniform(0.95, 1.05))
    for _ in range(6):
        made.learn(1, 10.0 * factor)
    assert made.typical(1) == pytest.approx(10.0 * factor, rel=0.15)
    assert made.typical(4) == pytest.approx(20.0 * factor, rel=0.15)


def test_one_slow_run_changes_little() -> None:
    made = profile()
    for _ in range(40):
        made.learn(1, 10.0)
    made.learn(1, 80.0)
    assert (made.typical(), made.careful()) == (10.0, 10.0)


def test_bursts_of_stalls_leave_nothing_behind_in_sizes_that_are_seldom_seen() -> None:
    made = profile()
    for size, took in ((4, 0.3), (1, 0.1)):
        for _ in range(12):
            made.learn(size, took)
    for burst in range(6):
        for took in (20.0, 30.0, 25.0):
            made.learn(1, took)
            assert made.typical(4) <= 4 * made.typical(1), burst
        for _ in range(12):
            made.learn(1, 0.1)
    assert made.typical(1) == 0.1
    assert made.typical(4) <= 4 * 0.1
    assert made.careful(4) <= 4 * 0.1
    for _ in range(4):
        made.learn(4, 1.2)
    assert made.typical(4) == 1.2, "what was seen counts whole, however dear"


def test_no_prediction_leaves_what_was_seen() -> None:
    for seed in range(20):
        chance = random.Random(seed)
        made = Profile(ProfileParams(), {}, None)
        slowest, quickest = 0.0, math.inf
        made.learn(1, 1.0)
        for _ in range(400):
            held_up = chance.random() < 0.05
            took = chance.uniform(2.0, 20.0) if held_up else 0.03 * chance.lognormvariate(0.0, 0.3)
            slowest, quickest = max(slowest, took), min(quickest, took)
            made.learn(1, took)
            assert quickest / 1.001 <= made.careful(1) <= slowest * 1.001


def test_times_that_stray_by_nature_are_no_change() -> None:
    chance = random.Random(2)
    made = profile(15.0)
    seen = []
    for _ in range(400):
        made.learn(1, 2.0 + chance.expovariate(1 / 13))
        seen.append(made.typical())
    assert 4.0 < min(seen[50:]) <= max(seen[50:]) < 22.0


@pytest.mark.parametrize("took", [math.nan, -1.0, math.inf])
def test_times_that_are_none_are_refused(took: float) -> None:
    with pytest.raises(ValueError, match="cannot have taken"):
        profile().learn(1, took)


def test_profiles_are_told_apart_and_forgotten() -> None:
    made = Profiles(ProfileParams())
    fast = made.of(terms(device="gpu", prior_ms=2.0))
    assert made.of(terms(device="cpu", prior_ms=20.0)).typical() == 20.0
    assert made.of(terms(device="gpu", prior_ms=9.0)) is fast
    made.forget("a")
    assert made.of(terms(device="gpu", prior_ms=9.0)).typical() == 9.0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.floats(0, 1))
def test_a_window_gives_the_quantile_of_its_latest(values: list[float], share: float) -> None:
    window = Window(16)
    for value in values:
        window.add(value)
    latest = sorted(values[-16:])
    found = window.quantile(share)
    assert found in latest
    assert sum(one <= found for one in latest) >= share * len(latest) - 1e-9
    assert len(window) == len(latest)


def test_a_sum_of_small_things_is_no_change() -> None:
    changes = Cusum(drift=0.1, threshold=0.5)
    assert [changes.moved(value) for value in (0.05, -0.05, 0.1, -0.1, 0.4)] == [None] * 5
    assert changes.moved(0.4) == pytest.approx(0.4)
    assert changes.moved(0.4) is None


def test_arrivals_are_expected_by_the_median_gap_whatever_pauses() -> None:
    made = Rhythm(100.0, declared=False)
    for at in (0.0, 20.0, 40.0, 60.0, 500.0):
        made.saw(at)
    assert made.gap_ms == 20.0
    assert made.expected(510.0) == 520.0
    assert made.expected(made.overdue_at()) is None


def test_a_declared_period_is_expected_after_the_first_and_else_the_budget() -> None:
    declared, guessed = Rhythm(30.0, declared=True), Rhythm(20.0, declared=False)
    assert declared.expected(0.0) is None
    declared.saw(5.0)
    guessed.saw(5.0)
    assert (declared.expected(6.0), guessed.expected(6.0)) == (35.0, 25.0)
    assert declared.overdue_at() < guessed.overdue_at() + 30.0


def test_arrivals_at_random_are_not_expected() -> None:
    chance, made, at = random.Random(3), Rhythm(20.0, declared=False), 0.0
    steady = 0
    for _ in range(500):
        at += chance.expovariate(1 / 20)
        made.saw(at)
        steady += made.expected(at) is not None
    assert steady < 100


def test_bursts_count_as_one_arrival_of_many() -> None:
    made = Rhythm(80.0, declared=False)
    for at in (0.0, 0.0, 0.0, 100.0, 100.0, 200.0):
        made.saw(at)
    assert (made.gap_ms, made.burst) == (100.0, 2)
    assert made.expected(210.0) == 300.0


def test_frames_that_come_more_seldom_than_they_did_are_renewed_later() -> None:
    made = Rhythm(20.0, declared=True)
    made.renewed("a", 0.0, replaced=False)
    made.renewed("a", 0.0, replaced=True)
    assert made.renewed_ms == math.inf, "those that come at once say nothing"
    made.renewed("a", 20.0, replaced=True)
    made.renewed("a", 60.0, replaced=True)
    assert made.renewed_ms == 25.0
    for frame in range(1, 129):
        made.renewed("a", 60.0 + 200.0 * frame, replaced=False)
    assert 190.0 < made.renewed_ms < 200.0
    aged = made.renewed_ms
    for number in range(300):
        made.renewed(f"camera-{number}", 30_000.0, replaced=False)
    made.renewed("a", 90_000.0, replaced=True)
    assert made.renewed_ms == aged, "when it came last is forgotten for so many others"

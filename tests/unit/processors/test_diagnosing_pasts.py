"""Pasts of series: what is usual, whether something has moved, and since when."""

import math

import numpy as np
import pytest

from processors.diagnosing.pasts import COARSE, FINE, TOGETHER, Past, Shift


def past(values: list[float]) -> Past:
    made = Past()
    for at, value in enumerate(values, 1):
        made.add(at * 1_000, value)
    return made


def noisy(count: int, level: float = 10.0, seed: int = 1) -> list[float]:
    return list(np.random.default_rng(seed).normal(level, 1.0, count))


def shifted(values: list[float], began: int, least: float = 0.0) -> Shift:
    found = past(values).shift(began * 1_000, least)
    assert found is not None
    return found


def test_a_step_is_dated_where_it_is() -> None:
    found = shifted([*noisy(40), *noisy(10, 18.0, 2)], 43)
    assert found.strength == 1.0
    assert found.since == 41_000
    assert found.effect == pytest.approx(8.0, abs=2.5)
    assert (found.before, found.after) == (pytest.approx(10, abs=1), pytest.approx(18, abs=1))


def test_a_fall_is_one_too() -> None:
    found = shifted([*noisy(40), *noisy(10, 2.0, 2)], 43)
    assert (found.since, found.strength) == (41_000, 1.0)
    assert found.effect < -5


def test_a_slow_ramp_is_dated_long_before_it_was_noticed() -> None:
    ramp = [value + 0.3 * max(0, at - 60) for at, value in enumerate(noisy(110))]
    found = shifted(ramp, 105)
    assert found.strength == 1.0
    assert 55_000 <= found.since <= 75_000


@pytest.mark.parametrize("seed", range(6))
def test_noise_alone_has_not_moved(seed: int) -> None:
    assert shifted(noisy(80, seed=seed), 70).strength == 0.0


def test_a_spike_that_is_over_has_not_moved_the_series() -> None:
    assert shifted([*noisy(40), 60.0, 60.0, *noisy(8, seed=3)], 42).strength == 0.0


def test_a_constant_series_has_not_moved_until_it_does() -> None:
    assert shifted([5.0] * 30, 25).strength == 0.0
    assert shifted([*[5.0] * 30, *[6.0] * 5], 31).strength == 1.0
    assert shifted([*[0.0] * 30, *[0.01] * 5], 31, 0.02).strength == 0.0


@pytest.mark.parametrize("count", [0, 1, 9])
def test_too_little_past_is_no_judgement(count: int) -> None:
    assert past([*[1.0] * count, 9.0, 9.0]).shift(count * 1_000 + 500) is None


def test_before_anything_has_come_since_nothing_is_judged() -> None:
    assert past([1.0] * 20).shift(90_000) is None


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_passed_over(odd: float) -> None:
    made = past([1.0, 2.0])
    assert not made.add(9_000, odd)
    assert made.newest == 2_000


def test_windows_come_in_order_or_not_at_all() -> None:
    made = past([1.0, 2.0])
    assert not made.add(2_000, 3.0)
    assert not made.add(500, 3.0)
    assert made.add(2_001, 3.0)


def test_a_long_past_is_kept_in_bounded_space_and_comes_back() -> None:
    made = past(noisy(5_000))
    packed = made.packed()
    assert sum(map(len, packed)) <= (FINE + COARSE + TOGETHER) * 16
    again = Past.of(*packed)
    assert again.packed() == packed
    assert again.shift(4_990_000) == made.shift(4_990_000)
    assert again.step == made.step == 1_000

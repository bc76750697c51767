"""Weir's detector of anomalies: what it flags, how often it errs, what it does with bad input."""

import math

import numpy as np
import pytest

from processors.anomalies.detectors import Judged, WeirJudge
from processors.anomalies.kernels import SEEN, STATISTICS, TABLE, Floats

STEP = 300_000
RATE = 1e-3
LIMIT = 3.0


def judged(values: Floats, states: Floats | None = None, begin: int = 0) -> Judged:
    """Return judgements of one series with a value each five minutes."""
    judge = WeirJudge()
    rows = np.zeros((1, judge.width)) if states is None else states
    count = len(values)
    times = (begin + np.arange(count)) * STEP
    numbers = np.zeros(count, np.int64)
    return judge.judge(rows, numbers, times, np.asarray(values, float), np.full(count, RATE))


def flagged(values: Floats) -> list[int]:
    found = judged(values)
    return np.flatnonzero((found.scores >= LIMIT) & found.fresh).tolist()


def noise(count: int = 2_000, seed: int = 2, stay: float = 0.0) -> Floats:
    steps, values, value = np.random.default_rng(seed).normal(0.0, 1.0, count), [], 0.0
    for step in steps:
        value = stay * value + step
        values.append(value)
    return 10.0 + np.array(values)


def days(count: int = 4_000, seed: int = 2) -> Floats:
    return noise(count, seed) + 10.0 * np.sin(np.arange(count) * 2 * np.pi / 288)


@pytest.mark.parametrize("height", [15.0, -15.0])
def test_a_spike_is_flagged_when_it_comes(height: float) -> None:
    values = noise()
    values[1_500] += height
    assert 1_500 in flagged(values)


def test_noise_that_grows_or_stops_is_flagged() -> None:
    louder, silent = noise(), noise()
    louder[1_500:1_600] = 10.0 + 4.0 * (louder[1_500:1_600] - 10.0)
    silent[1_500:1_700] = silent[1_500]
    assert any(1_500 <= at < 1_600 for at in flagged(louder))
    assert any(1_500 <= at < 1_700 for at in flagged(silent))


def test_a_value_that_another_hour_would_have_is_flagged() -> None:
    values = days()
    values[3_528:3_540] += 12.0  # at the foot of a slope, where the peak would be as high
    assert any(3_528 <= at < 3_560 for at in flagged(values))


@pytest.mark.parametrize("make", [noise, days, lambda **k: noise(stay=0.9, **k)])
def test_false_alarms_keep_to_the_rate(make) -> None:  # type: ignore[no-untyped-def]
    count = 20_000
    flags = sum(len(flagged(make(count=count, seed=seed))) for seed in range(5))
    assert flags <= 2.0 * RATE * 5 * count


def test_a_level_that_stays_is_told_and_becomes_the_usual_one() -> None:
    values = noise(4_000)
    values[1_500:] += 12.0
    found = flagged(values)
    assert any(1_500 <= at < 1_510 for at in found)
    assert len([at for at in found if at >= 2_200]) <= 4
    assert judged(values).usual[-1] == pytest.approx(22.0, abs=0.6)


def test_what_is_flagged_is_not_learned() -> None:
    values, state = noise(), np.zeros((1, WeirJudge.width))
    judged(values, state)
    before = state.copy()
    (score,) = judged(np.array([60.0]), state, len(values)).scores
    assert score >= LIMIT
    tables = slice(-2 * STATISTICS * TABLE, None)
    assert np.array_equal(state[0, tables], before[0, tables])


def test_what_was_flagged_once_is_flagged_again() -> None:
    values = noise()
    values[[1_000, 1_600]] += 15.0
    assert {1_000, 1_600} <= set(flagged(values))


def test_the_past_alone_judges() -> None:
    values = noise()
    changed = values.copy()
    changed[1_200:] = 1e6
    assert np.array_equal(judged(values).scores[:1_200], judged(changed).scores[:1_200])


def test_a_constant_series_is_quiet_until_it_changes() -> None:
    values = np.full(1_000, 0.13)
    assert flagged(values) == []
    values[600] = 0.14
    assert flagged(values) == [600]


def test_what_is_no_number_is_passed_over() -> None:
    values = noise()
    holes = np.insert(values, [300, 900, 900], [math.nan, math.inf, -math.inf])
    found, clean = judged(holes), judged(values)
    places = np.flatnonzero(np.isfinite(holes))
    assert not found.scores[[300, 901, 902]].any()
    assert np.isfinite(found.scores).all()
    # the hours of a day are a little off, which alone tells the two apart
    assert np.corrcoef(found.scores[places], clean.scores)[0, 1] > 0.9


def test_a_short_past_says_nothing() -> None:
    values = noise(200)
    values[100:] *= 1e9
    assert flagged(values) == []
    assert judged(np.array([7.0])).scores.tolist() == [0.0]


def test_huge_values_and_times_before_the_epoch_do_no_harm() -> None:
    state = np.zeros((1, WeirJudge.width))
    values = noise() * 1e300
    found = judged(values, state, begin=-1_000)
    assert np.isfinite(found.scores).all()
    assert state[0, SEEN] == len(values)


def test_series_do_not_disturb_one_another_and_cuts_change_nothing() -> None:
    judge = WeirJudge()
    one, other = noise(600, 1), days(600)
    both = np.stack([one, other], axis=1).ravel()
    numbers, times = np.tile([0, 1], 600), np.repeat(np.arange(600) * STEP, 2)
    states = np.zeros((2, judge.width))
    parts = [
        judge.judge(states, numbers[a:b], times[a:b], both[a:b], np.full(b - a, RATE)).scores
        for a, b in ((0, 1), (1, 501), (501, 1_200))
    ]
    scores = np.concatenate(parts)
    assert np.array_equal(scores[::2], judged(one).scores)
    assert np.array_equal(scores[1::2], judged(other).scores)

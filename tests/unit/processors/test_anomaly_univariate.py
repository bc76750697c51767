"""Detectors that can be chosen: what is strange to each, and what all of them keep to."""

import math
import random

import numpy as np
import pytest

from processors.anomalies.detectors import Detector, Judged, Memories, PlainJudge
from processors.anomalies.kernels import Floats
from processors.anomalies.series import Watched
from processors.anomalies.univariate import DETECTORS, RobustZ, Seasonal, fitted, surprise

HOUR = 3_600_000
NAMES = tuple(DETECTORS)


def judged(detector: Detector, values: list[float], step: int = HOUR) -> Judged:
    judge = PlainJudge(detector)
    count = len(values)
    states, numbers = np.zeros((1, judge.width)), np.zeros(count, np.int64)
    rates = np.full(count, 1e-3)
    return judge.judge(states, numbers, np.arange(count) * step, np.array(values), rates)


def noise(count: int = 1_200, seed: int = 1) -> list[float]:
    dice = random.Random(seed)
    return [dice.gauss(10.0, 1.0) for _ in range(count)]


@pytest.fixture(params=NAMES)
def detector(request: pytest.FixtureRequest) -> Detector:
    return DETECTORS[request.param]


def test_a_spike_on_either_side_is_flagged(detector: Detector) -> None:
    for height in (30.0, -30.0):
        values = noise(701)
        values[700] += height
        found = judged(detector, values)
        assert found.scores[700] >= 3.0
        assert found.fresh[700]


def test_false_alarms_keep_to_the_rate(detector: Detector) -> None:
    found = judged(detector, noise(2_400))
    assert (found.scores >= 3.0).sum() <= 3 * 2.4


def test_the_past_alone_judges(detector: Detector) -> None:
    values = noise(600)
    changed = [*values[:500], *(1e9 for _ in range(100))]
    one, other = judged(detector, values), judged(detector, changed)
    assert np.array_equal(one.scores[:500], other.scores[:500])


def test_bad_values_and_constant_ones_do_no_harm(detector: Detector) -> None:
    values = [7.0] * 600
    values[300], values[301], values[302] = math.nan, math.inf, -math.inf
    assert not judged(detector, values).scores.any()
    huge = [value * 1e300 for value in noise(600)]
    assert np.isfinite(judged(detector, huge).scores).all()


def test_robust_z_is_the_distance_in_deviations() -> None:
    memory: Floats = np.zeros(RobustZ.width)
    detector = RobustZ()
    for value in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0):
        assert math.isnan(detector.strangeness(memory, 0, 100.0)) or value == 9.0
        detector.learn(memory, 0, value)
    assert detector.strangeness(memory, 0, 5.0 + 2 * 1.4826 * 3) == pytest.approx(3.0)


def test_an_exponential_tail_is_fitted() -> None:
    dice = np.random.default_rng(1)
    shape, scale = fitted(dice.exponential(2.0, 20_000))
    assert (shape, scale) == (pytest.approx(0.0, abs=0.03), pytest.approx(2.0, rel=0.05))
    assert surprise(2.0 * math.log(100.0), 0.0, 2.0) == pytest.approx(2.0)
    # P(X > x) = (1 + 0.5 x / 2) ** -2
    assert surprise(4.0, 0.5, 2.0) == pytest.approx(math.log10(4.0))
    assert surprise(5.0, -0.5, 2.0) == 300.0


def test_only_the_seasonal_one_knows_the_hours() -> None:
    values = [
        value + 20.0 * math.sin(math.pi * n / 12) for n, value in enumerate(noise(24 * 40, seed=3))
    ]
    night = 24 * 35 + 18
    values[night] += 20.0
    found = {name: judged(each, values).scores[night] for name, each in DETECTORS.items()}
    assert found["seasonal"] >= 3.0
    assert max(found["robust-z"], found["spot"]) < 3.0


def test_a_memory_of_another_length_is_forgotten() -> None:
    memories = Memories(PlainJudge(RobustZ()))
    row = memories.take()
    memories.unpack(row, np.ones(memories.judge.width).astype("<f8").tobytes())
    assert memories.states[row].all()
    other = memories.take()
    memories.unpack(other, np.ones(3).tobytes())
    assert not memories.states[other].any()


def test_a_flag_that_is_not_stranger_than_before_raises_nothing_anew() -> None:
    series = Watched(("a",), "robust-z", 0)
    assert not series.turn(flagged=True, new=False, clear=2)
    assert series.turn(flagged=True, new=True, clear=2)
    flags = (False, True, False, False)
    turned = [series.turn(flagged=flagged, new=False, clear=2) for flagged in flags]
    assert turned == [False, False, False, True]


def test_an_hour_of_the_first_week_is_that_of_the_day_before() -> None:
    memory, detector = np.zeros(Seasonal.width), Seasonal()
    for hour in range(24):
        detector.learn(memory, hour * HOUR, 20.0 if hour == 3 else 10.0)
    usual, other = (detector.strangeness(memory, (24 + hour) * HOUR, 13.0) for hour in (3, 4))
    assert usual < other

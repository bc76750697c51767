"""Detectors of whole windows: what each number allows, and all together do not."""

import math

import numpy as np
import pytest

from processors.anomalies.cuts import displacement
from processors.anomalies.detectors import Judged, PlainJudge
from processors.anomalies.kernels import Floats
from processors.anomalies.multivariate import DIMS, VECTOR_DETECTORS, Mahalanobis, VectorDetector
from schemas.observing import QualityEvaluated
from tests.unit.processors.test_anomaly import made, noise, policy, said, verdicts, windows


@pytest.fixture(params=tuple(VECTOR_DETECTORS))
def detector(request: pytest.FixtureRequest) -> VectorDetector:
    return VECTOR_DETECTORS[request.param]


def vectors(count: int = 900, seed: int = 1) -> Floats:
    """Return vectors whose numbers rise and fall together, but for a little."""
    dice = np.random.default_rng(seed)
    return 10.0 + dice.normal(0.0, 1.0, (count, 1)) + dice.normal(0.0, 0.1, (count, DIMS))


def judged(detector: VectorDetector, values: Floats) -> Judged:
    judge = PlainJudge(detector)
    count = len(values)
    states, numbers = np.zeros((1, judge.width)), np.zeros(count, np.int64)
    return judge.judge(states, numbers, np.arange(count) * 1_000, values, np.full(count, 1e-3))


def test_a_vector_far_from_all_is_flagged(detector: VectorDetector) -> None:
    values = vectors(701)
    values[700] += np.array([40.0, -40.0, 40.0, -40.0, 40.0])
    assert judged(detector, values).scores[700] >= 3.0


def test_false_alarms_keep_to_the_rate(detector: VectorDetector) -> None:
    found = judged(detector, vectors(1_000, 3))
    assert ((found.scores >= 3.0) & found.fresh).sum() <= 6


def test_constant_and_bad_vectors_do_no_harm(detector: VectorDetector) -> None:
    values = np.full((400, DIMS), 7.0)
    values[300, 2], values[301, 0] = math.nan, math.inf
    assert not judged(detector, values).scores.any()
    assert np.isfinite(judged(detector, vectors(300) * 1e300).scores).all()


def test_a_vector_too_large_to_be_squared_is_flagged_and_the_next_ones_are_judged() -> None:
    values = vectors()
    values[[50, 700]] *= 1e200
    values[800] += 40.0
    found = judged(Mahalanobis(), values)
    assert np.flatnonzero((found.scores >= 3.0) & found.fresh)[-2:].tolist() == [700, 800]


def test_what_each_number_allows_all_together_may_not() -> None:
    values = vectors()
    values[800] = [11.0, 9.0, 11.0, 9.0, 11.0]
    assert judged(Mahalanobis(), values).scores[800] >= 3.0


def test_the_distance_is_that_of_the_covariance() -> None:
    dice = np.random.default_rng(2)
    memory, detector = np.zeros(Mahalanobis.width), Mahalanobis()
    for value in dice.normal(5.0, 2.0, (4_000, DIMS)):
        detector.learn(memory, 0, value)
    off = np.zeros(DIMS)
    off[1] = 6.0
    assert detector.strangeness(memory, 0, memory[1 : 1 + DIMS] + off) == pytest.approx(3, rel=0.15)


def test_a_point_alone_displaces_all_others() -> None:
    points = np.random.default_rng(4).normal(0.0, 0.01, (63, 2))
    assert displacement(points, np.array([1_000.0, 0.0])) == pytest.approx(63.0)
    assert displacement(points, points[0].copy()) < 20.0
    assert displacement(np.zeros((5, 2)), np.zeros(2)) == 0.0


def test_a_policy_lets_windows_be_judged_as_a_whole() -> None:
    seen = windows([*noise(700), 60.0])
    outputs = said(made(), seen, policy("detect", "mahalanobis"))
    assert verdicts(outputs)[-1] == ("degraded", 700)
    assert {one.rule for one in outputs if isinstance(one, QualityEvaluated)} == {"mahalanobis"}

"""How the statistics of several windows add up."""

import operator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import UnknownStatistic
from processors.measures import combined, holds, objection

NAMES = ("p50", "p90", "p95", "p99")


@dataclass(frozen=True)
class Summary:
    count: int
    mean: float
    min: float
    max: float
    p50: float
    p90: float
    p95: float
    p99: float


def summary(values: list[float]) -> Summary:
    quantiles = np.quantile(values, [0.5, 0.9, 0.95, 0.99]).tolist()
    return Summary(len(values), float(np.mean(values)), min(values), max(values), *quantiles)


samples = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=50)


@given(st.lists(samples, min_size=1, max_size=5))
def test_what_follows_exactly_is_exact(parts: list[list[float]]) -> None:
    windows = [summary(part) for part in parts]
    everything = [value for part in parts for value in part]

    assert combined(windows, "count") == len(everything)
    assert combined(windows, "mean") == pytest.approx(np.mean(everything), abs=1e-9)
    assert combined(windows, "min") == min(everything)
    assert combined(windows, "max") == max(everything)


@given(st.lists(samples, min_size=1, max_size=5), st.sampled_from(NAMES))
def test_a_quantile_lies_between_those_of_the_windows(parts: list[list[float]], name: str) -> None:
    windows = [summary(part) for part in parts]
    quantiles = [getattr(window, name) for window in windows]

    assert min(quantiles) <= combined(windows, name) <= max(quantiles)


def test_the_quantile_of_unlike_windows_comes_near_the_true_one() -> None:
    dice = np.random.default_rng(7)
    parts = [dice.exponential(20, 400), dice.exponential(60, 100), dice.normal(30, 4, 250)]
    windows = [summary(part.tolist()) for part in parts]

    for name, share in zip(NAMES, (0.5, 0.9, 0.95, 0.99), strict=True):
        true = float(np.quantile(np.concatenate(parts), share))
        assert combined(windows, name) == pytest.approx(true, rel=0.15)


def test_operators_and_statistics() -> None:
    for sign, function in {"<": operator.lt, "<=": operator.le, ">": operator.gt}.items():
        for value in (0.0, 1.0, 2.0):
            assert holds(value, sign, 1.0) == function(value, 1.0)
    assert objection("mean", ">=") == ""
    assert "known: mean" in objection("median", ">=")
    assert "operator '=='" in objection("p50", "==")
    with pytest.raises(UnknownStatistic):
        holds(1.0, "==", 1.0)
    with pytest.raises(UnknownStatistic):
        combined([summary([1.0])], "median")

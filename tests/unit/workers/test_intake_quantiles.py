"""Quantiles of histograms lie where the values are."""

import math
from bisect import bisect_left
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.intake.histograms import Histogram, added, described
from workers.intake.quantiles import coarser, explicit, exponential, quantile, suffix

BOUNDS = (-5.0, 0.0, 1.0, 10.0, 100.0)
VALUES = st.lists(st.floats(-50, 500), min_size=1, max_size=60)
SHARES = st.sampled_from((0.01, 0.25, 0.5, 0.9, 0.99))


def nth(values: list[float], q: float) -> float:
    """Return the least value with at least a share q of all values up to it."""
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]


def counted(values: list[float]) -> list[float]:
    counts = [0.0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    return counts


@given(VALUES, SHARES)
def test_an_estimate_lies_in_the_bucket_of_the_quantile(values: list[float], q: float) -> None:
    found = quantile(explicit(BOUNDS, counted(values), min(values), max(values)), q)
    edges = (-math.inf, *BOUNDS, math.inf)
    true = nth(values, q)
    place = bisect_left(BOUNDS, true)
    assert found is not None
    assert edges[place] <= found <= edges[place + 1]


def at_scale(values: list[float], scale: int) -> Counter[int]:
    """Return the bucket of each value as OpenTelemetry's data model defines it."""
    return Counter(math.ceil(math.log2(value) * 2.0**scale) - 1 for value in values)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60), SHARES, st.integers(0, 7))
def test_an_exponential_estimate_is_off_by_the_base_at_most(
    values: list[float], q: float, scale: int
) -> None:
    found = quantile(exponential(scale, 0, 0.0, at_scale(values, scale), {}), q)
    base = 2 ** (2.0**-scale)
    assert found is not None
    assert nth(values, q) / base / 1.000001 <= found <= nth(values, q) * base * 1.000001


def test_negative_values_and_zeros_come_first() -> None:
    buckets = exponential(0, 2, 0.0, {3: 1}, {0: 1, 4: 1})
    assert [(b.low, b.high) for b in buckets] == [(-32, -16), (-2, -1), (-0.0, 0.0), (8, 16)]
    assert quantile(buckets, 0.6) == 0.0
    assert quantile(buckets, 0.1) == pytest.approx(-32 * (16 / 32) ** 0.5)
    assert quantile(exponential(20, 0, 0.0, {10**9: 1}, {}), 0.5) == pytest.approx(
        2.0 ** (10**9 / 2**20)
    )


@pytest.mark.parametrize("scale", [-(2**31), -64, 2**31 - 1])
def test_no_scale_is_beyond_floats(scale: int) -> None:
    found = quantile(exponential(scale, 0, 0.0, {1: 1}, {}), 0.5)
    assert found is not None
    assert 1.0 <= found < math.inf


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40), st.integers(0, 5))
def test_coarser_buckets_are_those_of_the_lower_scale(values: list[float], steps: int) -> None:
    fine = {index: float(n) for index, n in at_scale(values, 6).items()}
    assert sum(coarser(fine, steps).values()) == len(values)
    if steps:
        assert coarser(fine, steps) == coarser(coarser(fine, 1), steps - 1)
    assert coarser({-3: 1.0, -4: 1.0, 4: 2.0, 5: 1.0}, 1) == {-2: 2.0, 2: 3.0}


def test_what_was_added_between_two_scales_is_told_at_the_coarser() -> None:
    last = Histogram.exponential(2, 3.0, 1, (0.0, 0.0), ({4: 1.0, 5: 1.0}, {}))
    now = Histogram.exponential(5, 33.0, 0, (1.0, 0.0), ({2: 3.0, 3: 1.0}, {}))
    more = added(now, last)
    assert not now.fell(last)
    assert (more.count, more.total, more.zero) == (3, 30.0, 1.0)
    assert more.above == {2: 1.0, 3: 1.0}


@pytest.mark.parametrize(
    "now",
    [
        Histogram.explicit(1, 1.0, (1.0,), (1.0, 0.0)),
        Histogram.explicit(9, 1.0, (2.0,), (9.0, 0.0)),
        Histogram.exponential(9, 1.0, 0, (0.0, 0.0), ({}, {})),
    ],
)
def test_fewer_values_or_other_buckets_mean_a_new_start(now: Histogram) -> None:
    assert now.fell(Histogram.explicit(2, 1.0, (1.0,), (1.0, 1.0)))


def test_a_histogram_is_told_by_count_sum_mean_and_quantiles() -> None:
    found = described(Histogram.explicit(4, 20.0, (10.0,), (4.0, 0.0)), (0.5, 0.999))
    assert found == [(".count", 4), (".sum", 20.0), (".mean", 5.0), (".p50", 5.0), (".p99.9", 9.99)]


def test_an_empty_histogram_has_no_mean() -> None:
    empty = Histogram.explicit(0, 0.0, (10.0,), (0.0, 0.0))
    assert described(empty, (0.5,)) == [(".count", 0), (".sum", 0.0)]


def test_no_buckets_give_no_quantiles() -> None:
    names = [name for name, _ in described(Histogram.explicit(3, 6.0, (), ()), (0.5,))]
    assert names == [".count", ".sum", ".mean"]
    assert described(Histogram.explicit(3, 6.0, (), (3.0,)), (0.5,))[-1] == (".mean", 2.0)


def test_quantiles_never_lie_beyond_the_extremes() -> None:
    told = dict(described(Histogram.explicit(2, 9.0, (1.0, 5.0), (0, 1, 1)), (0.01, 0.99), (4, 5)))
    assert 4 <= told[".p1"] <= told[".p99"] <= 5


@pytest.mark.parametrize(("q", "text"), [(0.5, ".p50"), (0.999, ".p99.9"), (0.07, ".p7")])
def test_a_quantile_names_itself(q: float, text: str) -> None:
    assert suffix(q) == text

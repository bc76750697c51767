"""The arithmetic of the benchmarks."""

import math

import pytest

from streams.bench.figures import (
    Sample,
    balance,
    capacity,
    judge,
    keeps_up,
    percentiles,
)


def samples(lags: list[int], rate: float = 1_000.0) -> list[Sample]:
    """Return one sample a second at a steady rate, each with its lag."""
    return [Sample(float(t), int(rate * t), int(rate * t) - lag) for t, lag in enumerate(lags)]


def test_percentiles_lie_between_neighbours() -> None:
    assert percentiles([float(n) for n in range(101)]) == {"p50": 50.0, "p99": 99.0}
    assert percentiles([1.0, 2.0]) == {"p50": 1.5, "p99": 2.0}
    assert percentiles([]) == {"p50": None, "p99": None}


def test_a_steady_lag_is_held() -> None:
    held = judge(samples([0] + [700] * 59), 1_000, 0.5)
    assert held.held
    assert held.rate == pytest.approx(1_000)
    assert (held.early, held.late) == (700, 700)


def test_a_lag_that_grows_is_not_held() -> None:
    verdict = judge(samples([20 * t for t in range(60)]), 1_000, 0.5)
    assert not verdict.held
    assert verdict.reason == "lag grew from 390 to 1,090"


def test_a_lag_may_grow_by_the_slack_and_no_more() -> None:
    early, inside, beyond = [100] * 40, [600] * 20, [601] * 20
    assert judge(samples(early + inside), 1_000, 0.5).held
    assert not judge(samples(early + beyond), 1_000, 0.5).held


def test_a_saw_is_no_growth() -> None:
    assert judge(samples([t % 5 * 400 for t in range(60)]), 1_000, 0.5).held


def test_what_happens_before_a_quarter_of_the_time_is_the_start() -> None:
    assert judge(samples([9_000 - t * 600 for t in range(15)] + [0] * 45), 1_000, 0.1).held


def test_a_producer_that_falls_short_holds_nothing() -> None:
    verdict = judge(samples([0] * 60, rate=940), 1_000, 0.5)
    assert not verdict.held
    assert verdict.reason == "the producer reached 940/s"
    assert judge(samples([0] * 60, rate=960), 1_000, 0.5).held


def test_few_samples_hold_nothing() -> None:
    assert not judge(samples([0, 0, 0]), 1_000, 0.5).held


@pytest.mark.parametrize("true", [37.0, 1_000.0, 4_000.0, 123_456.0])
def test_the_search_finds_a_capacity_from_below(true: float) -> None:
    tried: list[float] = []

    def tries(rate: float) -> bool:
        tried.append(rate)
        return rate <= true

    found = capacity(tries, 1_000.0, 3, 1e6)
    assert found <= true <= found * 1.6 ** (1 / 4)
    assert len(tried) <= 16


def test_the_search_ends_where_nothing_is_held_and_where_everything_is() -> None:
    assert capacity(lambda _: False, 1_000.0, 3, 1e6) == 0.0
    assert capacity(lambda _: True, 1_000.0, 3, 5_000.0) == pytest.approx(1_000 * 1.6**3)


def test_a_balance_tells_lost_from_doubled() -> None:
    assert balance(10, 8) == (2, 0)
    assert balance(10, 13) == (0, 3)
    assert balance(10, 10) == (0, 0)


def test_requests_are_kept_up_with() -> None:
    assert keeps_up([10.0] * 300) == ""
    assert keeps_up([10.0] * 200 + [39.0] * 100) == ""


def test_requests_that_wait_ever_longer_are_not_kept_up_with() -> None:
    assert keeps_up([10.0] * 200 + [41.0] * 100) == "latency grew from 10 to 41 ms"


def test_requests_without_an_answer_are_not_kept_up_with() -> None:
    assert keeps_up([10.0] * 297 + [None] * 3) == ""
    told = keeps_up([10.0] * 296 + [None] * 4)
    assert told == "4 of 300 requests without a complete answer"
    assert keeps_up([]) == "no requests"
    assert keeps_up([None] * 5)


def test_the_first_rate_may_be_far_too_high() -> None:
    assert math.isclose(capacity(lambda rate: rate <= 130, 4_000.0, 0, 1e6), 125.0)

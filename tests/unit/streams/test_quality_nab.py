"""The score of NAB, against cases that were worked out by hand."""

import math

import numpy as np
import pytest

from streams.bench.quality_nab import (
    PROFILES,
    Profile,
    Scored,
    at_threshold,
    probation,
    scaled_sigmoid,
    swept,
)

STANDARD = PROFILES["standard"]


def series(rows: int, found: dict[int, float], *windows: tuple[int, int]) -> Scored:
    """Return a series whose rows score 0 but for those given."""
    scores = np.zeros(rows)
    for row, score in found.items():
        scores[row] = score
    return Scored(scores, windows)


def test_the_sigmoid_is_the_published_one() -> None:
    assert scaled_sigmoid(-1.0) == pytest.approx(0.98661, abs=1e-5)
    assert scaled_sigmoid(-0.5) == pytest.approx(0.84828, abs=1e-5)
    assert scaled_sigmoid(0.0) == 0.0
    assert scaled_sigmoid(1.0) == pytest.approx(-0.98661, abs=1e-5)
    assert scaled_sigmoid(3.0) == -1.0


def test_probation_ends_at_750_rows() -> None:
    assert [probation(rows) for rows in (0, 99, 4_032, 5_000, 22_695)] == [0, 14, 604, 750, 750]


def test_the_first_row_of_a_window_is_perfect_and_silence_is_nothing() -> None:
    one = [series(100, {40: 0.9}, (40, 49))]
    assert at_threshold(one, 0.9, STANDARD) == pytest.approx(100.0)
    assert at_threshold(one, 0.91, STANDARD) == 0.0


def test_later_rows_of_a_window_are_worth_less_and_only_the_best_counts() -> None:
    # row 45 of 40..49: position -(49 - 45 + 1) / 10 = -0.5
    middle = 0.84828 / 0.98661
    expected = 100 * (middle + 1) / 2
    late = series(100, {45: 0.9, 46: 0.9, 49: 0.9}, (40, 49))
    assert at_threshold([late], 0.5, STANDARD) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("name", "weight"), [("standard", 0.11), ("low_fp", 0.22)])
def test_a_false_detection_costs_its_weight(name: str, weight: float) -> None:
    # before any window, and more than three widths behind one
    for row in (30, 90):
        one = [series(100, {40: 1.0, row: 1.0}, (40, 49))]
        expected = 100 * (1 - weight + 1) / 2
        assert at_threshold(one, 0.5, PROFILES[name]) == pytest.approx(expected)


def test_a_false_detection_just_behind_a_window_costs_less() -> None:
    # row 52, width 10: position 3 / 9
    cost = 0.11 * (1 - 2 / (1 + math.exp(5 / 3)))
    one = [series(100, {40: 1.0, 52: 1.0}, (40, 49))]
    assert at_threshold(one, 0.5, STANDARD) == pytest.approx(100 * (2 - cost) / 2)


def test_a_missed_window_weighs_double_where_misses_are_dear() -> None:
    one = [series(100, {20: 1.0}, (20, 24), (60, 64))]
    assert at_threshold(one, 0.5, STANDARD) == pytest.approx(50.0)
    # silence: -4, perfection: 2, here: 1 - 2
    assert at_threshold(one, 0.5, PROFILES["low_fn"]) == pytest.approx(100 * 3 / 6)


def test_probation_counts_for_nothing() -> None:
    one = [series(100, {3: 1.0, 40: 1.0}, (1, 10), (40, 49))]
    assert at_threshold(one, 0.5, STANDARD) == pytest.approx(100.0)


def test_all_series_have_one_threshold() -> None:
    two = [series(100, {40: 0.5}, (40, 49)), series(100, {40: 0.9, 80: 0.6}, (40, 49))]
    best = swept(two, STANDARD)
    assert best.threshold == 0.5
    assert best.score == pytest.approx(100 * (2 - 0.11 + 2) / 4)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_best_threshold_is_the_best_of_all(profile: Profile) -> None:
    dice = np.random.default_rng(5)
    several = [
        Scored(np.round(dice.random(200), 2), ((50, 69), (120, 139)) if number else ())
        for number in range(3)
    ]
    best = swept(several, profile)
    each = [at_threshold(several, t / 100, profile) for t in range(102)]
    assert best.score == pytest.approx(max(each))
    assert at_threshold(several, best.threshold, profile) == pytest.approx(best.score)


def test_where_every_detection_costs_silence_is_best() -> None:
    best = swept([series(100, {90: 1.0}, (20, 24))], STANDARD)
    assert (best.score, best.threshold) == (0.0, math.inf)


def test_without_windows_there_is_no_score() -> None:
    assert math.isnan(at_threshold([series(100, {50: 1.0})], 0.5, STANDARD))
    assert math.isnan(swept([], STANDARD).score)

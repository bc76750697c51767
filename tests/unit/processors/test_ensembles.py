"""Prediction, score and search: against brute force, and against what must hold for all."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.selecting import ensembles as e
from processors.selecting import searching, voting

FEW = settings(max_examples=25)
ACCURACIES = st.lists(st.floats(0.02, 0.98), min_size=1, max_size=5)


def candidate(name: str, accuracy: float, cost: float = 1.0, latency: float = 5.0) -> e.Candidate:
    return e.Candidate(
        service=name,
        stage="s",
        accuracy=accuracy,
        latency_ms=latency,
        latency_high_ms=latency,
        cost=cost,
    )


def objective(**more: object) -> e.Objective:
    base = e.Objective(accuracy=0.6, latency=0.2, cost=0.2, latency_scale_ms=50, cost_scale=20)
    return replace(base, **more)  # type: ignore[arg-type]


def several(number: int, seed: int = 1) -> list[e.Candidate]:
    dice = random.Random(seed)
    return [
        candidate(f"s{i}", dice.uniform(0.5, 0.98), dice.uniform(0.5, 6), dice.uniform(1, 40))
        for i in range(number)
    ]


def weights_of(accuracies: list[float], classes: int = 10) -> list[float]:
    return list(voting.log_odds(np.array(accuracies), classes))


def row(values: list[float]) -> voting.Floats:
    return np.array([values])


@FEW
@given(ACCURACIES)
def test_independent_votes_are_counted_like_brute_force(accuracies: list[float]) -> None:
    weights = weights_of(accuracies)
    expected = 0.0
    for right in itertools.product((True, False), repeat=len(accuracies)):
        chance, margin = 1.0, 0.0
        for ok, accuracy, weight in zip(right, accuracies, weights, strict=True):
            chance *= accuracy if ok else 1 - accuracy
            margin += weight if ok else -weight
        expected += chance * (0.5 if abs(margin) < 1e-9 else float(margin > 0))
    assert voting.independent(row(accuracies), row(weights))[0] == pytest.approx(expected)


@FEW
@given(ACCURACIES)
def test_comonotone_votes_are_counted_like_sampling_the_difficulty(accuracies: list[float]) -> None:
    weights = weights_of(accuracies)
    steps = 4000
    difficulty = (np.arange(steps)[:, None] + 0.5) / steps
    margin = np.where(difficulty < accuracies, weights, -np.array(weights)).sum(axis=1)
    right = np.where(np.abs(margin) < 1e-9, 0.5, margin > 0).mean()
    found = voting.comonotone(row(accuracies), row(weights))[0]
    assert found == pytest.approx(right, abs=2e-3)


def test_a_single_member_is_as_good_as_it_is() -> None:
    assert voting.sides(row([0.7]), row([1.0]), 0.3)[0] == pytest.approx(0.7)


def test_three_equal_voters_follow_condorcet_and_correlation_takes_the_gain_away() -> None:
    three, weights = row([0.8] * 3), row([1.0] * 3)
    assert voting.sides(three, weights, 0.0)[0] == pytest.approx(0.896)
    assert voting.sides(three, weights, 1.0)[0] == pytest.approx(0.8)


def test_nobody_changes_no_vote() -> None:
    some, weights = [0.8, 0.75, 0.7], [1.0, 1.2, 0.9]
    for correlation in (0.0, 0.5, 1.0):
        alone = voting.sides(row(some), row(weights), correlation)
        beside = voting.sides(row([*some, 0.0]), row([*weights, 0.0]), correlation)
        assert beside == pytest.approx(alone)


@FEW
@given(st.floats(0.0, 1.0))
def test_the_correlation_is_found_again_from_what_it_predicts(correlation: float) -> None:
    accuracies = [0.8, 0.75, 0.7]
    weights = [1.0, 1.0, 1.0]
    observed = float(voting.sides(row(accuracies), row(weights), correlation)[0])
    assert voting.correlation(accuracies, weights, observed) == pytest.approx(correlation, abs=1e-6)


def test_a_single_member_tells_nothing_about_correlation() -> None:
    assert voting.correlation([0.8], [1.0], 0.6) is None


def test_what_meets_the_contract_beats_whatever_does_not() -> None:
    cheap, good = candidate("cheap", 0.79, 0.1), candidate("good", 0.81, 19.0)
    found = searching.search(
        [cheap, good], objective(bounds=(e.Bound("accuracy", 0.8),), max_members=1), 5
    )
    assert found.ranked[0].services == ("good",)
    assert found.ranked[0].score < found.ranked[1].score
    assert found.ranked[0].value > found.ranked[1].value


def test_where_none_meets_the_contract_the_nearest_wins() -> None:
    options = [candidate("far", 0.5, 0.1), candidate("near", 0.7, 9.0)]
    bounds = (e.Bound("accuracy", 0.9),)
    found = searching.search(options, objective(bounds=bounds, max_members=1), 2)
    assert found.ranked[0].services == ("near",)


def test_a_latency_clause_rules_slow_services_out() -> None:
    options = [candidate("slow", 0.99, 1, 40), candidate("fast", 0.9, 1, 5)]
    bounds = (e.Bound("latency_high", 30.0),)
    assert searching.search(options, objective(bounds=bounds), 1).ranked[0].services == ("fast",)


def test_twice_the_cost_counts_the_same_wherever_it_starts() -> None:
    wanted = objective(cost=1.0, accuracy=0.0, latency=0.0, cost_floor=1.0, cost_scale=64.0)
    scores = [
        searching.evaluated([candidate("a", 0.9, cost)], wanted).score for cost in (1, 2, 4, 8, 128)
    ]
    assert scores[:4] == pytest.approx([1.0, 5 / 6, 4 / 6, 3 / 6])
    assert scores[4] == 0.0


def test_every_stage_is_represented_where_the_contract_leaves_room() -> None:
    options = [
        replace(candidate("a", 0.9), stage="one"),
        replace(candidate("b", 0.99), stage="one"),
        replace(candidate("c", 0.6, 5), stage="two"),
    ]
    best = searching.search(options, objective(stages=("one", "two")), 1).ranked[0]
    assert {m.stage for m in best.members} == {"one", "two"}


def test_enumeration_is_exact() -> None:
    options, wanted = several(6), objective(max_members=3)
    every = [
        searching.evaluated(c, wanted)
        for n in (1, 2, 3)
        for c in itertools.combinations(options, n)
    ]
    found = searching.search(options, wanted, 4)
    assert found.gap == 0.0
    assert found.algorithm == "exact"
    assert [s.value for s in found.ranked] == sorted((s.value for s in every), reverse=True)[:4]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("correlation", [0.0, 0.4, 1.0])
def test_the_gap_of_a_bounded_search_is_never_understated(seed: int, correlation: float) -> None:
    options = several(13, seed)
    wanted = objective(max_members=3, correlation=correlation)
    table = searching.tabled(options, wanted)
    best = searching.exact(table, 1).ranked[0].value
    for nodes in (0, 20, 20_000):
        found = searching.branch_and_bound(table, 1, nodes)
        assert found.ranked[0].value <= best + 1e-12
        assert best <= found.ranked[0].value + found.gap + 1e-12
    assert found.gap == 0.0
    assert found.ranked[0].value == pytest.approx(best)


@FEW
@given(st.permutations(several(7)))
def test_the_order_of_candidates_does_not_matter(options: list[e.Candidate]) -> None:
    assert searching.search(options, objective(), 5) == searching.search(several(7), objective(), 5)


@FEW
@given(st.floats(-10, 10), st.floats(0, 1e6), st.floats(0, 1e6))
def test_scores_stay_between_nought_and_one(accuracy: float, cost: float, latency: float) -> None:
    share = min(1.0, max(0.0, accuracy))
    scored = searching.evaluated([candidate("a", share, cost, latency)], objective())
    assert 0.0 <= scored.score <= 1.0 + 1e-12

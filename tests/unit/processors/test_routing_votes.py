"""The vote, as a function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.routing.votes import COMBINERS, Verdict, Vote, combine, weights_of


def test_ties_go_to_the_highest_single_weight_and_then_by_name() -> None:
    votes = [Vote(2.0, "b"), Vote(1.0, "a"), Vote(1.0, "a")]
    assert combine("weighted_vote", votes, 4.0) == Verdict("b", 0.5)
    assert combine("weighted_vote", [Vote(1.0, "b"), Vote(1.0, "a")], 2.0) == Verdict("a", 0.5)


def test_mean_looks_at_every_class() -> None:
    classes = ("cat", "dog")
    votes = [
        Vote(1.0, "cat", scores=(0.51, 0.49), classes=classes),
        Vote(1.0, "cat", scores=(0.51, 0.49), classes=classes),
        Vote(1.0, "dog", scores=(0.0, 1.0), classes=classes),
    ]
    assert combine("weighted_vote", votes, 3.0) == Verdict("cat", pytest.approx(2 / 3))
    verdict = combine("mean", votes, 3.0)
    assert verdict is not None
    assert (verdict.label, verdict.classes) == ("dog", classes)
    assert verdict.confidence == pytest.approx(0.66)
    assert verdict.scores == pytest.approx((0.34, 0.66))


def test_stacking_weighs_each_probability_of_each_member() -> None:
    classes = ("cat", "dog")
    careful = Vote(1.0, "cat", scores=(0.6, 0.4), classes=classes, weights={"cat": 1.0, "dog": 4.0})
    plain = Vote(1.0, "cat", scores=(0.7, 0.3), classes=classes)
    assert combine("weighted_vote", [careful, plain], 2.0) == Verdict("cat", 1.0)
    verdict = combine("stacking", [careful, plain], 3.0)
    assert verdict is not None
    assert (verdict.label, verdict.classes) == ("dog", classes)
    whole = 1.3 + 1.9 + 1.0  # 1 * 0.6 + 1 * 0.7 for cat, 4 * 0.4 + 1 * 0.3 for dog, 1 is missing
    assert verdict.confidence == pytest.approx(1.9 / whole)
    assert verdict.scores == pytest.approx((1.3 / whole, 1.9 / whole))


def test_the_first_and_the_last_answer_count_alone() -> None:
    votes = [Vote(1.0, "cat", 0.6), Vote(5.0, "dog", 0.9), Vote(1.0, "owl")]
    assert combine("first", votes, 10.0) == Verdict("cat", 0.6)
    assert combine("last", votes[:2], 10.0) == Verdict("dog", 0.9)
    assert combine("last", votes, 10.0) == Verdict("owl", 0.1)


def test_useless_weights_count_alike() -> None:
    assert weights_of([-1.0, 0.0]) == (1.0, 1.0)
    assert weights_of([-1.0, 2.0]) == (0.0, 2.0)
    assert combine("weighted_vote", [], 1.0) is None


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.sampled_from("abc")), min_size=1, max_size=7),
    st.sampled_from([*COMBINERS, "unheard-of"]),
    st.randoms(use_true_random=False),
)
def test_a_verdict_is_one_of_the_votes_whatever_their_order(
    drawn: list[tuple[float, str]], how: str, chance: object
) -> None:
    weights = weights_of([weight for weight, _ in drawn])
    votes = [Vote(weight, label) for weight, (_, label) in zip(weights, drawn, strict=True)]
    verdict = combine(how, votes, sum(weights))
    assert verdict is not None
    assert verdict.label in {vote.label for vote in votes}
    assert 0.0 <= verdict.confidence <= 1.0
    if how not in ("first", "last"):
        again = list(votes)
        chance.shuffle(again)  # type: ignore[attr-defined]  # a random.Random
        shuffled = combine(how, again, sum(weights))
        assert shuffled is not None
        assert shuffled.label == verdict.label

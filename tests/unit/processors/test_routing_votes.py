"""The vote, as a function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.routing.votes import Verdict, Vote, combine, weights_of


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


def test_useless_weights_count_alike() -> None:
    assert weights_of([-1.0, 0.0]) == (1.0, 1.0)
    assert weights_of([-1.0, 2.0]) == (0.0, 2.0)
    assert combine("weighted_vote", [], 1.0) is None


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.sampled_from("abc")), min_size=1, max_size=7),
    st.sampled_from(["weighted_vote", "mean", "first", "unheard-of"]),
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
    if how != "first":
        again = list(votes)
        chance.shuffle(again)  # type: ignore[attr-defined]  # a random.Random
        shuffled = combine(how, again, sum(weights))
        assert shuffled is not None
        assert shuffled.label == verdict.label

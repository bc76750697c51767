"""How members' answers become one.

Sources: class-weighted majority voting with ties to the highest single weight (Cocktail, NSDI
2022); a prediction's confidence falls with the members that are missing (Clipper, NSDI 2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vote:
    """One member's answer; `scores` are the probabilities of `classes`, both possibly empty."""

    weight: float
    label: str
    confidence: float | None = None
    scores: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The combined label and how sure it is, 0 to 1."""

    label: str
    confidence: float


def weights_of(declared: Sequence[float]) -> tuple[float, ...]:
    """Return weights that can vote: negative ones count as 0, and all as 1 when none is left."""
    usable = tuple(max(0.0, weight) for weight in declared)
    return usable if sum(usable) > 0 else (1.0,) * len(usable)


def weighted_vote(votes: Sequence[Vote], total: float) -> Verdict:
    """Return the label with most weight; ties go to the highest single weight, then by name.

    Its confidence is its share of `total`, the weight of all members, missing ones included.
    """
    sums: dict[str, float] = {}
    single: dict[str, float] = {}
    for vote in votes:
        sums[vote.label] = sums.get(vote.label, 0.0) + vote.weight
        single[vote.label] = max(single.get(vote.label, 0.0), vote.weight)
    label = min(sums, key=lambda name: (-round(sums[name], 12), -single[name], name))
    return Verdict(label, _share(sums[label], total))


def mean(votes: Sequence[Vote], total: float) -> Verdict:
    """Return the class with the highest weighted mean probability, which is the confidence.

    Votes without scores give their whole weight to their label; missing members give nothing.
    """
    sums: dict[str, float] = {}
    for vote in votes:
        scored = dict(zip(vote.classes, vote.scores, strict=False)) or {vote.label: 1.0}
        for name, score in scored.items():
            sums[name] = sums.get(name, 0.0) + vote.weight * score
    label = min(sums, key=lambda name: (-round(sums[name], 12), name))
    return Verdict(label, _share(sums[label], total))


def first(votes: Sequence[Vote], total: float) -> Verdict:
    """Return the first vote that came in, with its own confidence or else its share of weight."""
    vote = votes[0]
    own = vote.confidence
    return Verdict(vote.label, _share(vote.weight, total) if own is None else own)


_WAYS: dict[str, Callable[[Sequence[Vote], float], Verdict]] = {
    "weighted_vote": weighted_vote,
    "mean": mean,
    "first": first,
}


def combine(how: str, votes: Sequence[Vote], total: float) -> Verdict | None:
    """Combine votes, in order of arrival, as EnsembleSelected.combine says; None without votes.

    A way that this version does not know counts as weighted_vote.
    """
    return _WAYS.get(how, weighted_vote)(votes, total) if votes else None


def _share(part: float, total: float) -> float:
    return min(1.0, part / total) if total > 0 else 0.0

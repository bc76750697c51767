"""How members' answers become one: the combiners, Weir's own and those of others.

A combiner of others is a function that an installed distribution names under the entry point
group `weir.combiners`; applications, stages and selections call it by its name:

    def surest(votes: Sequence[Vote], total: float) -> Verdict:
        best = max(votes, key=lambda vote: vote.confidence or 0.0)
        return Verdict(best.label, best.confidence or 0.0)

It gets the votes in order of arrival, at least one, and the weight of all members, those that are
missing included. The laws of processors hold for it: it depends on its arguments alone, and
changes nothing.

Sources: class-weighted majority voting with ties to the highest single weight (Cocktail, NSDI
2022); a prediction's confidence falls with the members that are missing (Clipper, NSDI 2017);
stacking of class probabilities by one linear function a class (Ting and Witten, JAIR 1999).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from processors.errors import ProcessorError

GROUP = "weir.combiners"
_NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})
_DIGITS = 12
"""Sums that differ less than this many decimals say count as equal: the order is none of it."""


class CombinerFailed(ProcessorError):
    """What a combiner of others raised, told by whoever loaded it."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One member's answer; `scores` are the probabilities of `classes`, both possibly empty.

    `weights` says how much the member counts for single classes; for others it is `weight`.
    """

    weight: float
    label: str
    confidence: float | None = None
    scores: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=lambda: _NO_WEIGHTS)

    def weight_for(self, label: str) -> float:
        """Return how much the member counts for a class; never less than nothing."""
        return max(0.0, self.weights.get(label, self.weight)) if self.weights else self.weight

    def scored(self) -> Mapping[str, float]:
        """Return the probability of each class; all of it for the label when there is no other."""
        return dict(zip(self.classes, self.scores, strict=False)) or {self.label: 1.0}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The combined label and how sure it is, 0 to 1; `scores` of `classes` where there are any."""

    label: str
    confidence: float
    classes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()


Combiner = Callable[[Sequence[Vote], float], Verdict]


def weights_of(declared: Sequence[float]) -> tuple[float, ...]:
    """Return weights that can vote: negative ones count as 0, and all as 1 when none is left."""
    usable = tuple([weight if weight > 0 else 0.0 for weight in declared])
    return usable if sum(usable) > 0 else (1.0,) * len(usable)


def weighted_vote(votes: Sequence[Vote], total: float) -> Verdict:
    """Return the label with most weight; ties go to the highest single weight, then by name.

    Each member counts as much as it does for the class that it names. The confidence is the
    label's share of `total`, or of what was given where that is more.
    """
    sums: dict[str, float] = {}
    single: dict[str, float] = {}
    for vote in votes:
        weight = vote.weight_for(vote.label)
        sums[vote.label] = sums.get(vote.label, 0.0) + weight
        single[vote.label] = max(single.get(vote.label, 0.0), weight)
    label = min(sums, key=lambda name: (-round(sums[name], _DIGITS), -single[name], name))
    missing = max(0.0, total - math.fsum(vote.weight for vote in votes))
    return Verdict(label, _share(sums[label], math.fsum(sums.values()) + missing))


def mean(votes: Sequence[Vote], total: float) -> Verdict:
    """Return the class with the highest weighted mean probability, which is the confidence.

    Votes without scores give their whole weight to their label; missing members give nothing.
    """
    sums: dict[str, float] = {}
    for vote in votes:
        for name, score in vote.scored().items():
            sums[name] = sums.get(name, 0.0) + vote.weight * score
    label = min(sums, key=lambda name: (-round(sums[name], _DIGITS), name))
    classes = _classes(votes, sums)
    scores = tuple(_share(sums.get(name, 0.0), total) for name in classes)
    return Verdict(label, _share(sums[label], total), classes, scores)


def stacking(votes: Sequence[Vote], total: float) -> Verdict:
    """Return the class whose linear function of the members' probabilities is highest.

    The coefficients are the class weights that the selection gives. Scores are the functions'
    values as shares of their sum; of missing members' weight nobody has anything.
    """
    sums: dict[str, float] = {}
    for vote in votes:
        for name, score in vote.scored().items():
            sums[name] = sums.get(name, 0.0) + vote.weight_for(name) * score
    label = min(sums, key=lambda name: (-round(sums[name], _DIGITS), name))
    missing = max(0.0, total - math.fsum(vote.weight for vote in votes))
    whole = math.fsum(sums.values()) + missing
    classes = _classes(votes, sums)
    scores = tuple(_share(sums.get(name, 0.0), whole) for name in classes)
    return Verdict(label, _share(sums[label], whole), classes, scores)


def first(votes: Sequence[Vote], total: float) -> Verdict:
    """Return the first vote that came in, with its own confidence or else its share of weight."""
    vote = votes[0]
    own = vote.confidence
    sure = _share(vote.weight, total) if own is None else own
    return Verdict(vote.label, sure, vote.classes, vote.scores)


def last(votes: Sequence[Vote], total: float) -> Verdict:
    """Return the vote that came last: in a cascade that of the member escalated to."""
    return first(votes[-1:], total)


COMBINERS: Mapping[str, Combiner] = {
    "weighted_vote": weighted_vote,
    "mean": mean,
    "stacking": stacking,
    "first": first,
    "last": last,
}
"""Weir's own combiners by name."""


def combine(
    how: str,
    votes: Sequence[Vote],
    total: float,
    others: Mapping[str, Combiner] = MappingProxyType({}),
) -> Verdict | None:
    """Combine votes, in order of arrival, as EnsembleSelected.combine says; None without votes.

    A way that is not known, or of others that fails, counts as weighted_vote.
    """
    if not votes:
        return None
    way = COMBINERS.get(how) or others.get(how)
    if way is None:
        return weighted_vote(votes, total)
    try:
        return way(votes, total)
    except CombinerFailed:
        return weighted_vote(votes, total)


def is_decided(votes: Sequence[Vote], left: Sequence[float]) -> bool:
    """Tell whether a weighted vote cannot change any more, whatever the others say.

    `left` are the most that each of them can count. The leader must be ahead by more than all of
    these together: ties are not decided before the end.
    """
    sums: dict[str, float] = {}
    for vote in votes:
        sums[vote.label] = sums.get(vote.label, 0.0) + vote.weight_for(vote.label)
    if not sums:
        return False
    label = max(sums, key=lambda name: sums[name])
    second = max((sums[name] for name in sums if name != label), default=0.0)
    return round(sums[label] - second - math.fsum(left), _DIGITS) > 0


def mean_scores(votes: Sequence[Vote]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return classes and their weighted mean probabilities; nothing where classes differ."""
    classes = votes[0].classes
    total = math.fsum(vote.weight for vote in votes)
    if total <= 0 or any(vote.classes != classes for vote in votes):
        return (), ()
    sums = [0.0] * len(classes)
    for vote in votes:
        share = vote.weight / total
        for place, score in enumerate(vote.scores):
            sums[place] += share * score
    return classes, tuple(min(1.0, score) for score in sums)


def _classes(votes: Sequence[Vote], named: Iterable[str]) -> tuple[str, ...]:
    """Return the classes in the models' order where they have one, else by name."""
    classes = votes[0].classes
    alike = bool(classes) and all(vote.classes == classes for vote in votes)
    return classes if alike else tuple(sorted(named))


def agreement(votes: Sequence[Vote], label: str, asked: int) -> float:
    """Return the share of the members asked that voted for a label."""
    return sum(vote.label == label for vote in votes) / asked if asked else 0.0


def _share(part: float, total: float) -> float:
    return min(1.0, max(0.0, part / total)) if total > 0 else 0.0

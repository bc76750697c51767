"""Which services together serve best: prediction, score and search over ensembles.

**Accuracy.** A weighted majority vote of members whose errors are independent is the optimistic
case; members that all fail on the same hard inputs (comonotone: member i is right whenever an
input's difficulty, uniform on 0 to 1, is below its accuracy) are the pessimistic one. The
prediction is (1 - r) * independent + r * comonotone, both computed exactly over the members'
accuracies and weights, with all wrong votes taken to agree. The correlation r is what the present
ensemble's observed accuracy says about its members (`correlation`).

**Weights** are log-odds plus log(classes - 1), the optimal weights of independent voters whose
errors spread evenly over the wrong classes (Littlestone & Warmuth 1994; SAMME, Zhu et al. 2009).

**Latency** is the largest of the members' (they run side by side) plus what routing adds;
**cost** is the sum.

**Score** = w_a * A + w_l * L + w_c * C in 0 to 1, each part clipped to 0 to 1:
A = (accuracy - floor) / (1 - floor), L = 1 - latency / latency_scale,
C = 1 - log(cost / cost_floor) / log(cost_scale / cost_floor): costs range over orders of magnitude,
and twice the cost counts the same wherever it starts.
**Value** = the score where every clause is met, else score - 1 - 2 * shortfall, the shortfall
being the sum over clauses of the relative distance from the threshold: whatever meets the
contract beats whatever does not.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

EXACT_CANDIDATES = 12
_EPSILON = 1e-9
_PENALTY = 2.0
_LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A service that may be a member: what is known of it.

    `latency_ms` is the mean and `latency_high_ms` the 95th percentile.
    """

    service: str
    stage: str
    accuracy: float
    latency_ms: float
    latency_high_ms: float
    cost: float


@dataclass(frozen=True, slots=True)
class Bound:
    """A clause that an ensemble can be judged by before it serves.

    `what` is accuracy, latency (mean) or latency_high; accuracy is bounded from below, latencies
    from above.
    """

    what: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is wanted: weights that add up to 1, bounds, scales, and what prediction needs.

    `overhead_ms` is what routing adds to the slowest member; `stages` must all be represented.
    """

    accuracy: float
    latency: float
    cost: float
    bounds: tuple[Bound, ...] = ()
    max_members: int = 3
    accuracy_floor: float = 0.5
    latency_scale_ms: float = 1.0
    cost_floor: float = 1.0
    cost_scale: float = 10.0
    correlation: float = 0.5
    classes: int = 2
    overhead_ms: float = 0.0
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """An ensemble with its predictions; `value` orders ensembles, larger is better."""

    members: tuple[Candidate, ...]
    weights: tuple[float, ...]
    accuracy: float
    latency_ms: float
    latency_high_ms: float
    cost: float
    score: float
    shortfall: float

    @property
    def value(self) -> float:
        """Return the score, or below 0 by the shortfall when a clause is not met."""
        if self.shortfall <= _EPSILON:
            return self.score
        return self.score - 1.0 - _PENALTY * self.shortfall

    @property
    def services(self) -> tuple[str, ...]:
        """Return the members' names in order."""
        return tuple(member.service for member in self.members)


NOBODY = Scored(
    members=(),
    weights=(),
    accuracy=0.0,
    latency_ms=0.0,
    latency_high_ms=0.0,
    cost=0.0,
    score=0.0,
    shortfall=0.0,
)
"""No ensemble at all."""


@dataclass(frozen=True, slots=True)
class Found:
    """Ensembles, best first, and by how much the first may fall short of the optimum."""

    ranked: tuple[Scored, ...]
    algorithm: str
    gap: float


def vote_weights(accuracies: Sequence[float], classes: int) -> tuple[float, ...]:
    """Return the voting weight per accuracy; at least 0.05, so that every member is heard."""
    spread = math.log(max(1, classes - 1))
    return tuple(
        max(_LEAST_WEIGHT, math.log(p / (1.0 - p)) + spread)
        for p in (min(0.99, max(0.01, accuracy)) for accuracy in accuracies)
    )


def independent(accuracies: Sequence[float], weights: Sequence[float]) -> float:
    """Return how often a weighted majority is right when errors are independent; a tie is half."""
    chance, margin = np.ones(1), np.zeros(1)
    for accuracy, weight in zip(accuracies, weights, strict=True):
        chance = np.concatenate((chance * accuracy, chance * (1.0 - accuracy)))
        margin = np.concatenate((margin + weight, margin - weight))
    ties = np.abs(margin) <= _EPSILON
    return float(chance[(margin > 0) & ~ties].sum() + 0.5 * chance[ties].sum())


def comonotone(accuracies: Sequence[float], weights: Sequence[float]) -> float:
    """Return how often a weighted majority is right when members fail on the same inputs."""
    members = sorted(zip(accuracies, weights, strict=True), reverse=True)
    margin, right = -sum(weights), 0.0
    for position, (accuracy, weight) in enumerate(members):
        margin += 2.0 * weight
        following = members[position + 1][0] if position + 1 < len(members) else 0.0
        won = 0.5 if abs(margin) <= _EPSILON else float(margin > 0)
        right += (accuracy - following) * won
    return right


def predicted_accuracy(
    accuracies: Sequence[float], weights: Sequence[float], correlation: float
) -> float:
    """Return the predicted share of right answers of a weighted vote."""
    alone = independent(accuracies, weights)
    return alone + correlation * (comonotone(accuracies, weights) - alone)


def correlation(
    accuracies: Sequence[float], weights: Sequence[float], observed: float
) -> float | None:
    """Return the correlation, 0 to 1, that explains an ensemble's observed accuracy.

    None when independent and correlated errors would give (nearly) the same.
    """
    best, worst = independent(accuracies, weights), comonotone(accuracies, weights)
    if abs(best - worst) < 0.01:
        return None
    return min(1.0, max(0.0, (best - observed) / (best - worst)))


def evaluate(members: Iterable[Candidate], objective: Objective) -> Scored:
    """Return an ensemble's predictions and score; no members at all score 0 and meet nothing."""
    chosen = tuple(sorted(members, key=lambda m: m.service))
    accuracies = [member.accuracy for member in chosen]
    weights = vote_weights(accuracies, objective.classes)
    accuracy = predicted_accuracy(accuracies, weights, objective.correlation) if chosen else 0.0
    extra = objective.overhead_ms
    mean = max((m.latency_ms for m in chosen), default=0.0) + extra
    high = max((m.latency_high_ms for m in chosen), default=0.0) + extra
    cost = sum(member.cost for member in chosen)
    found = {"accuracy": accuracy, "latency": mean, "latency_high": high}
    floor = objective.accuracy_floor
    score = (
        objective.accuracy * _clip((accuracy - floor) / (1.0 - floor))
        + objective.latency * _clip(1.0 - high / objective.latency_scale_ms)
        + objective.cost * _thrift(cost, objective)
    )
    missing = len(set(objective.stages) - {member.stage for member in chosen})
    return Scored(
        members=chosen,
        weights=weights,
        accuracy=accuracy,
        latency_ms=mean,
        latency_high_ms=high,
        cost=cost,
        score=score if chosen else 0.0,
        shortfall=missing + sum(_short(bound, found) for bound in objective.bounds),
    )


def search(candidates: Sequence[Candidate], objective: Objective, keep: int) -> Found:
    """Return the best ensembles of at most `max_members`, `keep` of them.

    Exact enumeration up to 12 candidates; above, greedy growth from every single candidate, each
    step by the member that helps most, with an upper bound on what that may miss as `gap`.
    """
    if len(candidates) <= EXACT_CANDIDATES:
        sizes = range(1, min(objective.max_members, len(candidates)) + 1)
        every = [evaluate(c, objective) for size in sizes for c in combinations(candidates, size)]
        return Found(_best(every, keep), "exact", 0.0)
    ranked = _best(_grown(candidates, objective), keep)
    gap = max(0.0, _upper_bound(candidates, objective) - ranked[0].value)
    return Found(ranked, "greedy", gap)


def _grown(candidates: Sequence[Candidate], objective: Objective) -> list[Scored]:
    seen: dict[tuple[str, ...], Scored] = {}
    for start in candidates:
        present = evaluate([start], objective)
        seen[present.services] = present
        while len(present.members) < objective.max_members:
            rest = [c for c in candidates if c not in present.members]
            larger = [evaluate((*present.members, other), objective) for other in rest]
            for scored in larger:
                seen[scored.services] = scored
            best = _best(larger, 1)[0]
            if best.value <= present.value:
                break
            present = best
    return list(seen.values())


def _best(scored: Iterable[Scored], keep: int) -> tuple[Scored, ...]:
    """Return the best, by value, then by fewer members, then by name."""
    order = sorted(scored, key=lambda s: (-round(s.value, 12), len(s.members), s.services))
    return tuple(order[:keep])


def _upper_bound(candidates: Sequence[Candidate], objective: Objective) -> float:
    """Return a score that no ensemble exceeds: each part at its best, independently.

    Independent voters with optimal weights only gain by better and by more members, so the most
    accurate ones bound every ensemble; those below one half are taken to be of no use.
    """
    useful = sorted((min(1 - _EPSILON, max(0.5, c.accuracy)) for c in candidates), reverse=True)
    top = useful[: objective.max_members]
    alone = independent(top, [math.log(p / (1.0 - p)) for p in top])
    accuracy = alone + objective.correlation * (useful[0] - alone)
    latency = min(c.latency_high_ms for c in candidates) + objective.overhead_ms
    cost = min(c.cost for c in candidates)
    floor = objective.accuracy_floor
    return (
        objective.accuracy * _clip((accuracy - floor) / (1.0 - floor))
        + objective.latency * _clip(1.0 - latency / objective.latency_scale_ms)
        + objective.cost * _thrift(cost, objective)
    )


def _short(bound: Bound, found: dict[str, float]) -> float:
    distance = found[bound.what] - bound.threshold
    if bound.what == "accuracy":
        distance = -distance
    return max(0.0, distance) / max(abs(bound.threshold), _EPSILON)


def _thrift(cost: float, objective: Objective) -> float:
    if cost <= objective.cost_floor:
        return 1.0
    span = math.log(max(objective.cost_scale / objective.cost_floor, 1.0 + _EPSILON))
    return _clip(1.0 - math.log(cost / objective.cost_floor) / span)


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))

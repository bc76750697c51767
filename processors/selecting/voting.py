"""How often a weighted vote is right: exact sums over who may err, for many ensembles at once.

Errors of members are independent at best; at worst all fail on the same hard inputs (comonotone:
member i is right whenever an input's difficulty, uniform on 0 to 1, is below its accuracy). A
prediction lies between, at the correlation that was observed. Two models of the wrong votes:

- **two sides** (`sides`): all wrong votes agree. Pessimistic, needs only each member's accuracy.
- **classes** (`recalls`): a wrong vote falls on any other class alike. Needs the accuracy per true
  class, and knows what a vote that favours one class costs the others.

Rows are ensembles, columns their members; a column of weight 0 is nobody.

Weights are log-odds plus log(classes - 1), the optimal weights of independent voters whose errors
spread evenly over the wrong classes (Littlestone & Warmuth 1994; SAMME, Zhu et al. 2009). Where
accuracy is known per class, votes have weights per class (as in Cocktail, NSDI 2022). There the
best decision (Bayes) adds to a class what those tell who did not vote for it, sum log(1 - rate):
who is rarely wrong on a class and stays silent speaks against it. A vote has no place for that, so
it goes to those who vote: disputes are between about half of the members, each with its part.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MOST_PATTERNS = 20_000
"""Votes of classes by members that are summed over; with more, the model of two sides serves."""
_EPSILON = 1e-9
_LEAST_WEIGHT = 0.05
_LEAST_SHARE = 0.01
_LEAST_RATE = 0.001


def log_odds(accuracies: Floats, classes: int, least: float = _LEAST_SHARE) -> Floats:
    """Return the voting weight per accuracy; at least 0.05, so that every member is heard."""
    p = np.clip(accuracies, least, 1.0 - least)
    spread = np.log(max(1, classes - 1))
    weights: Floats = np.maximum(_LEAST_WEIGHT, np.log(p / (1.0 - p)) + spread)
    return weights


def per_class(rates: Floats, there: npt.NDArray[np.bool_], more: Floats) -> Floats:
    """Return the weight of each member's vote per class, (rows, members, classes).

    `rates` are how often members are right where a class is true, `there` (rows, members) says who
    is somebody, and `more` is what a vote for each class counts besides, as a logarithm.
    """
    weights = log_odds(rates, rates.shape[2], _LEAST_RATE)
    silent = np.log(1.0 - np.clip(rates, _LEAST_RATE, 1.0 - _LEAST_RATE))
    against = (silent * there[:, :, None]).sum(axis=1, keepdims=True)
    against -= against.mean(axis=2, keepdims=True)
    half = np.maximum(1.0, there.sum(axis=1) / 2.0)[:, None, None]
    found: Floats = np.maximum(_LEAST_WEIGHT, weights + (against + more) / half)
    return found * there[:, :, None]


def sides(accuracies: Floats, weights: Floats, correlation: float) -> Floats:
    """Return the predicted share of right answers per row, with wrong votes that agree."""
    alone = independent(accuracies, weights)
    found: Floats = alone + correlation * (comonotone(accuracies, weights) - alone)
    return found


def independent(accuracies: Floats, weights: Floats) -> Floats:
    """Return how often each row's majority is right when errors are independent; a tie is half."""
    chance = np.ones((1, len(accuracies)))
    margin = np.zeros_like(chance)
    for right, weight in zip(accuracies.T, weights.T, strict=True):
        chance = np.concatenate((chance * right, chance * (1.0 - right)))
        margin = np.concatenate((margin + weight, margin - weight))
    found: Floats = (chance * _won(margin)).sum(axis=0)
    return found


def comonotone(accuracies: Floats, weights: Floats) -> Floats:
    """Return how often each row's majority is right when members fail on the same inputs."""
    order, row = np.argsort(-accuracies, axis=1, kind="stable"), np.arange(len(accuracies))
    steps, heard = accuracies[row[:, None], order], weights[row[:, None], order]
    margin = 2.0 * np.cumsum(heard, axis=1) - weights.sum(axis=1, keepdims=True)
    steps[:, :-1] -= steps[:, 1:]
    found: Floats = (steps * _won(margin)).sum(axis=1)
    return found


def correlation(
    accuracies: Sequence[float], weights: Sequence[float], observed: float
) -> float | None:
    """Return the correlation, 0 to 1, that explains an ensemble's observed accuracy.

    None when independent and correlated errors would give (nearly) the same.
    """
    rates, heard = np.array([accuracies], np.float64), np.array([weights], np.float64)
    best, worst = float(independent(rates, heard)[0]), float(comonotone(rates, heard)[0])
    if abs(best - worst) < 0.01:
        return None
    return min(1.0, max(0.0, (best - observed) / (best - worst)))


def recalls(
    rates: Floats, weights: Floats, correlation: float, patterns: int = MOST_PATTERNS
) -> Floats:
    """Return how often each row's vote is right per true class.

    `rates` and `weights` are of shape (rows, members, classes): how often a member is right when a
    class is true, and how much its vote for that class counts. The result is (rows, classes).
    With more than `patterns` ways to vote, wrong votes are taken to agree.
    """
    _, members, classes = rates.shape
    dependent = np.stack(
        [comonotone(rates[:, :, c], weights[:, :, c]) for c in range(classes)], axis=1
    )
    if classes**members > patterns or classes < 2:
        alone = [independent(rates[:, :, c], weights[:, :, c]) for c in range(classes)]
        free = np.stack(alone, axis=1)
    else:
        free = _spread(rates, weights)
    found: Floats = free + correlation * (dependent - free)
    return found


def _spread(rates: Floats, weights: Floats) -> Floats:
    rows, members, classes = rates.shape
    votes = np.array(list(product(range(classes), repeat=members)), np.int64)
    won = winners(votes, weights)
    found = np.empty((rows, classes))
    for true in range(classes):
        chance = np.ones((rows, len(votes)))
        for member in range(members):
            right = rates[:, member, true, None]
            chance *= np.where(votes[:, member] == true, right, (1.0 - right) / (classes - 1))
        found[:, true] = (chance * (won == true)).sum(axis=1)
    return found


def winners(votes: Ints, weights: Floats) -> Ints:
    """Return the class that wins, per row of weights and row of votes: (rows, patterns).

    `votes` are (patterns, members); ties go to the highest single weight, then to the first member.
    """
    members = votes.shape[1]
    cast = np.stack([weights[:, m, :][:, votes[:, m]] for m in range(members)], axis=2)
    agreed = votes[:, :, None] == votes[:, None, :]
    sums = np.einsum("rpm,pmk->rpk", cast, agreed.astype(np.float64))
    best = np.argmax(np.round(sums, 9) + 1e-12 * cast, axis=2)
    found: Ints = votes[np.arange(len(votes))[None, :], best]
    return found


def _won(margin: Floats) -> Floats:
    found: Floats = np.add(margin > _EPSILON, margin >= -_EPSILON, dtype=np.float64)
    found *= 0.5
    return found

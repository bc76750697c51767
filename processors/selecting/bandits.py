"""Algorithms that learn while they serve: each selection is drawn, the better the more often.

**Thompson sampling**: each service's accuracy is drawn from what is known of it (its mean and
standard error), and the best ensemble for the drawn accuracies serves (Thompson 1933; Chapelle & Li
2011). What little is known of is drawn far from its mean now and then, and so is tried.

**Exp3** (Auer et al. 2002; as Clipper uses it): services are drawn one after another, each with
chance p = (1 - gamma) exp(-eta L) / sum + gamma / K, L being the losses that were observed of it,
each divided by the chance with which it served. Nothing is assumed of how losses come.

Chance is a function of the problem's number of draws: the same again for who replays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, log, sqrt
from statistics import NormalDist

from processors.selecting.ensembles import Candidate, Found, Problem
from processors.selecting.proposals import number, within
from processors.selecting.searching import evaluated, search
from schemas.identity import stable_id

GAMMA, ETA = 0.1, 0.3
_NORMAL = NormalDist()
_DIGITS = 13


def uniform(*of: object) -> float:
    """Return a number within 0 and 1, both excluded, that looks drawn; equal for equals."""
    top = 16**_DIGITS
    return float((int(stable_id(*map(str, of))[:_DIGITS], 16) + 0.5) / top)


def thompson(problem: Problem, keep: int) -> Found:
    """Return the best ensembles for drawn accuracies, with what is really known of them."""
    drawn = [replace(c, accuracy=_drawn(c, problem.draw)) for c in problem.candidates]
    sure = replace(problem.objective, caution=0.0)
    found = search(drawn, sure, keep)
    known = {c.service: c for c in problem.candidates}
    ranked = [
        evaluated([known[s] for s in one.services], problem.objective) for one in found.ranked
    ]
    return Found(tuple(ranked), "thompson", found.gap)


def _drawn(candidate: Candidate, draw: int) -> float:
    error = candidate.error or sqrt(0.25 / (candidate.count + 1))
    value = candidate.accuracy + error * _NORMAL.inv_cdf(
        uniform("thompson", candidate.service, draw)
    )
    return min(0.999, max(0.001, value))


def exp3(problem: Problem, keep: int) -> Found:
    """Return the ensemble that is drawn; runners-up have another last member."""
    rest = sorted(within(problem), key=lambda c: c.service)
    size = min(problem.objective.max_members, len(rest))
    members: list[Candidate] = []
    while len(members) < size:
        shares = chances([c.service for c in rest], problem.losses, gamma_of(problem.told))
        at, left = 0, uniform("exp3", problem.draw, len(members)) - shares[0]
        while left > 0 and at + 1 < len(rest):
            at += 1
            left -= shares[at]
        members.append(rest.pop(at))
    lasts = [members[-1], *rest][:keep] if members else []
    ranked = [evaluated([*members[:-1], last], problem.objective) for last in lasts]
    return Found(tuple(ranked), "exp3", 0.0)


def chances(
    services: Sequence[str], losses: Mapping[str, float], gamma: float = GAMMA
) -> list[float]:
    """Return how likely each service is drawn first; `losses` are those estimated so far."""
    eta = min(ETA, sqrt(log(max(2, len(services))) / max(1, len(services))))
    told = [losses.get(service, 0.0) for service in services]
    least = min(told, default=0.0)
    weights = [exp(-eta * (loss - least)) for loss in told]
    total = sum(weights)
    return [(1.0 - gamma) * weight / total + gamma / len(weights) for weight in weights]


def gamma_of(told: Mapping[str, str]) -> float:
    """Return the share of chance that goes to all alike; raises InvalidParameters for no number."""
    return min(1.0, max(0.0, number(told, "gamma", GAMMA)))

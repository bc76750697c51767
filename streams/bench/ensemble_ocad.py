"""Consumers who care for one class or two: what they get by each algorithm, by simulation.

**Error model**: given the true class, members err independently, each as often as its profile
says, and a wrong vote falls on any other class alike; classes are true alike often. Votes are drawn
from it, the same for all algorithms, and the ensemble's vote is counted.

Each consumer asks for few misses of its classes while the answers as a whole stay as right as those
of the ensemble selected by overall accuracy, less half a point. ROHE's objective takes the shipped
contract's metrics, with the consumer's classes in place of its own; it and all others that know no
weights per class vote by the weight of overall accuracy. The **bound** is what the best decision
about the votes of any ensemble of at most that size reaches at that accuracy (Bayes, with the cost
of a miss swept, mixtures of neighbours included); misses are those of the consumer's classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np

from processors.selecting.ensembles import Bound, Objective, Problem, Scored
from processors.selecting.own import OWN
from processors.selecting.voting import Floats, Ints, winners
from streams.bench.ensemble import Given
from streams.bench.ensemble_profiles import Profiles, read

SIZE, DRAWS = 3, 40_000
SLACK = 0.005
ALGORITHMS = ("weir", "accuracy", "confidence", "generalisation", "rohe", "best single")
_COSTS = np.geomspace(1.0, 1e6, 49)


def measure(given: Given) -> dict[str, Any]:
    """Return `ocad`: per algorithm its means over consumers; null without a folder of profiles.

    `target_miss` is the geometric mean over consumers, `where_possible` that over those for whom
    the bound allows ten times fewer misses than by overall accuracy. Raises ProfilesError.
    """
    if given.profiles is None:
        return {"ocad": None}
    profiles = read(given.profiles)
    return {"ocad": compared(profiles, given.seed)}


def compared(profiles: Profiles, seed: int, draws: int = DRAWS) -> dict[str, Any]:
    """Return the figures of every algorithm, and those of every consumer."""
    votes = drawn(profiles, draws, seed)
    targets = consumers(profiles)
    rows = {name: [] for name in ALGORITHMS}  # type: dict[str, list[tuple[float, float]]]
    bounds, told = [], []
    plain = _weighted(select("accuracy", profiles, (), None), profiles)
    base = outcome(plain, votes, (), profiles)[0]
    for target in targets:
        missed = {}
        for name in ALGORITHMS:
            chosen = _weighted(select(name, profiles, target, base - SLACK), profiles)
            missed[name] = outcome(chosen, votes, target, profiles)
            rows[name].append(missed[name])
        bounds.append(bound(profiles, target, base - SLACK))
        told.append((target, missed, bounds[-1]))
    possible = [n for n, low in enumerate(bounds) if low <= 0.1 * rows["accuracy"][n][1]]
    return {
        name: {
            "overall": round(float(np.mean([overall for overall, _ in found])), 4),
            "target_miss": _geometric([miss for _, miss in found], draws),
            "where_possible": _geometric([found[n][1] for n in possible], draws),
            "bound": _geometric(bounds, draws),
            "bound_where_possible": _geometric([bounds[n] for n in possible], draws),
        }
        for name, found in rows.items()
    } | {"consumers": [_told(*each, profiles, draws) for each in told]}


def _told(
    target: tuple[int, ...],
    missed: Mapping[str, tuple[float, float]],
    low: float,
    profiles: Profiles,
    draws: int,
) -> dict[str, Any]:
    figures = {
        name: {"overall": round(overall, 4), "miss": float(f"{miss:.3g}")}
        for name, (overall, miss) in missed.items()
    }
    return {
        "classes": [profiles.labels[c] for c in target],
        "bound": float(f"{low:.3g}"),
        "resolution": 1.0 / (draws * len(target)),
    } | figures


def consumers(profiles: Profiles) -> list[tuple[int, ...]]:
    """Return whom to care for: each class alone, and each with the next."""
    count = len(profiles.labels)
    return [(c,) for c in range(count)] + [(c, (c + 1) % count) for c in range(count)]


def select(name: str, profiles: Profiles, target: Sequence[int], least: float | None) -> Scored:
    """Return what an algorithm selects for a consumer of some classes."""
    labels = profiles.labels
    asked = tuple((labels[c], 1.0 / len(target)) for c in target)
    wanted = Objective(
        accuracy=0.0 if name == "weir" and target else 1.0,
        latency=0.0,
        cost=0.0,
        asked=asked if name == "weir" else (),
        bounds=(Bound("accuracy", least),) if name == "weir" and least is not None else (),
        max_members=SIZE,
        correlation=0.0,
        classes=len(labels),
        labels=labels,
    )
    problem = Problem(candidates=profiles.candidates(), objective=wanted)
    if name == "best single":
        single = replace(problem, objective=replace(wanted, max_members=1))
        return OWN["accuracy"](single, 1).ranked[0]
    if name != "rohe":
        return OWN[name](problem, 1).ranked[0]
    told = {
        "metric.accuracy": "rprod 1 0.6 0.9999 max log",
        "metric.confidence": "avg 1 0.6 0.999 max log",
        "metric.cost": "sum 1 1e-3 0.9 min log",
    } | {f"metric.miss.{labels[c]}": "prod 1 1e-10 0.1 min log" for c in target}
    sized = replace(wanted, min_members=SIZE)
    return OWN["aggregate"](replace(problem, objective=sized, told=told), 1).ranked[0]


def _weighted(chosen: Scored, profiles: Profiles) -> tuple[Ints, Floats]:
    """Return the members' numbers, and how much each one's vote for each class counts."""
    numbers = np.array([profiles.models.index(name) for name in chosen.services])
    if chosen.class_weights:
        return numbers, np.array(chosen.class_weights)
    return numbers, np.repeat(np.array(chosen.weights)[:, None], len(profiles.labels), axis=1)


def drawn(profiles: Profiles, draws: int, seed: int) -> Ints:
    """Return votes by the error model: (classes, draws, models), the same for all algorithms."""
    dice = np.random.default_rng(seed)
    models, classes = profiles.rates.shape
    votes = np.empty((classes, draws, models), np.int64)
    for true in range(classes):
        right = dice.random((draws, models)) < profiles.rates[:, true]
        other = dice.integers(1, classes, (draws, models))
        votes[true] = np.where(right, true, (true + other) % classes)
    return votes


def outcome(
    chosen: tuple[Ints, Floats], votes: Ints, target: Sequence[int], profiles: Profiles
) -> tuple[float, float]:
    """Return (share of right answers, share of misses where the classes are true)."""
    numbers, weights = chosen
    table = np.array(list(product(range(len(profiles.labels)), repeat=len(numbers))), np.int64)
    won = winners(table, weights[None, :, :])[0]
    classes = len(profiles.labels)
    places = classes ** np.arange(len(numbers))[::-1]
    right = [(won[votes[c][:, numbers] @ places] == c).mean() for c in range(classes)]
    miss = 1.0 - float(np.mean([right[c] for c in target])) if target else 0.0
    return float(np.mean(right)), miss


def bound(profiles: Profiles, target: Sequence[int], least: float) -> float:
    """Return the fewest misses that any ensemble can have at such an accuracy of all answers."""
    low = 1.0
    for size in range(1, SIZE + 1):
        for members in combinations(range(len(profiles.models)), size):
            low = min(low, _bound(profiles.rates[list(members)], target, least))
    return low


def _bound(rates: Floats, target: Sequence[int], least: float) -> float:
    members, classes = rates.shape
    votes = np.array(list(product(range(classes), repeat=members)), np.int64)
    chance = np.ones((classes, len(votes)))
    for member in range(members):
        hit = votes[:, member][None, :] == np.arange(classes)[:, None]
        right = rates[member][:, None]
        chance *= np.where(hit, right, (1.0 - right) / (classes - 1))
    found = []
    for cost in _COSTS:
        value = np.ones(classes)
        value[list(target)] = cost
        won = np.argmax(value[:, None] * chance, axis=0)
        right = np.array([chance[c, won == c].sum() for c in range(classes)])
        found.append((float(right.mean()), 1.0 - float(right[list(target)].mean())))
    return _mixed(found, least)


def _mixed(found: Sequence[tuple[float, float]], least: float) -> float:
    """Return the fewest misses at an accuracy, mixing neighbours by chance; 1 if there is none."""
    low = min((miss for overall, miss in found if overall >= least), default=1.0)
    for (more, miss), (less, fewer) in pairwise(found):
        if less < least <= more and more > less:
            share = (least - less) / (more - less)
            low = min(low, share * miss + (1.0 - share) * fewer)
    return low


def _geometric(misses: Sequence[float], draws: int) -> float | None:
    """Return the geometric mean; what was not missed in all draws counts as half a draw."""
    if not misses:
        return None
    floor = 0.5 / draws
    return float(f"{np.exp(np.mean(np.log(np.maximum(misses, floor)))):.3g}")

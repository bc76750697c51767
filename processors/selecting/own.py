"""Weir's own algorithms of selection, by name.

- `weir`: the best value of those ensembles than which no other is better in accuracy, latency,
  cost, energy and what else is asked at once (runners-up likewise first); clauses are met with
  care for what is uncertain.
- `weighted`: the best score under the consumer's weights, as if profiles were certain.
- `exact`, `branch-and-bound`: the same by one search, whatever the number of candidates.
- `greedy`: grown by accuracy per latency to what is promised, then pruned (Cocktail, NSDI 2022).
- `accuracy`: the most accurate services; `confidence`: the best on the classes that the present
  ensemble knows best; `generalisation`: the best on the worst classes.
- `aggregate`: operators and scales of single metrics; see `aggregates`.
- `thompson`, `exp3`: explore while they serve; see `bandits`.
- `dream`, `llf`, `adaptive`: plan a whole query over stages and nodes; see `planners`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from processors.selecting import aggregates, bandits, planners
from processors.selecting.ensembles import PARTIAL, Candidate, Found, Problem, Scored
from processors.selecting.proposals import WEIR, Algorithm, Selector, adapted, within
from processors.selecting.searching import (
    MOST_SUMMED,
    branch_and_bound,
    evaluated,
    exact,
    search,
    sizes,
    subsets,
    tabled,
)
from processors.selecting.voting import MOST_PATTERNS, log_odds, recalls

_FRONT = 8
_EPSILON = 1e-9


def weir(problem: Problem, keep: int) -> Found:
    """Return the ensembles of the Pareto front among the best, by value."""
    found = search(problem.candidates, problem.objective, max(keep, _FRONT))
    front = _front(found.ranked)
    leading = {one.services for one in front}
    others = tuple(one for one in found.ranked if one.services not in leading)
    return Found((*front, *others)[:keep], WEIR, found.gap)


def _front(ranked: Sequence[Scored]) -> tuple[Scored, ...]:
    """Return those that no other, which meets the contract as well, beats in everything."""
    if not ranked:
        return ()
    figures = np.array(
        [
            [s.accuracy, -s.latency_high_ms, -s.cost, -s.energy_j, -s.shortfall, *_besides(s)]
            for s in ranked
        ]
    )
    ones, others = figures[:, None, :], figures[None, :, :]
    as_good = np.all(others >= ones - _EPSILON, axis=2)
    better = np.any(others > ones + _EPSILON, axis=2)
    beaten = np.logical_and(as_good, better).sum(axis=1)
    return tuple(one for one, worse in zip(ranked, beaten, strict=True) if not worse)


def _besides(one: Scored) -> Iterator[float]:
    """Yield what else is asked of it: to be right for classes, under conditions, to be sure."""
    for part in one.parts:
        if part.objective == "confidence" or part.objective.startswith(PARTIAL):
            yield part.value


def weighted(problem: Problem, keep: int) -> Found:
    """Return the best by score alone."""
    sure = replace(problem.objective, caution=0.0)
    return replace(search(problem.candidates, sure, keep), algorithm="weighted")


def enumerated(problem: Problem, keep: int) -> Found:
    """Return the best of all, however many they are."""
    return exact(tabled(problem.candidates, problem.objective), keep)


def bounded(problem: Problem, keep: int) -> Found:
    """Return the best by branch and bound."""
    return branch_and_bound(tabled(problem.candidates, problem.objective), keep)


def greedy(problem: Problem, keep: int) -> Found:
    """Return the ensemble grown to what is promised, then pruned; runners-up are its stages.

    The next member is the one that adds most accuracy per latency; growth ends with the accuracy
    that the contract promises, or where nobody adds any. Then members go, the least accurate
    first, without whom the promise holds and the value is higher.
    """
    objective = problem.objective
    goals = [b.threshold for b in objective.bounds if b.what == "accuracy"]
    goal = max(goals, default=1.0)
    rest = sorted(within(problem), key=lambda c: c.service)
    present: Scored | None = None
    stages: list[Scored] = []
    while rest and len(present.members if present else ()) < objective.max_members:
        base = present.accuracy if present else 0.0
        tried = [evaluated((*(present.members if present else ()), c), objective) for c in rest]
        gains = [(one.accuracy - base) / max(one.latency_high_ms, _EPSILON) for one in tried]
        at = max(range(len(rest)), key=lambda n: (gains[n], -rest[n].cost))
        if present is not None and gains[at] <= _EPSILON:
            break
        present = tried[at]
        stages.append(present)
        del rest[at]
        if present.accuracy >= goal:
            break
    stages += _pruned(stages, problem) if present else []
    ranked = sorted({s.services: s for s in stages}.values(), key=lambda s: -round(s.value, 12))
    gap = _gap(problem, ranked[0]) if ranked else 0.0
    return Found(tuple(ranked[:keep]), "greedy", gap)


def _pruned(stages: Sequence[Scored], problem: Problem) -> Iterable[Scored]:
    present = stages[-1]
    for member in sorted(present.members, key=lambda m: m.accuracy):
        rest = [m for m in present.members if m is not member]
        if rest:
            smaller = evaluated(rest, problem.objective)
            if smaller.value >= present.value:
                present = smaller
                yield smaller


def _gap(problem: Problem, best: Scored) -> float:
    """Return by how much the optimum is better, as far as a bounded search can say."""
    found = branch_and_bound(tabled(problem.candidates, problem.objective), 1)
    return max(0.0, found.ranked[0].value + found.gap - best.value)


def most_accurate(problem: Problem, keep: int) -> Found:
    """Return the most accurate services that answer in time."""
    order = sorted(within(problem), key=lambda c: (-c.accuracy, c.service))
    return _led(problem, order, "accuracy", keep)


def confident(problem: Problem, keep: int) -> Found:
    """Return for each class that the present ensemble knows best who is best on it."""
    names = set(problem.present)
    labels, order = problem.objective.labels, sorted(within(problem), key=lambda c: c.service)
    known = [c for c in order if len(c.rates) == len(labels)]
    serving = [c.rates for c in known if c.service in names] or [c.rates for c in known]
    picked: list[Candidate] = []
    if serving and labels:
        sure = np.mean(np.array(serving), axis=0)
        for label in np.argsort(-sure, kind="stable"):
            free = [c for c in known if c not in picked]
            if free:
                picked.append(max(free, key=lambda c: (c.rates[label], c.accuracy)))
    rest = sorted((c for c in order if c not in picked), key=lambda c: (-c.accuracy, c.service))
    return _led(problem, [*picked, *rest], "confidence", keep)


def generalising(problem: Problem, keep: int) -> Found:
    """Return the ensemble with the highest mean accuracy on as many of its worst classes.

    Where there is too much to sum, wrong votes are taken to agree.
    """
    objective, able = problem.objective, within(problem)
    if not objective.labels or not able:
        return replace(most_accurate(problem, keep), algorithm="generalisation")
    table = tabled(able, objective)
    rows = subsets(table.nobody, sizes(table)[1], sizes(table)[1])
    rates = table.rates[rows]
    classes = len(objective.labels)
    patterns = min(MOST_PATTERNS, MOST_SUMMED // (classes * len(rows)))
    per_class = recalls(rates, log_odds(rates, classes), objective.correlation, patterns)
    worst = np.sort(per_class, axis=1)[:, : objective.max_members].mean(axis=1)
    order = np.argsort(-np.round(worst, 12), kind="stable")[:keep]
    ranked = [evaluated([table.candidates[n] for n in rows[at]], objective) for at in order]
    return Found(tuple(ranked), "generalisation", 0.0)


def _led(problem: Problem, order: Sequence[Candidate], name: str, keep: int) -> Found:
    """Return the first of an order together; runners-up have another last member."""
    size = min(problem.objective.max_members, len(order))
    if not size:
        return Found((), name, 0.0)
    head, lasts = order[: size - 1], order[size - 1 :][:keep]
    ranked = [evaluated([*head, last], problem.objective) for last in lasts]
    return Found(tuple(ranked), name, 0.0)


OWN: Mapping[str, Algorithm] = {
    WEIR: weir,
    "weighted": weighted,
    "exact": enumerated,
    "branch-and-bound": bounded,
    "greedy": greedy,
    "accuracy": most_accurate,
    "confidence": confident,
    "generalisation": generalising,
    "aggregate": aggregates.select,
    "thompson": bandits.thompson,
    "exp3": bandits.exp3,
    "dream": planners.dream,
    "llf": planners.llf,
    "adaptive": planners.adaptive,
}
"""Weir's own algorithms by name."""
PLANNERS = ("dream", "llf", "adaptive")
"""Those that are told on which nodes services answer."""
VALUED = (WEIR, "weighted", "exact", "branch-and-bound", "greedy")
"""Those that look for the best value: what gains little changes nothing."""
EXPLORERS = ("thompson", "exp3")
"""Those that select again whenever something new was observed."""


def algorithms(plugins: Mapping[str, Selector] | None = None) -> Mapping[str, Algorithm]:
    """Return every algorithm by name: Weir's own, and those of others."""
    others = {name: adapted(name, each) for name, each in (plugins or {}).items()}
    return {**others, **OWN}

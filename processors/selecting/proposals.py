"""Algorithms of selection: what they are, those of others, and the names of Weir's own.

An installed distribution names further ones under the entry point group `weir.selectors`: a
function or class that, called without arguments, gives a `Selector`. It ranks ensembles, by the
names of their services; Weir predicts what they would do, and tells whether they meet the contract.

    class Cheapest:
        def rank(self, problem):
            by_cost = sorted(problem.candidates, key=lambda c: (c.cost, c.service))
            most = problem.objective.max_members
            return [[c.service for c in by_cost[:size]] for size in (most, 1)]
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from processors.errors import InvalidParameters, PluginError
from processors.selecting.ensembles import Candidate, Found, Problem
from processors.selecting.searching import evaluated

GROUP = "weir.selectors"
WEIR = "weir"
MOST_RANKED = 64
"""Ensembles of a ranking that are looked at; those after them are not."""
Algorithm = Callable[[Problem, int], Found]
"""From a problem to the best ensembles found, so many of them, best first."""


@runtime_checkable
class Selector(Protocol):
    """An algorithm of others. Of equal problems it must say the same."""

    def rank(self, problem: Problem) -> Sequence[Sequence[str]]:
        """Return ensembles, best first, as the names of their services.

        Each has at least one and at most `max_members` of the candidates, none twice.
        """
        ...


def adapted(name: str, selector: Selector) -> Algorithm:
    """Return a selector of others as an algorithm; it raises PluginError where it breaks a law."""

    def select(problem: Problem, keep: int) -> Found:
        return proposed(name, problem, selector.rank(problem), keep)

    return select


def proposed(name: str, problem: Problem, ranking: Sequence[Sequence[str]], keep: int) -> Found:
    """Return a ranking with what its ensembles are predicted to do.

    Raises PluginError for an ensemble that cannot be.
    """
    known = {candidate.service: candidate for candidate in problem.candidates}
    most = problem.objective.max_members
    ranked = []
    for services in ranking[: min(keep, MOST_RANKED)]:
        if strangers := [s for s in services if s not in known]:
            raise PluginError(f"{name}: {strangers[0]!r} is no candidate")
        if not 1 <= len(services) <= most or len(set(services)) < len(services):
            raise PluginError(f"{name}: an ensemble has 1 to {most} members, none twice")
        ranked.append(evaluated([known[s] for s in services], problem.objective))
    return Found(tuple(ranked), name, 0.0)


def within(problem: Problem) -> tuple[Candidate, ...]:
    """Return the candidates that answer within the budget at the best of their places; else all."""
    able = tuple(c for c in problem.candidates if fastest(c) <= problem.budget_ms)
    return able or problem.candidates


def fastest(candidate: Candidate) -> float:
    """Return the 95th percentile of a candidate's latency where it is least, ms."""
    return min((p.latency_high_ms for p in candidate.places), default=candidate.latency_high_ms)


def number(told: Mapping[str, str], name: str, default: float) -> float:
    """Return a parameter of a policy as a number; raises InvalidParameters where it is none."""
    try:
        value = float(told.get(name, default))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidParameters(f"{name} = {told[name]!r} is no number")
    return value

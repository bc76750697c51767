"""What every algorithm of selection is held to, Weir's own and those of others, in one suite."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from processors.selecting.ensembles import Bound, Candidate, Found, Objective, Place, Problem
from processors.selecting.proposals import Algorithm

_EPSILON = 1e-9


def broken_by(algorithm: Algorithm) -> list[str]:
    """Return the laws that an algorithm breaks, with the problem on which it does.

    An ensemble has 1 to `max_members` of the candidates (planners: as many as there are stages, if
    that is more), none twice; equal problems, in whatever order their candidates come, have one
    answer; it is predicted with what is known of the candidates; nothing given is changed; a gap
    is no less than what another ensemble that was ranked gains. What it raises comes through.
    """
    told: dict[str, None] = {}
    for name, problem in problems().items():
        before = repr(problem)
        found = algorithm(problem, 4)
        for words in _broken(problem, found):
            told[f"{name}: {words}"] = None
        if repr(problem) != before:
            told[f"{name}: it changed what it was given"] = None
        turned = replace(problem, candidates=problem.candidates[::-1])
        if _named(algorithm(problem, 4)) != _named(found):
            told[f"{name}: equal problems had different answers"] = None
        elif _named(algorithm(turned, 4)) != _named(found):
            told[f"{name}: the order of the candidates matters"] = None
    return list(told)


def _named(found: Found) -> list[tuple[str, ...]]:
    return [one.services for one in found.ranked]


def _broken(problem: Problem, found: Found) -> Iterator[str]:
    known = {candidate.service for candidate in problem.candidates}
    most = max(problem.objective.max_members, len({c.stage for c in problem.candidates}))
    if not found.ranked:
        yield "it ranked no ensemble"
    if found.gap < 0:
        yield f"its gap is {found.gap}"
    for one in found.ranked:
        names = one.services
        if not 1 <= len(names) <= most or len(set(names)) < len(names):
            yield f"{'+'.join(names)} is not 1 to {most} members, none twice"
        if set(names) - known:
            yield f"{'+'.join(names)} are not all candidates"
        if not 0.0 <= one.accuracy <= 1.0 + _EPSILON or one.latency_high_ms < 0:
            yield f"{'+'.join(names)} is predicted to be {one.accuracy} accurate"
        if len(one.weights) != len(names) or min(one.weights, default=1.0) <= 0:
            yield f"a member of {'+'.join(names)} has no vote"


def problems() -> Mapping[str, Problem]:
    """Return the problems of the suite, by name."""
    wanted = Objective(
        accuracy=0.6, latency=0.2, cost=0.2, latency_scale_ms=120.0, cost_scale=30.0, max_members=3
    )
    labels = ("cat", "dog", "owl", "fox")
    clauses = (Bound("accuracy", 0.9, "right"), Bound("latency_high", 70.0, "fast"))
    hopeless = (Bound("accuracy", 0.999, "right"), Bound("latency_high", 1.0, "fast"))
    classes = replace(
        wanted, labels=labels, classes=4, asked=(("owl", 0.5),), accuracy=0.3, latency=0.1, cost=0.1
    )
    five = candidates(5)
    staged = tuple(replace(c, stage=f"stage {n % 2}") for n, c in enumerate(candidates(6)))
    return {
        "one candidate": Problem(candidates=candidates(1), objective=wanted),
        "more members than candidates": Problem(
            candidates=candidates(2), objective=replace(wanted, max_members=5)
        ),
        "five candidates": Problem(candidates=five, objective=wanted, draw=7),
        "equal candidates": Problem(
            candidates=tuple(replace(five[0], service=f"twin {n}") for n in range(4)),
            objective=wanted,
        ),
        "a contract": Problem(
            candidates=five, objective=replace(wanted, bounds=clauses), budget_ms=70.0, draw=3
        ),
        "a contract that none meets": Problem(
            candidates=five, objective=replace(wanted, bounds=hopeless), budget_ms=1.0
        ),
        "classes": Problem(candidates=five, objective=classes, present=(five[0].service,)),
        "stages and nodes": Problem(
            candidates=staged,
            objective=replace(wanted, stages=("stage 0", "stage 1")),
            budget_ms=150.0,
            after={"stage 1": ("stage 0",)},
        ),
        "many candidates": Problem(candidates=candidates(30), objective=wanted),
    }


def candidates(count: int) -> tuple[Candidate, ...]:
    """Return so many candidates that differ in everything."""
    return tuple(_candidate(number) for number in range(count))


def _candidate(number: int) -> Candidate:
    accuracy = 0.62 + 0.35 * ((number * 7) % 11) / 11
    latency = 12.0 + 9.0 * ((number * 5) % 8)
    cost = 1.0 + 1.5 * ((number * 3) % 7)
    rates = tuple(min(0.99, accuracy * (0.7 + 0.1 * ((number + c) % 4))) for c in range(4))
    return Candidate(
        service=f"service {number:02}",
        stage="",
        accuracy=accuracy,
        latency_ms=latency,
        latency_high_ms=1.5 * latency,
        cost=cost,
        error=0.02,
        confidence=accuracy,
        energy_j=0.5 + number % 3,
        rates=rates,
        count=200,
        places=tuple(
            Place(
                place=f"node {n}",
                latency_ms=latency * (0.6 + 0.4 * n),
                latency_high_ms=1.5 * latency * (0.6 + 0.4 * n),
                cost=cost / (1 + n),
                energy_j=1.0 + n,
            )
            for n in range(2)
        ),
    )

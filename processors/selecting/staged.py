"""Applications whose stages read each other's answers: an ensemble for each stage.

Each stage is a selection of its own, of up to `max_members`, with its part of the time: as large
as the fastest service of the stage is of the longest way through it. The answer is right when every
stage's is, so that an accuracy clause asks of each of n stages the n-th root; latencies add up
along the longest way, costs and energy over all stages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from processors.selecting.ensembles import (
    CONDITION,
    EPSILON,
    Bound,
    Found,
    Objective,
    Part,
    Problem,
    Scored,
    Unmet,
)
from processors.selecting.proposals import Algorithm, fastest
from processors.selecting.searching import evaluated, tabled


def is_staged(problem: Problem) -> bool:
    """Return whether stages read each other's answers."""
    stages = {candidate.stage for candidate in problem.candidates}
    return len(stages) > 1 and any(stages & set(after) for after in problem.after.values())


def by_stage(algorithm: Algorithm, problem: Problem, keep: int) -> Found:
    """Return the best ensembles of all stages together; runners-up differ in one stage."""
    found = {stage: algorithm(part, keep) for stage, part in _parts(problem).items()}
    best = {stage: one.ranked[0] for stage, one in found.items() if one.ranked}
    ranked = [joined(problem, best)] if best else []
    for stage, one in found.items():
        ranked += [joined(problem, best | {stage: other}) for other in one.ranked[1:]]
    rest = sorted(ranked[1:], key=lambda s: (-round(s.value, 12), s.services))
    name = next(iter(found.values())).algorithm if found else ""
    gap = sum(one.gap for one in found.values()) / max(1, len(found))
    return Found((*ranked[:1], *rest)[:keep], name, gap)


def present(problem: Problem, services: Sequence[str]) -> Scored:
    """Return what services together are predicted to do, each in its stage."""
    parts = {}
    for stage, part in _parts(problem).items():
        members = [c for c in part.candidates if c.service in services]
        if members:
            parts[stage] = evaluated(members, part.objective)
    lacking = len({c.stage for c in problem.candidates}) - len(parts)
    whole = joined(problem, parts)
    return replace(whole, shortfall=whole.shortfall + lacking)


def _parts(problem: Problem) -> dict[str, Problem]:
    """Return the problem of each stage, in the order of their names."""
    shares = shares_of(problem)
    found = {}
    for stage in sorted(shares):
        candidates = tuple(c for c in problem.candidates if c.stage == stage)
        wanted = problem.objective
        bounds = tuple(_part(bound, shares[stage], len(shares)) for bound in wanted.bounds)
        objective = replace(
            wanted,
            bounds=bounds,
            stages=(),
            latency_scale_ms=wanted.latency_scale_ms * shares[stage],
            overhead_ms=wanted.overhead_ms * shares[stage],
        )
        found[stage] = replace(
            problem,
            candidates=candidates,
            objective=objective,
            budget_ms=problem.budget_ms * shares[stage],
            after={},
        )
    return found


def _part(bound: Bound, share: float, stages: int) -> Bound:
    if bound.what.startswith("latency"):
        return replace(bound, threshold=bound.threshold * share)
    return replace(bound, threshold=max(0.0, bound.threshold) ** (1.0 / stages))


def shares_of(problem: Problem) -> dict[str, float]:
    """Return the part of the time of each stage: its own of the longest way through it."""
    times: dict[str, float] = {}
    for candidate in problem.candidates:
        least = max(EPSILON, fastest(candidate))
        times[candidate.stage] = min(least, times.get(candidate.stage, least))
    later = {
        stage: tuple(s for s, after in problem.after.items() if stage in after) for stage in times
    }
    before, behind = _ways(times, problem.after), _ways(times, later)
    return {s: time / (before[s] + behind[s] - time) for s, time in times.items()}


def _ways(times: Mapping[str, float], after: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
    """Return the longest way that ends with each stage; what goes in a circle is left out."""
    found: dict[str, float] = {}
    open_: set[str] = set()

    def way(stage: str) -> float:
        if stage not in found:
            open_.add(stage)
            earlier = [s for s in after.get(stage, ()) if s in times and s not in open_]
            found[stage] = times[stage] + max((way(s) for s in earlier), default=0.0)
            open_.discard(stage)
        return found[stage]

    return {stage: way(stage) for stage in sorted(times)}


def joined(problem: Problem, parts: Mapping[str, Scored]) -> Scored:
    """Return the ensembles of stages as one, of which every clause is judged as a whole."""
    every = [parts[stage] for stage in sorted(parts)]
    mean = _ways({s: p.latency_ms for s, p in parts.items()}, problem.after)
    high = _ways({s: p.latency_high_ms for s, p in parts.items()}, problem.after)
    told = {
        "accuracy": prod(p.accuracy for p in every),
        "latency": max(mean.values(), default=0.0),
        "latency_high": max(high.values(), default=0.0),
        "confidence": min((p.confidence for p in every), default=0.0),
    }
    for at, name in enumerate(problem.objective.conditions):
        told[f"{CONDITION}{name}"] = prod(_under(p, at, problem.objective) for p in every)
    missed = [(b, told.get(b.what, told["accuracy"])) for b in problem.objective.bounds]
    short = [(b, value, _short(b, value)) for b, value in missed]
    classes = any(p.class_weights for p in every)
    return Scored(
        members=tuple(m for p in every for m in p.members),
        weights=tuple(w for p in every for w in p.weights),
        accuracy=told["accuracy"] if every else 0.0,
        latency_ms=told["latency"],
        latency_high_ms=told["latency_high"],
        cost=sum(p.cost for p in every),
        energy_j=sum(p.energy_j for p in every),
        confidence=told["confidence"],
        score=sum(p.score for p in every) / max(1, len(every)),
        shortfall=sum(distance for _, _, distance in short),
        risk=max((p.risk for p in every), default=0.0),
        caution=problem.objective.caution,
        parts=_mean(every),
        unmet=tuple(
            Unmet(b.clause or b.what, b.threshold, value)
            for b, value, distance in short
            if distance > EPSILON
        ),
        class_weights=tuple(w for p in every for w in p.class_weights) if classes else (),
    )


def _under(part: Scored, at: int, objective: Objective) -> float:
    """Return how often a stage is right under one of the objective's conditions."""
    votes = tabled(part.members, objective).votes(np.arange(len(part.members))[None, :])
    return float(votes.under[0, at])


def _short(bound: Bound, value: float) -> float:
    distance = value - bound.threshold
    if not bound.what.startswith("latency"):
        distance = -distance
    return max(0.0, distance) / max(abs(bound.threshold), EPSILON)


def _mean(every: Sequence[Scored]) -> tuple[Part, ...]:
    """Return the parts of the score, each the mean over stages."""
    names = dict.fromkeys(part.objective for one in every for part in one.parts)
    found = []
    for name in names:
        parts = [part for one in every for part in one.parts if part.objective == name]
        count = len(parts)
        value, scaled = sum(p.value for p in parts) / count, sum(p.scaled for p in parts) / count
        found.append(Part(name, value, scaled, parts[0].weight))
    return tuple(found)

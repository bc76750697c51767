"""Queries of several modalities under time constraints: every algorithm on the same draws.

**Queries**: each has a time constraint of 1 to 10 s and a network latency of 0.5 to 3,000 ms there
and back, both drawn evenly on a logarithmic scale, and three modalities with models of their own,
from fast and fair to slow and good. A model takes its median time by a log-normal factor (sigma
0.35) in each query, and is ten times slower in one of fifty. All algorithms meet the same times,
errors and network.

**Execution**: members of a phase run side by side; the next phase begins when the last has ended.
Planners know of a mean time and a 95th percentile, and how long the network takes now. `adaptive`
plans again after each phase with the time that is left. The answer is the weighted vote of what
came in time: a query is **late** when a member that was asked had not answered at its deadline;
**accuracy** is the share of right answers of all queries, where it is wrong that nothing came.

Whoever asks for earlier answers gives latency a weight. `weir_earlier` is Weir's default with the
largest one at which it is still as accurate as `adaptive`: late at equal accuracy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from processors.selecting.ensembles import Bound, Candidate, Objective, Problem, Scored
from processors.selecting.own import OWN
from processors.selecting.voting import Floats
from streams.bench.ensemble import Given

QUERIES = 1_500
MODALITIES: tuple[str, ...] = ("video", "watch", "orientation")
SIZE = 3
CLASSES = 36
SIGMA, STRAGGLERS, SLOWER = 0.35, 0.02, 10.0
_Z95 = 1.645
_WEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7)
_STEPS = 12
"""Budgets are rounded down to so many steps per doubling, so that selections can be kept."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What happens in each query: constraint, network (ms), times (ms) and errors per model."""

    budget: Floats
    network: Floats
    times: Floats
    right: Any


def models() -> tuple[Candidate, ...]:
    """Return the models: per modality four, each twice as slow as the one before and more right."""
    found = []
    for number, (modality, mean, best) in enumerate(
        zip(MODALITIES, (180.0, 60.0, 90.0), (0.80, 0.72, 0.66), strict=True)
    ):
        for step in range(4):
            time = mean * 2.2**step
            mean_ms = time * (1 + STRAGGLERS * (SLOWER - 1)) * float(np.exp(SIGMA**2 / 2))
            found.append(
                Candidate(
                    service=f"{modality}-{step}",
                    stage=modality,
                    accuracy=best - 0.06 * (3 - step) + 0.01 * number,
                    latency_ms=mean_ms,
                    latency_high_ms=time * float(np.exp(_Z95 * SIGMA)),
                    cost=1.0,
                )
            )
    return tuple(found)


def drawn(count: int, seed: int) -> Draws:
    """Return what happens in so many queries."""
    dice, known = np.random.default_rng(seed), models()
    median = np.array([m.latency_high_ms for m in known]) / np.exp(_Z95 * SIGMA)
    shape = (count, len(known))
    slow = np.where(dice.random(shape) < STRAGGLERS, SLOWER, 1.0)
    sure = np.array([m.accuracy for m in known])
    return Draws(
        budget=1e3 * 10 ** dice.random(count),
        network=0.5 * 6000 ** dice.random(count),
        times=median * np.exp(SIGMA * dice.standard_normal(shape)) * slow,
        right=dice.random(shape) < sure,
    )


def measure(given: Given) -> dict[str, Any]:
    """Return `paired`: late ratio and accuracy of every algorithm on the same queries."""
    return {"paired": compared(given.seed)}


def compared(seed: int, queries: int = QUERIES) -> dict[str, dict[str, float]]:
    """Return late ratio, accuracy and members asked per query, by algorithm."""
    draws = drawn(queries, seed)
    found = {name: _played(name, draws) for name in OWN if name != "branch-and-bound"}
    for weight in _WEIGHTS:
        earlier = _played("weir", draws, weight) | {"weight": weight}
        if earlier["accuracy"] < found["adaptive"]["accuracy"]:
            break
        found["weir_earlier"] = earlier
    hopeless = float(np.mean(draws.budget <= draws.network))
    return found | {"unavoidable": {"late": round(hopeless, 4)}}


def _played(name: str, draws: Draws, weight: float = 0.0) -> dict[str, float]:
    selecting = _selector(name, weight)
    outcomes = [_query(name, number, draws, selecting) for number in range(len(draws.budget))]
    late, right, asked = (float(np.mean(column)) for column in zip(*outcomes, strict=True))
    return {"late": round(late, 4), "accuracy": round(right, 4), "members": round(asked, 2)}


def _selector(name: str, weight: float) -> Any:
    @cache
    def select(budget_ms: float, stages: tuple[str, ...], size: int, draw: int) -> Scored:
        return OWN[name](_problem(budget_ms, stages, size, draw, weight), 1).ranked[0]

    return select


def _problem(
    budget_ms: float, stages: tuple[str, ...], size: int, draw: int, weight: float
) -> Problem:
    wanted = Objective(
        accuracy=1.0 - weight,
        latency=weight,
        cost=0.0,
        bounds=(Bound("latency_high", max(1.0, budget_ms), "in time"),),
        max_members=size,
        accuracy_floor=0.0,
        latency_scale_ms=max(1.0, budget_ms),
        correlation=0.0,
        classes=CLASSES,
    )
    known = tuple(m for m in models() if m.stage in stages)
    told = {
        "metric.accuracy": "rprod 1 0.5 0.9999 max log",
        "metric.latency": (f"max 1 1 {max(2.0, budget_ms):.1f} min linear"),
    }
    return Problem(candidates=known, objective=wanted, budget_ms=budget_ms, draw=draw, told=told)


def _query(name: str, number: int, draws: Draws, selecting: Any) -> tuple[bool, bool, int]:
    """Return (late, right, members asked) of one query."""
    budget = float(draws.budget[number] - draws.network[number])
    draw = number if name in ("thompson", "exp3") else 0
    chosen: Scored = selecting(_rounded(budget), MODALITIES, SIZE, draw)
    ends = _ends(name, chosen, number, draws, budget, selecting)
    came = [service for service, end in ends.items() if end <= budget]
    return len(came) < len(ends), _right(came, number, draws), len(ends)


def _ends(
    name: str, chosen: Scored, number: int, draws: Draws, budget: float, selecting: Any
) -> dict[str, float]:
    """Return when each member that was asked answered, ms from the beginning."""
    if name != "adaptive":
        return {s: float(draws.times[number, _numbers()[s]]) for s in chosen.services}
    ends: dict[str, float] = {}
    now, stages, size = 0.0, MODALITIES, SIZE
    while stages and size:
        first = min(chosen.orders, default=0)
        phase = [
            m for m, order in zip(chosen.members, chosen.orders, strict=True) if order == first
        ]
        for member in phase:
            ends[member.service] = now + float(draws.times[number, _numbers()[member.service]])
        now = max((ends[m.service] for m in phase), default=now)
        stages = tuple(s for s in stages if s not in {m.stage for m in phase})
        size -= len(phase)
        if not stages or size <= 0 or now >= budget:
            break
        chosen = selecting(_rounded(budget - now), stages, size, 0)
    return ends


def _right(came: Sequence[str], number: int, draws: Draws) -> bool:
    """Return whether the weighted vote of what came is right; wrong votes agree."""
    margin = 0.0
    for service in came:
        at = _numbers()[service]
        weight = _weights()[service]
        margin += weight if draws.right[number, at] else -weight
    return margin > 0


@cache
def _numbers() -> Mapping[str, int]:
    return {model.service: number for number, model in enumerate(models())}


@cache
def _weights() -> Mapping[str, float]:
    sure = {m.service: m.accuracy for m in models()}
    return {name: float(np.log(p / (1 - p) * (CLASSES - 1))) for name, p in sure.items()}


def _rounded(budget_ms: float) -> float:
    if budget_ms <= 1.0:
        return 1.0
    return float(2 ** (np.floor(np.log2(budget_ms) * _STEPS) / _STEPS))

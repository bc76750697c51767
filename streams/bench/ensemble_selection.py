"""How long a selection takes, and how near a bounded search comes to the optimum."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from processors.selecting.ensembles import Bound, Candidate, Objective, Place, Problem
from processors.selecting.own import OWN
from processors.selecting.searching import exact, grown, tabled
from streams.bench.ensemble import Given
from streams.bench.ensemble_profiles import read

WANTED = Objective(
    accuracy=0.6,
    latency=0.2,
    cost=0.2,
    latency_scale_ms=100.0,
    cost_scale=30.0,
    bounds=(Bound("accuracy", 0.9), Bound("latency_high", 80.0)),
)


def measure(given: Given) -> dict[str, Any]:
    """Return the figures, times as medians in ms of CPU.

    `selection_ms`: the default, among 8 services of 16 instances each; `selection_of` by algorithm.
    `exact_ms`: of 9 models on 8 devices, all ensembles of 1 to 3 at all places (of the folder of
    profiles where it is given). `gap_20`: by how much the beam that a bounded search begins with
    falls short of the optimum among 20 services, relatively, the worst of 20 problems. Raises
    ProfilesError.
    """
    eight = services(8, 16, given.seed)
    nine = services(9, 8, given.seed)
    if given.profiles is not None:
        nine = read(given.profiles).candidates(places=True)
    problem = Problem(candidates=eight, objective=WANTED, budget_ms=80.0)
    return {
        "selection_ms": round(timed(lambda: OWN["weir"](problem, 6)), 3),
        "selection_of": {
            name: round(timed(lambda select=select: select(problem, 6), 9), 3)  # type: ignore[misc]  # bound now, on purpose
            for name, select in OWN.items()
        },
        "exact_ms": round(timed(lambda: exact(tabled(nine, WANTED), 6), 9), 3),
        "gap_20": max(_gap(given.seed + number) for number in range(20)),
    }


def _gap(seed: int) -> float:
    table = tabled(services(20, 0, seed), WANTED)
    best = exact(table, 1).ranked[0].value
    return round(max(0.0, best - grown(table, 1)[0].value) / max(abs(best), 1e-9), 6)


def services(count: int, places: int, seed: int) -> tuple[Candidate, ...]:
    """Return so many services with so many instances whose figures are drawn."""
    dice = np.random.default_rng(seed)
    return tuple(_service(number, places, dice) for number in range(count))


def _service(number: int, places: int, dice: np.random.Generator) -> Candidate:
    mean, cost = float(dice.uniform(5, 60)), float(dice.uniform(1, 10))
    speeds = dice.uniform(0.5, 2.0, places)
    return Candidate(
        service=f"service-{number:02}",
        stage="",
        accuracy=float(dice.uniform(0.6, 0.98)),
        latency_ms=mean,
        latency_high_ms=1.5 * mean,
        cost=cost,
        error=0.01,
        places=tuple(
            Place(
                place=f"instance-{at}",
                latency_ms=mean * float(speed),
                latency_high_ms=1.5 * mean * float(speed),
                cost=cost,
            )
            for at, speed in enumerate(speeds)
        ),
    )


def timed(call: Callable[[], object], times: int = 30) -> float:
    """Return the median CPU time of a call, ms: what else this machine does counts for nothing."""
    spent = []
    for _ in range(times):
        begun = time.process_time()
        call()
        spent.append(1e3 * (time.process_time() - begun))
    return median(spent)

"""How long a selection takes, and how near searches come to the optimum."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from processors.selecting.ensembles import Candidate, Objective
from processors.selecting.searching import search
from streams.bench.ensemble import Given


def measure(given: Given) -> dict[str, Any]:
    """Return `selection_ms`: the median time to select among 8 services."""
    candidates = services(8, given.seed)
    wanted = Objective(accuracy=0.6, latency=0.2, cost=0.2, latency_scale_ms=100, cost_scale=30)
    return {"selection_ms": round(timed(lambda: search(candidates, wanted, 6)), 3)}


def services(count: int, seed: int) -> list[Candidate]:
    """Return so many services whose accuracy, latency and cost are drawn."""
    draw = np.random.default_rng(seed)
    return [
        Candidate(
            service=f"service-{number}",
            stage="",
            accuracy=float(draw.uniform(0.6, 0.98)),
            latency_ms=float(draw.uniform(5, 60)),
            latency_high_ms=float(draw.uniform(60, 90)),
            cost=float(draw.uniform(1, 10)),
        )
        for number in range(count)
    ]


def timed(call: Callable[[], object], times: int = 30) -> float:
    """Return the median time of a call, ms."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        spent.append(1e3 * (time.perf_counter() - begun))
    return median(spent)

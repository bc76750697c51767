"""Where candidates may answer: instances or nodes, and which of them can be best at all."""

from collections.abc import Sequence

import numpy as np

from processors.selecting.ensembles import Candidate


class Places:
    """Where candidates may answer, as columns; `of` is the candidate of each, the last is nobody.

    Of the places of a candidate only those are kept than which no other is better in every way:
    since latencies are maxima and costs sums, no optimum is lost.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        found = [
            (number, where)
            for number, candidate in enumerate(candidates)
            for where in _undominated(candidate)
        ]
        self.of = np.array([*(number for number, _ in found), len(candidates)], np.int64)
        self.names = [where[0] for _, where in found] + [""]
        told = np.array([*(where[1:] for _, where in found), (0.0,) * 4], np.float64)
        self.latency, self.high, self.cost, self.energy = told.T.copy()


def _undominated(candidate: Candidate) -> list[tuple[str, float, float, float, float]]:
    if not candidate.places:
        own = candidate
        return [("", own.latency_ms, own.latency_high_ms, own.cost, own.energy_j)]
    every = sorted(
        [(p.latency_high_ms, p.latency_ms, p.cost, p.energy_j, p.place) for p in candidate.places]
    )
    kept: list[tuple[str, float, float, float, float]] = []
    for high, mean, cost, energy, name in every:
        for _, other_mean, _, other_cost, other_energy in kept:
            if other_mean <= mean and other_cost <= cost and other_energy <= energy:
                break
        else:
            kept.append((name, mean, high, cost, energy))
    return kept

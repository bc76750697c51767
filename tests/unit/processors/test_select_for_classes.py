"""Selection for consumers who care for one class: what serves it best within what others may lose.

Candidates are drawn: six services, three or five classes, each right as often as a seed says.
"""

from dataclasses import replace

import numpy as np
import pytest

from processors.selecting.ensembles import Bound, Candidate, Objective, Problem
from processors.selecting.own import OWN
from processors.selecting.searching import EMPHASES, exact, subsets, tabled

LABELS = ("a", "b", "c", "d", "e")
SLACK = 0.005


def candidates(seed: int, count: int) -> tuple[Candidate, ...]:
    dice = np.random.default_rng(seed)
    rates = dice.beta(5, 2, (6, 1)) * dice.uniform(0.6, 1.15, (6, count))
    return tuple(
        Candidate(
            service=f"s{number}",
            stage="",
            accuracy=float(row.mean()),
            latency_ms=1.0,
            latency_high_ms=1.0,
            cost=1.0,
            rates=tuple(map(float, row)),
        )
        for number, row in enumerate(np.clip(rates, 0.05, 0.995))
    )


def problem(seed: int, label: str, labels: tuple[str, ...] = LABELS) -> Problem:
    """Return the wish for few misses of a class while answers as a whole stay nearly as right."""
    wanted = Objective(
        accuracy=0.0,
        latency=0.0,
        cost=0.0,
        asked=((label, 1.0),),
        correlation=0.0,
        classes=len(labels),
        labels=labels,
    )
    known = candidates(seed, len(labels))
    best = float(tabled(known, wanted).votes(subsets(6, 1, 3)).accuracy.max())
    bounded = replace(wanted, bounds=(Bound("accuracy", best - SLACK),))
    return Problem(candidates=known, objective=bounded)


@pytest.mark.parametrize("seed", [0, 2])
def test_what_serves_a_class_best_is_not_given_up_for_the_others(seed: int) -> None:
    for label in LABELS[:3]:
        given = problem(seed, label, LABELS[:3])
        chosen = OWN["weir"](given, 1).ranked[0]
        others = exact(tabled(given.candidates, given.objective), 20).ranked
        assert chosen.value == max(one.value for one in others)
        assert chosen.shortfall == 0


@pytest.mark.parametrize(("seed", "label"), [(0, "a"), (1, "b"), (1, "e")])
def test_what_the_other_classes_may_lose_is_spent(seed: int, label: str) -> None:
    given = problem(seed, label)
    table, rows = tabled(given.candidates, given.objective), subsets(6, 1, 3)
    coarse = max(table.rate(rows, table.votes(rows, e)).value.max() for e in EMPHASES)
    found = exact(table, 1).ranked[0]
    assert found.value > coarse + 1e-3
    assert found.accuracy >= given.objective.bounds[0].threshold - 1e-9

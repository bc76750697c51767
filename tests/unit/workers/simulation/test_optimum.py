"""The optimum is the largest value in time, and a bound for every order."""

from itertools import pairwise, permutations
from typing import Any

import pytest

from tests.unit.workers.simulation.scenarios_made import made, service
from workers.scheduling.orders.names import OWN
from workers.simulation import optimum
from workers.simulation.frames import Frame, arriving
from workers.simulation.optimum import Wanted, crowded, cut, parts, relaxed, solve, wanted
from workers.simulation.scenario import Scenario
from workers.simulation.simulator import simulate


def small(seed: int, **fields: Any) -> Scenario:
    uneven = {"kind": "uniform", "low_ms": 5, "high_ms": 15}
    random = {"kind": "poisson", "rate_per_s": 45}
    return made(
        service("a", arrivals=random, service_time=uneven, budget_ms=18, value=3),
        service("b", arrivals=random, service_time=uneven, budget_ms=40, value=2),
        duration_ms=60,
        seed=seed,
        **fields,
    )


def by_trying(frames: list[Frame]) -> float:
    """Return the largest value in time over all sequences; what would be late is left out."""
    best = 0.0
    for sequence in permutations(frames):
        now = value = 0.0
        for frame in sequence:
            ends = max(now, frame.arrived) + frame.item_ms
            if ends <= frame.deadline:
                now, value = ends, value + frame.service.value
        best = max(best, value)
    return best


@pytest.mark.parametrize("seed", [3, 4, 8])
def test_it_is_what_trying_everything_finds(seed: int) -> None:
    scenario = small(seed)
    frames = list(arriving(scenario))
    assert 4 <= len(frames) <= 8
    total = sum(frame.service.value for frame in frames)
    found = solve(scenario, 10.0)
    assert found.solved
    assert found.found_share == pytest.approx(by_trying(frames) / total)
    assert found.bound_share == pytest.approx(found.found_share)
    for order in OWN:
        assert simulate(scenario, order).total.value_share <= found.bound_share + 1e-9


def test_a_batch_and_heat_make_it_a_bound_of_something_easier() -> None:
    told = service(
        arrivals={"kind": "trace", "at_ms": [0, 0, 0]},
        service_time={"kind": "batch", "fixed_ms": 6, "per_item_ms": 4},
        batch={"max": 3},
        budget_ms=18,
    )
    assert relaxed(made(told))
    assert solve(made(told), 5.0).bound_share == 1.0
    assert simulate(made(told), "fifo").total.value_share == 1.0
    hot = small(2, heat={"points": [{"at_ms": 0, "factor": 9}]})
    assert relaxed(hot)
    assert solve(hot, 5.0).bound_share == 0.0
    assert not relaxed(small(2))


def test_a_first_execution_that_is_shorter_is_within_the_bound() -> None:
    scenario = made(
        service(arrivals={"kind": "trace", "at_ms": [0]}, cold_ms=15, budget_ms=20,
                service_time={"kind": "constant", "ms": 30}),
        worker={"expire": False, "admit": False},
    )  # fmt: skip
    assert simulate(scenario, "fifo").total.value_share == 1.0
    assert solve(scenario, 1.0).bound_share == 1.0


def test_nothing_to_win_is_won() -> None:
    assert solve(made(service(value=0)), 1.0).bound_share == 1.0


def test_parts_do_not_touch_and_pieces_are_small() -> None:
    scenario = small(2).model_copy(update={"duration_ms": 4_000.0})
    jobs = list(wanted(scenario))
    found = list(parts(jobs))
    assert [job for part in found for job in part] == jobs
    assert len(found) > 3
    for before, after in pairwise(found):
        assert max(job.end for job in before) <= min(job.begin for job in after)
    pieces = cut(jobs, 40)
    assert [job for piece in pieces for job in piece] == jobs
    assert max(map(len, pieces)) <= 40


def test_a_scenario_in_pieces_is_bounded_from_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    uneven = {"kind": "uniform", "low_ms": 8, "high_ms": 12}
    random = {"kind": "poisson", "rate_per_s": 200}
    busy = made(
        service(arrivals=random, service_time=uneven, budget_ms=60), duration_ms=150, seed=4
    )
    whole = solve(busy, 8.0)
    assert whole.solved
    monkeypatch.setattr(optimum, "MOST", 8)
    pieces = solve(busy, 4.0)
    assert pieces.found_share <= whole.bound_share < pieces.bound_share
    assert pieces.found_share >= 0.8 * whole.found_share


def test_crowded_stretches_hold_less_than_is_wanted() -> None:
    jobs = [Wanted(0, 10, 6, 1.0, "a"), Wanted(0, 10, 6, 1.0, "a"), Wanted(20, 30, 6, 1.0, "a")]
    assert list(crowded(jobs)) == [([0, 1], 10)]

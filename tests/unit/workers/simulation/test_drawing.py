"""Scenarios drawn by chance, and how the default order fares on them."""

from streams.bench import worker_overload
from workers.simulation.drawing import drawn


def test_a_seed_gives_one_scenario_and_another_seed_another() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7).services != drawn(8).services


def test_scenarios_are_of_many_kinds() -> None:
    services = [service for seed in range(1, 41) for service in drawn(seed).services]
    assert {one.arrivals.kind for one in services} == {
        "periodic",
        "jittered",
        "poisson",
        "bursts",
        "flash-crowd",
    }
    assert {one.queue.drop for one in services} == {
        "oldest",
        "newest",
        "lowest-priority",
        "replace-by-key",
    }
    assert any(one.batch.max > 1 for one in services)


def test_the_default_is_told_beside_the_baselines() -> None:
    told = worker_overload.drawn(1, lambda _: None)
    assert told["scenarios"] == 1
    assert 0.0 < told["mean_value_share"] <= 1.0
    assert told["worst_against_baselines"] > -0.01
    assert told["below"] == {}

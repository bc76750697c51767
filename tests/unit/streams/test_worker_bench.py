"""`weir bench worker`: its figures follow from the runs, and goals are told when missed."""

import pytest

from streams import scenario_files
from streams.bench import worker_deciding, worker_overload
from workers.scheduling.orders.names import OWN
from workers.simulation.optimum import Optimum


def ignore(_: str) -> None:
    """Say nothing."""


def test_shares_are_told_beside_the_bound() -> None:
    found = worker_overload.measure(["light", "peer"], 2.0, 1, 1, ignore)
    assert list(found["overload"]) == ["light", "peer"]
    orders = found["overload"]["peer"]["orders"]
    assert list(orders) == ["plain-fifo", *OWN]
    assert orders["weir"]["bound_share"] == pytest.approx(
        orders["weir"]["value_share"] / found["overload"]["peer"]["optimum"]["bound_share"]
    )
    ratios = [told["orders"]["weir"]["bound_share"] for told in found["overload"].values()]
    assert found["mean_of_bound"] == pytest.approx(sum(ratios) / 2)
    assert found["worst_against_baselines"] == 0.0
    assert found["peer"]["fifo_p95_ms"] == 782.0
    assert not list(worker_overload.missed(found))
    assert len(list(worker_overload.rows(found))) == 2


def test_missed_goals_are_told() -> None:
    peer = {"default_p95_ms": 21.0, "default_lost": 0}
    found = {"mean_of_bound": 0.94, "worst_against_baselines": -0.02, "peer": peer}
    assert len(list(worker_overload.missed(found))) == 3
    absent = {"mean_of_bound": None, "worst_against_baselines": None}
    assert not list(worker_overload.missed(absent | {"peer": worker_overload.peer()}))


def test_what_an_order_reached_was_found() -> None:
    told = worker_overload._told(scenario_files.read("peer"), Optimum(0.5, 1.0), 0.99)
    assert (told["found_share"], told["solved"], told["relaxed"]) == (0.99, True, False)


def test_further_seeds_are_further_scenarios() -> None:
    found = worker_overload.measure(["peer"], 1.0, 1, 2, ignore)
    assert list(found["overload"]) == ["peer", "peer+1"]


@pytest.mark.parametrize("order", ["fifo", "weir"])
def test_a_decision_is_measured_with_full_queues(order: str) -> None:
    decision, turn = worker_deciding.decision_us(order, 5, 20)
    assert 0.0 < decision < turn < 10_000


@pytest.mark.faults
def test_a_long_run_holds_no_more_than_a_short_one() -> None:
    tenth, whole = worker_deciding.peaks("weir", 400_000)
    assert whole < 1.1 * tenth

"""Algorithms that heed the network, energy, or all copies that come together."""

import numpy as np
import pytest

from placement.algorithms.base import Peer
from placement.algorithms.energy import Power
from placement.algorithms.gradient import GradientAscent, ascended
from placement.columns import Columns
from placement.mix import mix_of
from placement.needs import Link, Machine
from tests.unit.placement.clusters import chooser, machine, need

SHARED = [need(3000, 5000, 1, 810), need(4000, 9000, 1), need(2000, 3000, 1, 320), need(2000)]


def test_the_network_pulls_neighbours_together() -> None:
    def linked(name: str, *links: Link, zone: str = "") -> Machine:
        return machine(name, links=links, zone=zone)

    machines = [
        linked("far", zone="b"),
        linked("slow", Link("hub", kbps=1000, latency_us=100), zone="a"),
        linked("fast", Link("hub", kbps=100_000, latency_us=200), zone="a"),
        linked("near", zone="a"),
        linked("hub", zone="a"),
        linked("told-by-hub", zone="b"),
    ]
    machines[4] = linked("hub", Link("told-by-hub", latency_us=150), zone="a")
    placing = chooser("network", machines, [need()])
    hub = 4
    for _ in range(8):
        assert placing.place(need(), peers=[Peer(hub, 500)]).row == hub
    rows = [placing.place(need(8000), peers=[Peer(hub, 500)]).row for _ in range(5)]
    assert [machines[row].name for row in rows] == ["told-by-hub", "near", "far", "fast", "slow"]


def test_the_fullest_node_wins_where_there_are_no_neighbours() -> None:
    machines = [machine("large", 16_000), machine("small", 2000)]
    assert chooser("network", machines, [need()]).place(need()).row == 1


def test_the_fewest_watts_are_added() -> None:
    machines = [
        machine("idle", idle_w=100.0, full_w=200.0),
        machine("thrifty", idle_w=150.0, full_w=180.0),
        machine("woken", idle_w=100.0, full_w=220.0),
    ]
    placing = chooser("energy", machines, [need()])
    power = Power(placing.columns)
    assert power.drawn() == 0.0
    placing.columns.take(1, need(4000), ())
    placing.columns.take(2, need(1000), ())
    assert power.drawn() == 150 + 15 + 100 + 15
    assert power.added(need(), np.arange(3)).tolist() == [112.5, 3.75, 15.0]
    rows = [placing.place(need(4000)).row for _ in range(3)]
    assert rows == [1, 2, 0]


def test_power_that_is_not_told_is_taken_by_size() -> None:
    columns = Columns([machine("a", 4000, gpus=1), machine("b", 8000, idle_w=90.0, full_w=50.0)])
    power = Power(columns)
    assert power.added(need(2000), np.arange(2)).tolist() == pytest.approx([110.2, 50.0])


def test_copies_that_come_together_are_placed_by_the_relaxed_assignment() -> None:
    """One by one, the fullest first, the small copies would take what the large ones need."""
    machines = [machine("a", 8000, 16_000), machine("b", 6000, 16_000)]
    needs = [need(2000), need(2000), need(2000), need(8000)]
    placed = chooser("gradient", machines, needs).place_all(needs)
    assert [each and each.row for each in placed] == [1, 1, 1, 0]


def test_the_relaxed_assignment_keeps_within_all_limits() -> None:
    machines = [machine(f"n{number}", 4000 + 500 * number, gpus=number % 3) for number in range(20)]
    columns = Columns(machines)
    judging = GradientAscent(columns, mix_of(SHARED), 0)
    problem = judging._relaxed([(each, 9 + place) for place, each in enumerate(SHARED)])
    found = ascended(problem)
    assert (found >= 0).all()
    assert not found[~problem.able].any()
    assert (found.sum(axis=1) <= problem.supply + 1e-9).all()
    assert (found.T @ problem.takes <= problem.free + 1e-9).all()
    assert found.sum() > 0.9 * sum(wish is not None for wish in judging.wishes(SHARED * 9))

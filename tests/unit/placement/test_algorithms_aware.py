"""Algorithms that heed the network, energy, or all copies that come together."""

import numpy as np
import pytest

from placement.algorithms import exact
from placement.algorithms.base import Peer
from placement.algorithms.energy import Power
from placement.algorithms.gradient import GradientAscent, ascended
from placement.algorithms.learned import (
    FEATURES,
    SORTS,
    TOLD,
    Learned,
    features,
    weights_of,
)
from placement.algorithms.mix import mix_of
from placement.algorithms.proven import Exact
from placement.algorithms.shipped import document as shipped_document
from placement.cluster.columns import Columns
from placement.cluster.needs import Link, Machine
from placement.replay.training import Plan, generated, learned
from tests.unit.placement.clusters import algorithm, chooser, machine, need

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
    assert [machines[row].name for row in rows] == ["fast", "slow", "told-by-hub", "near", "far"]


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
    assert power.added(need(2000), np.arange(2)).tolist() == pytest.approx([69.6 + 0.7 * 16, 50.0])


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
    kinds = [(each, 9 + place) for place, each in enumerate(SHARED)]
    problem = judging._relaxed(kinds, np.arange(20))
    found = ascended(problem)
    assert (found >= 0).all()
    assert not found[~problem.able].any()
    assert (found.sum(axis=1) <= problem.supply + 1e-9).all()
    assert (found.T @ problem.takes <= problem.free + 1e-9).all()
    assert found.sum() > 0.9 * sum(wish is not None for wish in judging.wishes(SHARED * 9))


def test_what_was_learned_places_what_it_knows_and_weirs_default_the_rest() -> None:
    machines = [machine("large", 16_000, gpus=4), machine("small", 8000, gpus=1)]
    columns = Columns(machines)
    flat = dict.fromkeys(FEATURES, 0.0)
    document = weights_of(shipped_document("learned")).document()
    document["weights"] = dict.fromkeys(SORTS, flat | {"room_left": 1.0})
    document["domain"] = {name: [0.0, 0.5] for name in TOLD}
    judging = Learned(columns, mix_of(SHARED), 0, weights_of(document))
    known, strange = need(2000, 1000), need(2000, 1000, 1, 400)
    assert judging.score(known, np.arange(2)).score.argmax() == 0
    assert judging.strange == 0
    default = algorithm("weir", columns, SHARED).score(strange, np.arange(2)).score
    assert judging.score(strange, np.arange(2)).score.tolist() == default.tolist()
    assert judging.strange == 1


def test_features_lie_between_nothing_and_all() -> None:
    columns = Columns([machine("a", gpus=4), machine("b", 0, 0), machine("c", gpus=1)])
    columns.take(0, SHARED[0], (2,))
    for each in SHARED:
        found = features(columns, each, np.array([0, 2]))
        assert found.shape == (2, len(FEATURES))
        assert ((found >= 0) & (found <= 1)).all()
    told = dict(zip(FEATURES, features(columns, SHARED[2], np.array([0, 2])).T, strict=True))
    assert told["gpu_rest"].tolist() == [0.68, 0.68]
    assert told["wakes_node"].tolist() == [0, 1]


def test_shipped_weights_say_where_they_come_from_and_are_as_they_were_written() -> None:
    weights = weights_of(shipped_document("learned"))
    assert weights_of(weights.document()) == weights
    found = weights.provenance
    assert found["allocation"]["learned"] > found["allocation"]["prior"]
    assert "generated clusters" in found["trained_on"]


def test_learning_follows_from_the_seed() -> None:
    plan = Plan(rounds=2, draws=3, fillings=2, nodes=4)
    runs = [
        learned([generated(seed, plan.nodes) for seed in range(2)], plan, {}, lambda _: None)
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0][1]) == plan.rounds
    assert generated(1, 4) != generated(2, 4)


def test_the_proven_optimum_places_all_that_can_be_placed_in_what_is_free() -> None:
    pytest.importorskip("ortools")
    machines = [machine("a", 10_000), machine("b", 10_000)]
    needs = [need(each) for each in (3000, 4000, 3000, 3000, 6000)]
    for name, left_over in (("best-fit", 1), ("exact", 0)):
        placing = chooser(name, machines, needs)
        placing.columns.take(0, need(1000), ())
        assert placing.place_all(needs).count(None) == left_over
    assert placing.place_all([need(1000)] * 2) == [None, None]


def test_where_nothing_is_proven_weirs_default_decides_and_it_is_told_why(monkeypatch) -> None:
    columns = Columns([machine(f"n{number}") for number in range(30)])
    judging = Exact(columns, mix_of(SHARED), 0)
    assert judging.wishes([need()] * 70) == [None] * 70
    assert judging.trouble == "70 copies on 30 nodes are too many to be exact"
    assert judging.wishes([need()]) == [None]
    assert judging.trouble == ""

    def absent(*_):
        raise ModuleNotFoundError(name="ortools")

    monkeypatch.setattr(exact, "within", absent)
    assert judging.wishes([need()] * 2) == [None] * 2
    assert "add the extra `exact`" in judging.trouble

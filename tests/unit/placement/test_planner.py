"""Plans: never over-committed, sticky, deterministic; best fit means best fit."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.algorithms.mix import mix_of
from placement.algorithms.names import OWN
from placement.cluster.copies import Cluster
from placement.cluster.needs import Gpu, Link, Machine, Neighbour, Option
from placement.control.explain import explain
from placement.control.planner import Planner
from placement.control.plans import Want
from tests.unit.placement.planning import (
    MACHINES,
    WANTS,
    check_room,
    demand,
    placed,
    plan,
    planner,
    small,
    want,
    where,
)

ALGORITHMS = ("best-fit", "network", "weighted", "weir")
few = settings(max_examples=25, deadline=None)


@few
@given(MACHINES, WANTS, st.sampled_from(ALGORITHMS))
def test_no_node_is_ever_over_committed(
    there: list[Machine], asked: list[Want], algorithm: str
) -> None:
    done = placed(asked, plan(asked, there, algorithm))
    check_room(done, there)
    by_name = {machine.name: machine for machine in there}
    for one in done:
        for a in one.present:
            node = by_name[a.node]
            assert node.health == "ready"
            assert a.cpu_milli <= max(node.cpu_milli - node.cpu_outside, 0)


@few
@given(MACHINES, MACHINES, WANTS, WANTS)
def test_whatever_changes_no_node_is_over_committed_afterwards(
    before: list[Machine], after: list[Machine], first: list[Want], second: list[Want]
) -> None:
    running = {w.demand.service: w.present for w in placed(first, plan(first, before))}
    moved = [replace(w, present=running.get(w.demand.service, ())) for w in second]
    check_room(placed(moved, plan(moved, after)), after)


@few
@given(MACHINES, WANTS)
def test_what_is_planned_and_dropped_again_leaves_no_trace(
    there: list[Machine], asked: list[Want]
) -> None:
    planning = planner(there, asked)
    planning.plan(asked)
    cluster, columns = planning.cluster, planning.cluster.columns
    before = (columns.room.tolist(), dict(cluster.network.used), dict(cluster._flows))
    several = [copy for copies in cluster.copies.values() for copy in copies.values()][:3]
    gone = [cluster.remove(copy) for copy in several]
    for last in reversed(gone):
        cluster.put_back(last)
    assert (columns.room.tolist(), dict(cluster.network.used), dict(cluster._flows)) == before
    for one in asked:
        cluster.drop(one.demand.service)
    assert (columns.room == columns.capacity).all()
    assert (columns.gpu_room == columns.gpu_capacity).all()
    assert (columns.gpu_memory_room == columns.gpu_memory_capacity).all()
    assert (columns.core_room == columns.core_capacity).all()
    assert not cluster.network.used
    assert not cluster.copies


@few
@given(MACHINES, WANTS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    there: list[Machine], asked: list[Want], dice: random.Random
) -> None:
    expected = plan(asked, there)
    dice.shuffle(there)
    dice.shuffle(asked)
    assert plan(asked, there) == expected


@few
@given(MACHINES, WANTS)
def test_a_service_that_is_bound_to_none_is_left_out_only_where_no_node_fits(
    there: list[Machine], asked: list[Want]
) -> None:
    asked = [
        replace(w, demand=replace(w.demand, affinity=(), anti_affinity=(), neighbours=()))
        for w in asked
    ]
    plans = plan(asked, there)
    done = placed(asked, plans)
    for one in done:
        told = explain(one.demand.service, done, there)
        assert len(told) == len(there)
        if len(one.present) < one.replicas:
            assert all(e.constraint for e in told)
            counted = sum(r.nodes for r in plans[one.demand.service].rejections)
            assert counted == len(there)


@given(st.lists(st.integers(1000, 9000), min_size=1, max_size=6))
@settings(max_examples=20)
def test_best_fit_takes_the_fullest_node_that_fits_and_worst_fit_the_emptiest(
    capacities: list[int],
) -> None:
    there = [small(f"n{i}", cpu_milli=c, memory_mib=c) for i, c in enumerate(capacities)]
    asked = [want(cpu=1000, memory=1000)]
    (best,) = where(plan(asked, there, "best-fit"))
    (worst,) = where(plan(asked, there, "worst-fit"))
    hundredth = max(capacities) / 100
    assert capacities[int(best[1:])] - min(capacities) <= hundredth
    assert capacities[int(worst[1:])] == max(capacities)


def test_first_fit_takes_the_first_by_name() -> None:
    there = [small("b"), small("a", cpu_milli=10), small("c")]
    assert where(plan([want()], there, "first-fit")) == ["b"]


def test_at_most_so_many_share_a_node_or_a_zone() -> None:
    there = [small("a", zone="x"), small("b", zone="x"), small("c", zone="y")]
    assert where(plan([want(replicas=3, max_per_zone=1)], there)) == ["a", "c"]
    two = plan([want(replicas=3, max_per_node=2)], there[:1])["s"].assignments
    assert [a.instance for a in two] == ["s.a", "s.a.2"]


def test_the_more_important_service_gets_the_room() -> None:
    asked = [want("low"), want("high", priority=5)]
    plans = plan(asked, [small("a", cpu_milli=1000)])
    assert where(plans, "high") == ["a"]
    assert plans["low"].status == "unplaceable"


def test_a_failed_node_loses_its_replicas_and_an_unknown_one_keeps_them_for_now() -> None:
    (first,) = placed([want()], plan([want()], [small("a")]))
    failed, unknown = small("a", health="failed"), small("a", health="unknown")
    assert where(plan([first], [failed])) == []
    assert where(plan([first], [unknown])) == ["a"]
    assert where(plan([first], [unknown, small("b")])) == ["b"]
    assert where(plan([first], [small("b")])) == ["b"]


def test_load_of_others_moves_nothing_but_takes_nothing_new() -> None:
    (first,) = placed([want()], plan([want()], [small("a")]))
    busy = small("a", cpu_outside=1500)
    assert where(plan([first], [busy, small("b")])) == ["a"]
    assert plan([want()], [busy])["s"].status == "unplaceable"


def test_fewer_copies_leave_the_unsound_nodes_first() -> None:
    there = [small("a"), small("b")]
    (two,) = placed([want(replicas=2)], plan([want(replicas=2)], there))
    fewer = replace(two, replicas=1)
    assert where(plan([fewer], [small("a", health="draining"), small("b")])) == ["b"]
    assert where(plan([fewer], there)) == ["a"]
    assert plan([replace(two, replicas=0)], there)["s"].status == "retired"


def test_services_that_are_not_to_be_planned_stay_and_hold_their_room() -> None:
    others = placed([want("other")], plan([want("other")], [small("a")]))
    plans = plan([want("s", cpu=1500)], [small("a")], others=others)
    assert set(plans) == {"s"}
    assert plans["s"].status == "unplaceable"
    assert plans["s"].near_misses[0].available == 1000.0


def test_shares_of_a_gpu_are_packed() -> None:
    gpus = (Gpu("T4", index=0), Gpu("T4", index=1))
    asked = [want(f"s{i}", cpu=1, memory=1, gpu_milli=500) for i in range(3)]
    plans = plan(asked, [small("a", gpus=gpus)])
    assert [plans[f"s{i}"].assignments[0].gpu_index for i in range(3)] == [0, 0, 1]


def test_a_copy_on_several_gpus_names_them() -> None:
    gpus = tuple(Gpu("T4", 16, index=2 * number) for number in range(3))
    asked = want(gpus=2, gpu_milli=1000, gpu_memory_mib=8)
    (one,) = plan([asked], [small("a", gpus=gpus)])["s"].assignments
    assert (one.gpu_index, one.gpu_indices, one.gpu_memory_mib) == (0, (0, 2), 8)
    kept = plan(placed([asked], plan([asked], [small("a", gpus=gpus)])), [small("a", gpus=gpus)])
    assert kept["s"].assignments == (one,)


def test_the_first_variant_that_fits_is_run() -> None:
    fast, slow = want(gpu_milli=500).demand.options[0], want(cpu=100).demand.options[0]
    options = (Option("gpu", fast.need), Option("cpu", slow.need))
    asked = want(replicas=2, options=options)
    plans = plan([asked], [small("a", gpus=(Gpu("T4", index=0),)), small("b")])
    assert [(a.node, a.variant) for a in plans["s"].assignments] == [("a", "gpu"), ("b", "cpu")]


def test_services_that_must_run_together_do_in_whatever_order_they_come() -> None:
    there = [small("a", cpu_milli=1500), small("b", cpu_milli=2000)]
    both = [want("s", affinity=("t",)), want("t", affinity=("s",))]
    plans = plan(both, there, "best-fit")
    assert (where(plans, "s"), where(plans, "t")) == (["b"], ["b"])
    alone = plan([want("s", affinity=("t",))], there)["s"]
    assert [(r.constraint, r.nodes) for r in alone.rejections] == [("affinity", 2)]


def test_services_that_must_be_apart_are_whichever_of_them_says_so() -> None:
    for asked in ([want("s", anti_affinity=("t",)), want("t")], [want("s"), want("t", priority=1)]):
        asked[1] = replace(asked[1], demand=replace(asked[1].demand, anti_affinity=("s",)))
        plans = plan(asked, [small("a", cpu_milli=9000), small("b")])
        assert where(plans, "s") != where(plans, "t")


def test_a_rule_that_is_broken_by_now_moves_a_copy_only_where_it_can_go() -> None:
    both = [want("s"), want("t")]
    there = [small("a"), small("b", health="draining")]
    done = placed(both, plan(both, there))
    apart = [replace(done[0], demand=demand("s", anti_affinity=("t",))), done[1]]
    assert where(plan(apart, there)) == ["a"]
    assert {*where(p := plan(apart, [small("a"), small("b")])), *where(p, "t")} == {"a", "b"}


def test_a_gpu_of_a_model_that_is_accepted_no_more_is_left_for_another() -> None:
    there = [small("a", gpus=(Gpu("T4", index=0),)), small("b", gpus=(Gpu("V100", index=0),))]
    (first,) = placed([want(gpu_milli=500)], plan([want(gpu_milli=500)], there))
    assert first.present[0].node == "a"
    changed = replace(first, demand=demand(gpu_milli=500, models=("V100",)))
    assert where(plan([changed], there[:1])) == ["a"]
    assert where(plan([changed], there)) == ["b"]


def test_a_filter_of_others_holds_for_copies_that_run() -> None:
    (first,) = placed([want()], plan([want()], [small("a")]))
    cluster = Cluster([small("a"), small("b")])
    algorithm = OWN["first-fit"](cluster.columns, mix_of(()), 0)
    not_a = {"not-a": lambda *_: np.array([False, True])}
    assert where(Planner(cluster, algorithm, not_a).plan([first])) == ["b"]


def far(name: str, to: str, latency_us: int, kbps: int | None = None) -> Machine:
    return small(name, cpu_milli=1000, links=(Link(to, kbps, latency_us),))


def test_latency_to_a_neighbour_is_a_hard_constraint() -> None:
    there = [far("a", "b", 900), small("b", cpu_milli=1000), far("c", "b", 3000)]
    first = want("t", priority=1, labels=(), zones=("z",))
    there[1] = replace(there[1], zone="z")
    asked = [first, want("s", neighbours=(Neighbour("t", 0, 1000),))]
    assert where(plan(asked, there, "worst-fit")) == ["a"]
    strict = [first, want("s", neighbours=(Neighbour("t", 0, 100),))]
    refused = plan(strict, there)["s"]
    assert {r.constraint: r.nodes for r in refused.rejections} == {"latency": 2, "cpu": 1}
    (near, *_) = (m for m in refused.near_misses if m.constraint == "latency")
    assert (near.node, near.needed, near.available) == ("a", 0.1, 0.9)


def test_bandwidth_of_links_is_used_up() -> None:
    there = [far("a", "b", 900, 250), replace(small("b", cpu_milli=9000), zone="z")]
    hub = want("t", priority=1, zones=("z",), cpu=9000, memory=0)
    there[0] = replace(there[0], cpu_milli=9000, memory_mib=9000)
    leaves = [want(f"s{i}", neighbours=(Neighbour("t", 100),)) for i in range(3)]
    plans = plan([hub, *leaves], there)
    assert [plans[f"s{i}"].status for i in range(3)] == ["placed", "placed", "unplaceable"]
    assert {r.constraint for r in plans["s2"].rejections} == {"bandwidth", "cpu"}


def test_a_copy_that_lost_its_way_is_looked_at_and_ends_nothing() -> None:
    """The link to the far copy is full when the near one fails; the far one is planned next."""
    near, far_off = far("b", "a", 100, 500), far("c", "a", 900, 50)
    there = [small("a", zone="x", extra=(("uplink", 0),)), near, far_off]
    caller = want("s", zones=("x",), neighbours=(Neighbour("t", 400),))
    hub = want("t", replicas=2, zones=("",), priority=1)
    planning = planner(there, [caller, hub], "first-fit")
    plans = planning.plan([hub, caller])
    assert (where(plans, "t"), where(plans)) == (["b", "c"], ["a"])
    cluster = planning.cluster
    cluster.remove(next(iter(cluster.copies["t"].values())))
    assert cluster.upset == {"s"}
    left = planning.plan([replace(hub, present=plans["t"].assignments[1:], replicas=1)])
    assert where(left, "t") == ["c"]


@pytest.mark.parametrize("caller_first", [False, True])
def test_uplinks_are_used_up_whoever_comes_first(caller_first: bool) -> None:
    there = [small("a", zone="x"), small("b", zone="y", extra=(("uplink", 50),))]
    asked = [
        want("s", neighbours=(Neighbour("t", 100),), zones=("x",), priority=int(caller_first)),
        want("t", zones=("y",)),
    ]
    assert [p.status for p in plan(asked, there).values()] == ["placed", "unplaceable"]


def test_alternatives_are_told_best_first() -> None:
    there = [small(f"n{i:02}", cpu_milli=2000 + 100 * i) for i in range(14)]
    told = plan([want()], there, "worst-fit")["s"]
    assert where({"s": told}) == ["n13"]
    assert [a.node for a in told.alternatives] == [f"n{i:02}" for i in range(12, 2, -1)]
    assert told.fitting == 14
    assert [a.score for a in told.alternatives] == sorted(
        (a.score for a in told.alternatives), reverse=True
    )

"""Plans: never over-committed, sticky, deterministic; best fit means best fit."""

import csv
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.explain import explain
from placement.fragmentation import classes_of, fragmentation
from placement.model import Demand, GpuView, NodeView
from placement.occupancy import Occupancy
from placement.planner import Plan, Want, plan
from placement.scores import ALGORITHMS
from placement.table import Table

TRACES = Path(__file__).parents[4] / "shared" / "data" / "openb"
HEALTH = st.sampled_from(["ready", "ready", "ready", "draining", "unknown", "failed"])


@st.composite
def nodes(draw: st.DrawFn) -> list[NodeView]:
    made = []
    for number in range(draw(st.integers(0, 6))):
        gpus = tuple(
            GpuView(i, draw(st.sampled_from(["T4", "V100"])), draw(st.sampled_from([0, 300])))
            for i in range(draw(st.integers(0, 2)))
        )
        cores = tuple(
            (1000, draw(st.sampled_from([0, 400]))) for _ in range(draw(st.integers(0, 3)))
        )
        made.append(
            NodeView(
                name=f"n{number}",
                health=draw(HEALTH),
                zone=draw(st.sampled_from(["x", "y"])),
                speed=draw(st.sampled_from([0.5, 1.0])),
                cpu_milli=draw(st.integers(0, 3000)),
                cpu_outside=draw(st.sampled_from([0, 0, 500])),
                memory_mib=draw(st.integers(0, 2000)),
                cores=cores,
                gpus=gpus,
            )
        )
    return made


@st.composite
def wants(draw: st.DrawFn) -> list[Want]:
    made = []
    for number in range(draw(st.integers(1, 6))):
        cores = tuple(sorted(draw(st.lists(st.integers(1, 900), max_size=2)), reverse=True))
        demand = Demand(
            service=f"s{number}",
            cpu_milli=draw(st.integers(0, 1500)),
            memory_mib=draw(st.integers(0, 900)),
            gpu_milli=draw(st.sampled_from([0, 0, 250, 500, 1000])),
            cores=cores,
            priority=draw(st.integers(0, 2)),
        )
        made.append(Want(demand=demand, replicas=draw(st.integers(0, 3))))
    return made


def placed(asked: Iterable[Want], plans: dict[str, Plan]) -> list[Want]:
    """Return the wants with their plans carried out."""
    return [replace(w, present=plans[w.demand.service].assignments) for w in asked]


def check_room(asked: Sequence[Want], there: Sequence[NodeView]) -> None:
    """Fail when a node holds more than it has, in any dimension."""
    cpu: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    gpu: Counter[tuple[str, int | None]] = Counter()
    for want in asked:
        assert len({a.node for a in want.present}) == len(want.present) <= want.replicas
        for a in want.present:
            cpu[a.node] += a.cpu_milli
            memory[a.node] += a.memory_mib
            if a.gpu_milli:
                gpu[a.node, a.gpu_index] += a.gpu_milli
    by_name = {node.name: node for node in there}
    assert all(used <= by_name[name].cpu_milli for name, used in cpu.items())
    assert all(used <= by_name[name].memory_mib for name, used in memory.items())
    for (name, index), used in gpu.items():
        assert index in [g.index for g in by_name[name].gpus]
        assert used <= 1000


@given(nodes(), wants(), st.sampled_from(sorted(ALGORITHMS)))
def test_no_node_is_ever_over_committed(
    there: list[NodeView], asked: list[Want], algorithm: str
) -> None:
    done = placed(asked, plan(asked, there, algorithm))
    check_room(done, there)
    for want in done:
        for a in want.present:
            node = next(n for n in there if n.name == a.node)
            assert node.health == "ready"
            assert a.cpu_milli <= node.cpu_milli - node.cpu_outside


@given(nodes(), nodes(), wants(), wants())
def test_whatever_changes_no_node_is_over_committed_afterwards(
    before: list[NodeView], after: list[NodeView], first: list[Want], second: list[Want]
) -> None:
    running = {w.demand.service: w.present for w in placed(first, plan(first, before))}
    moved = [replace(w, present=running.get(w.demand.service, ())) for w in second]
    check_room(placed(moved, plan(moved, after)), after)


@given(nodes(), wants())
def test_what_is_placed_stays(there: list[NodeView], asked: list[Want]) -> None:
    first = plan(asked, there)
    again = plan(placed(asked, first), there)
    assert {s: p.assignments for s, p in again.items()} == {
        s: p.assignments for s, p in first.items()
    }


@given(nodes(), wants(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    there: list[NodeView], asked: list[Want], dice: random.Random
) -> None:
    expected = plan(asked, there)
    dice.shuffle(there)
    dice.shuffle(asked)
    assert plan(asked, there) == expected


@given(nodes(), wants())
def test_a_service_is_left_out_only_where_no_node_fits(
    there: list[NodeView], asked: list[Want]
) -> None:
    plans = plan(asked, there)
    done = placed(asked, plans)
    for want in done:
        told = explain(want.demand.service, done, there)
        assert len(told) == len(there)
        if len(want.present) < want.replicas:
            assert all(e.constraint for e in told)
            counted = sum(r.nodes for r in plans[want.demand.service].rejections)
            assert counted == len(there)


def small(name: str, **more: object) -> NodeView:
    return replace(NodeView(name=name, cpu_milli=2000, memory_mib=2048), **more)  # type: ignore[arg-type]


def want(service: str = "s", replicas: int = 1, **more: object) -> Want:
    demand = Demand(service=service, cpu_milli=1000, memory_mib=1024)
    return Want(demand=replace(demand, **more), replicas=replicas)  # type: ignore[arg-type]


def where(plans: dict[str, Plan], service: str = "s") -> list[str]:
    return [a.node for a in plans[service].assignments]


@given(st.lists(st.integers(1000, 9000), min_size=1, max_size=6))
def test_best_fit_takes_the_fullest_node_that_fits_and_worst_fit_the_emptiest(
    capacities: list[int],
) -> None:
    there = [NodeView(name=f"n{i}", cpu_milli=c, memory_mib=c) for i, c in enumerate(capacities)]
    asked = [want(cpu_milli=1000, memory_mib=1000)]
    (best,) = where(plan(asked, there, "best_fit"))
    (worst,) = where(plan(asked, there, "worst_fit"))
    assert capacities[int(best[1:])] == min(capacities)
    assert capacities[int(worst[1:])] == max(capacities)


def test_first_fit_takes_the_first_by_name() -> None:
    there = [small("b"), small("a", cpu_milli=10), small("c")]
    assert where(plan([want()], there, "first_fit")) == ["b"]


def test_the_fastest_node_is_taken_where_only_speed_counts() -> None:
    there = [small("a", speed=0.5), small("b", speed=2.0)]
    assert where(plan([want()], there, "fastest")) == ["b"]


def test_replicas_are_spread_over_zones() -> None:
    there = [small("a", zone="x"), small("b", zone="x"), small("c", zone="y")]
    assert where(plan([want(replicas=2)], there)) == ["a", "c"]


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
    (other,) = placed([want("other")], plan([want("other")], [small("a")]))
    occupied = Occupancy()
    occupied.put(other.demand, other.present)
    plans = plan([want("s", cpu_milli=1500)], [small("a")], occupied=occupied)
    assert set(plans) == {"s"}
    assert plans["s"].status == "unplaceable"
    assert plans["s"].near_misses[0].available == 1000.0


def test_shares_of_a_gpu_are_packed() -> None:
    gpus = (GpuView(0, "T4"), GpuView(1, "T4"))
    asked = [want(f"s{i}", cpu_milli=1, memory_mib=1, gpu_milli=500) for i in range(3)]
    plans = plan(asked, [small("a", gpus=gpus)])
    assert [plans[f"s{i}"].assignments[0].gpu_index for i in range(3)] == [0, 0, 1]


def test_fragmentation_follows_its_definition() -> None:
    there = Table([small("a", gpus=(GpuView(0, "T4", 400), GpuView(1, "T4", 800)))])
    small_task = Demand(service="m", cpu_milli=1000, memory_mib=100, gpu_milli=300)
    large_task = replace(small_task, gpu_milli=700)
    cpu_task = replace(small_task, gpu_milli=0)
    hungry = replace(small_task, cpu_milli=5000)

    def of(*tasks: Demand) -> float:
        kinds = classes_of(tasks)
        found = fragmentation(there, there.cpu_free, there.memory_free, there.gpu_free, kinds)
        return float(found[0])

    assert of(small_task) == 200.0
    assert of(large_task) == 800.0
    assert of(cpu_task) == 800.0
    assert of(hungry) == 800.0
    assert of(small_task, large_task) == pytest.approx(500.0)


def test_fragmentation_prefers_the_gpu_that_is_broken_already() -> None:
    gpus = (GpuView(0, "T4"), GpuView(1, "T4", 500))
    asked = [want(cpu_milli=1, memory_mib=1, gpu_milli=500)]
    mix = (asked[0].demand, replace(asked[0].demand, gpu_milli=1000))
    plans = plan(asked, [small("a", gpus=gpus)], "fragmentation", workload=mix)
    assert plans["s"].assignments[0].gpu_index == 1


def _trace_nodes() -> list[NodeView]:
    with (TRACES / "openb_node_list_gpu_node.csv").open() as lines:
        return [
            NodeView(
                name=row["sn"],
                cpu_milli=int(row["cpu_milli"]),
                memory_mib=int(row["memory_mib"]),
                gpus=tuple(GpuView(i, row["model"]) for i in range(int(row["gpu"]))),
            )
            for row in csv.DictReader(lines)
        ]


def _trace_tasks(number: int) -> list[Want]:
    with (TRACES / "openb_pod_list_default.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["num_gpu"] in ("0", "1")]
    return [
        Want(
            demand=Demand(
                service=row["name"],
                cpu_milli=int(row["cpu_milli"]),
                memory_mib=int(row["memory_mib"]),
                gpu_milli=int(row["gpu_milli"]) if row["num_gpu"] == "1" else 0,
            ),
            replicas=1,
        )
        for row in rows[:number]
    ]


@pytest.mark.skipif(not TRACES.is_dir(), reason="the openb traces are not on this machine")
@pytest.mark.parametrize("algorithm", ["best_fit", "weighted", "fragmentation"])
def test_a_production_trace_is_placed_without_over_commitment(algorithm: str) -> None:
    there, asked = _trace_nodes(), _trace_tasks(60 if algorithm == "fragmentation" else 400)
    assert len(there) == 1213
    done = placed(asked, plan(asked, there, algorithm))
    check_room(done, there)
    assert all(want.present for want in done)


@pytest.mark.skipif(not TRACES.is_dir(), reason="the openb traces are not on this machine")
def test_on_a_cluster_that_is_too_small_what_fits_is_placed_and_the_rest_is_told() -> None:
    there, asked = _trace_nodes()[:20], _trace_tasks(400)
    plans = plan(asked, there, "best_fit")
    check_room(placed(asked, plans), there)
    statuses = Counter(p.status for p in plans.values())
    assert statuses["placed"] > 20
    assert statuses["unplaceable"] > 20
    assert all(p.near_misses for p in plans.values() if p.status == "unplaceable")

"""Which nodes fit, and what is said of those that do not."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from placement.filters import Screening, screen
from placement.model import Demand, GpuView, NodeView, demand_of, node_view
from placement.table import Table
from schemas.resources import Core, Variant
from tests.unit.placement import world
from tests.unit.placement.world import T0

NEED = Demand(service="s", cpu_milli=1000, memory_mib=512)


def view(name: str = "a", **more: object) -> NodeView:
    base = NodeView(name=name, cpu_milli=1000, memory_mib=512, architecture="amd64")
    return replace(base, **more)  # type: ignore[arg-type]


def screened(demand: Demand, *nodes: NodeView, taken: Sequence[int] = ()) -> Screening:
    return screen(Table(nodes), demand, taken)


def test_a_perfect_fit_is_a_fit() -> None:
    gpu = view(gpus=(GpuView(0, "T4"),), cores=((1000, 0),))
    need = replace(NEED, gpu_milli=1000, cores=(1000,))
    assert screened(need, gpu).fits.all()


@pytest.mark.parametrize(
    ("constraint", "node", "need"),
    [
        ("health", {"health": "draining"}, {}),
        ("health", {"health": "unknown"}, {}),
        ("health", {"health": "failed"}, {}),
        ("taint", {"taints": ("reserved",)}, {}),
        ("architecture", {}, {"architectures": ("arm64",)}),
        ("variant", {}, {"variants": (("cuda-fp16", "cuda"),)}),
        ("accelerator", {"gpus": (GpuView(0, "T4"),)}, {"gpu_milli": 1, "accelerators": ("V100",)}),
        ("accelerator", {}, {"gpu_milli": 1}),
        ("cpu", {"cpu_outside": 1}, {}),
        ("cpu-per-core", {"cores": ((600, 0), (600, 0))}, {"cores": (600, 601)}),
        ("cpu-per-core", {"cores": ((900, 400), (600, 0))}, {"cores": (601,)}),
        ("cpu-per-core", {"cores": ((1000, 0),)}, {"cores": (500, 500)}),
        ("memory", {"memory_outside": 1}, {}),
        ("gpu", {"gpus": (GpuView(0, "T4", 501), GpuView(1, "T4", 501))}, {"gpu_milli": 500}),
    ],
)
def test_each_constraint_rules_out_and_is_named(
    constraint: str, node: dict[str, object], need: dict[str, object]
) -> None:
    demand = replace(NEED, **need)  # type: ignore[arg-type]
    if "cores" in need:
        demand = replace(demand, cores=tuple(sorted(demand.cores, reverse=True)))
    found = screened(demand, replace(view(), **node))  # type: ignore[arg-type]
    assert not found.fits.any()
    (rejection,) = found.rejections()
    assert (rejection.constraint, rejection.nodes) == (constraint, 1)


def test_a_node_with_a_replica_takes_no_second_one() -> None:
    found = screened(NEED, view("a"), view("b"), taken=[0])
    assert found.fits.tolist() == [False, True]


def test_demands_on_cores_are_matched_highest_to_freest() -> None:
    node = view(cores=((300, 0), (900, 100), (500, 0)))
    assert screened(replace(NEED, cores=(800, 500, 300)), node).fits.all()
    assert not screened(replace(NEED, cores=(800, 501)), node).fits.any()


def test_nodes_that_report_no_cores_pass_the_core_filter() -> None:
    assert screened(replace(NEED, cores=(500, 500)), view()).fits.all()


def test_rejections_count_every_node_once_and_near_misses_are_the_nearest() -> None:
    nodes = [view(f"n{i:02}", cpu_milli=i * 60) for i in range(17)]
    found = screened(NEED, *nodes)
    assert [(r.constraint, r.nodes) for r in found.rejections()] == [("cpu", 17)]
    misses = found.near_misses(Table(nodes))
    assert [m.node for m in misses] == [f"n{i:02}" for i in range(16, 6, -1)]
    assert (misses[0].needed, misses[0].available) == (1000.0, 960.0)


def test_a_heartbeat_that_expired_makes_a_node_unknown_and_a_failed_one_stays_failed() -> None:
    node = world.node("a", expires_at=T0)
    assert node_view(node, T0 - 1).health == "ready"
    assert node_view(node, T0).health == "unknown"
    assert node_view(replace(node, status="failed", message="crash"), T0).health == "failed"
    assert node_view(replace(node, status="mystery"), T0 - 1).health == "unknown"


def test_views_carry_what_the_events_say() -> None:
    cores = (Core(capacity_milli=1000, used_milli=200),)
    seen = node_view(world.node("a", gpus=("T4",), cores=cores, cpu_used_milli=7), T0)
    assert seen.gpus == (GpuView(0, "T4", 0),)
    assert seen.cores == ((1000, 200),)
    assert seen.cpu_outside == 7
    variants = (
        Variant(name="gpu", precision="fp16", device="cuda"),
        Variant(name="cpu", precision="fp32", device="cpu"),
    )
    service = world.service("s", cpu_per_core_milli=(100, 300), variants=variants)
    demand = demand_of(service)
    assert demand.cores == (300, 100)
    assert demand.variant() == "cpu"
    assert replace(demand, gpu_milli=100).variant() == "gpu"

"""Which nodes fit, and what is said of those that do not."""

from typing import Any

import pytest
from hypothesis import given, settings

from placement.algorithms.mix import mix_of
from placement.algorithms.names import OWN
from placement.choosing.chooser import Chooser
from placement.choosing.relations import barred
from placement.choosing.screening import Screening, screen
from placement.cluster.copies import Cluster
from placement.cluster.needs import Gpu, Machine
from placement.control.plans import Want
from tests.unit.placement.planning import MACHINES, WANTS, demand, planner, small


def node(name: str = "a", **more: Any) -> Machine:
    told = {"cpu_milli": 1000, "memory_mib": 512, "architecture": "amd64"}
    return small(name, **(told | more))


def screened(machines: list[Machine], **asked: Any) -> Screening:
    wanted = demand(**({"cpu": 1000, "memory": 512} | asked))
    need = wanted.options[0].need if wanted.options else None
    return screen(Cluster(machines), wanted, need)


def test_a_perfect_fit_is_a_fit() -> None:
    there = node(gpus=(Gpu("T4", 16),), cores=(1000,), extra=(("disk", 5),))
    asked = {"gpu_milli": 1000, "gpu_memory_mib": 16, "cores": (1000,), "extra": (("disk", 5),)}
    assert screened([there], **asked).fits.all()


T4 = Gpu("T4", 16, 0)


@pytest.mark.parametrize(
    ("constraint", "told", "asked"),
    [
        ("health", {"health": "draining"}, {}),
        ("health", {"health": "unknown"}, {}),
        ("health", {"health": "failed"}, {}),
        ("report", {"defects": ("negative CPU",)}, {}),
        ("registration", {}, {"defects": ("it asks for negative CPU",)}),
        ("variant", {}, {"options": ()}),
        ("taint", {"taints": ("edge", "gpu")}, {"tolerations": ("edge",)}),
        ("architecture", {}, {"architectures": ("arm64",)}),
        ("operating-system", {"operating_system": "linux"}, {"operating_systems": ("qnx",)}),
        ("zone", {"zone": "north"}, {"zones": ("south",)}),
        ("label", {"labels": (("tier", "1"),)}, {"labels": (("tier", "2"),)}),
        ("software cuda", {}, {"software": (("cuda", ""),)}),
        (
            "software cuda",
            {"software": (("cuda", "12.1"),)},
            {"software": (("cuda", ">=12.2,<13"),)},
        ),
        ("software cuda", {"software": (("cuda", "new"),)}, {"software": (("cuda", ">1"),)}),
        ("accelerator", {"gpus": (T4,)}, {"gpu_milli": 1, "models": ("V100",)}),
        ("accelerator", {"gpus": (T4,)}, {"gpu_milli": 1, "gpus": 2}),
        ("accelerator", {}, {"gpu_milli": 1}),
        ("cpu", {"cpu_outside": 1}, {}),
        ("cpu-per-core", {"cores": (600, 600)}, {"cores": (601, 600)}),
        ("cpu-per-core", {"cores": (900, 600), "cores_outside": (400, 0)}, {"cores": (601,)}),
        ("cpu-per-core", {"cores": (1000,)}, {"cores": (500, 500)}),
        ("memory", {"memory_outside": 1}, {}),
        ("disk", {"extra": (("disk", 4),)}, {"extra": (("disk", 5),)}),
        ("npu", {}, {"extra": (("npu", 1),)}),
        ("gpu-memory", {"gpus": (T4,)}, {"gpu_milli": 1, "gpu_memory_mib": 17}),
        ("gpu", {"gpus": (Gpu("T4", 16, 0, 501),)}, {"gpu_milli": 500}),
        ("gpu", {"gpus": (T4, Gpu("T4", 16, 1, 501))}, {"gpu_milli": 500, "gpus": 2}),
    ],
)
def test_each_constraint_rules_out_and_is_named(
    constraint: str, told: dict[str, Any], asked: dict[str, Any]
) -> None:
    found = screened([node(**told), node("b", health="failed")], **asked)
    assert not found.fits.any()
    counted = {r.constraint: r.nodes for r in found.rejections()}
    assert counted == ({constraint: 1, "health": 1} if constraint != "health" else {"health": 2})


@pytest.mark.parametrize(
    ("version", "accepted", "fits"),
    [
        ("12.4.1", ">=12.2,<13", True),
        ("535.104.05-ubuntu", ">=535", True),
        ("v8.9", "==8.9", True),
        ("13.0rc1", "<13", False),
        ("", ">=1", False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, accepted: str, fits: bool) -> None:
    there = node(software=(("cuda", version),))
    assert screened([there], software=(("cuda", accepted),)).fits.all() == fits


def test_a_partition_of_a_gpu_is_asked_for_by_its_profile() -> None:
    there = node(gpus=(Gpu("A100", 10, 0, 0, 0, "1g.10gb"),))
    for models, fits in ((("1g.10gb",), True), (("A100",), True), (("2g.20gb",), False)):
        assert screened([there], gpu_milli=1000, models=models).fits.all() == fits


def test_demands_on_cores_are_matched_highest_to_freest() -> None:
    there = [node(cores=(300, 900, 500), cores_outside=(0, 100, 0))]
    assert screened(there, cores=(800, 500, 300)).fits.all()
    assert not screened(there, cores=(800, 501)).fits.any()


def test_nodes_that_report_no_cores_pass_the_core_filter() -> None:
    assert screened([node()], cores=(500, 500)).fits.all()


def test_rejections_count_every_node_once_and_near_misses_are_the_nearest() -> None:
    machines = [node(f"n{i:02}", cpu_milli=i * 60) for i in range(17)]
    found = screened(machines)
    assert [(r.constraint, r.nodes) for r in found.rejections()] == [("cpu", 17)]
    misses = found.near_misses(Cluster(machines).columns)
    assert [m.node for m in misses] == [f"n{i:02}" for i in range(16, 6, -1)]
    assert (misses[0].needed, misses[0].available) == (1000.0, 960.0)


def test_a_filter_of_a_plug_in_is_told_by_its_name() -> None:
    cluster = Cluster([node("a"), node("b", cpu_milli=500)])
    odd = {"odd": lambda columns, _: columns.capacity[:, 0] > 500}
    wanted = demand(cpu=1, memory=1)
    found = screen(cluster, wanted, wanted.options[0].need, odd)
    assert found.fits.tolist() == [True, False]
    assert [r.constraint for r in found.rejections()] == ["plugin odd"]


@given(MACHINES, WANTS)
@settings(max_examples=25, deadline=None)
def test_filters_and_columns_agree_on_where_there_is_room(
    machines: list[Machine], wants: list[Want]
) -> None:
    planning = planner(machines, wants)
    cluster = planning.cluster
    planning.plan(wants)
    choosing = Chooser(cluster.columns, OWN["best-fit"](cluster.columns, mix_of(()), 0))
    for want in wants:
        need = want.demand.options[0].need
        found = screen(cluster, want.demand, need).fits
        chosen = choosing.choose(need, barred(cluster, want.demand, need))
        assert (chosen is None) == (not found.any())
        assert chosen is None or (found[chosen.row] and chosen.fitting == found.sum())

"""What events say of nodes and services, in the terms of placement."""

from math import inf, nan
from typing import Any

import pytest

from placement.cluster.described import demand_of, machine_of, needs_of
from placement.cluster.needs import UNLIMITED, Link, Neighbour
from schemas import resources
from schemas.resources import AmountNeeded, Variant, VersionNeeded
from tests.unit.placement import world
from tests.unit.placement.world import T0


def test_a_node_is_what_it_reports() -> None:
    machine = machine_of(
        world.node(
            "a",
            gpus=("T4",),
            cores=(resources.Core(capacity_milli=1000, used_milli=10),),
            links=(resources.Link(node="b", mbps=1.5, latency_ms=0.25), resources.Link(node="c")),
            network_mbps=inf,
            disk_mib=7,
            amounts=(resources.Amount(name="npu", capacity=4, used=1),),
        ),
        T0,
    )
    assert machine.links == (Link("b", 1500, 250), Link("c", None, None))
    assert dict(machine.extra) == {
        "disk": 7,
        "npu": 4,
        "uplink": UNLIMITED,
        "virtual-memory": UNLIMITED,
    }
    assert dict(machine.extra_outside)["npu"] == 1
    assert (machine.cores, machine.cores_outside) == ((1000,), (10,))
    assert machine.gpus[0].index == 0
    assert not machine.defects


@pytest.mark.parametrize(
    ("status", "expires", "health"),
    [
        ("ready", 1, "ready"),
        ("ready", 0, "unknown"),
        ("failed", 0, "failed"),
        ("draining", 1, "draining"),
        ("odd", 1, "unknown"),
    ],
)
def test_health_follows_status_and_heartbeat(status: str, expires: int, health: str) -> None:
    assert machine_of(world.node("a", status=status, expires_at=T0 + expires), T0).health == health


@pytest.mark.parametrize(
    ("told", "defect"),
    [
        ({"cpu": -1}, "negative CPU"),
        ({"memory_used_mib": -5}, "negative memory"),
        ({"speed": nan}, "speed nan"),
        ({"network_used_mbps": -1.0}, "negative network"),
        ({"network_mbps": nan}, "negative network"),
        ({"cores": (resources.Core(capacity_milli=-1, used_milli=0),)}, "negative cores"),
        ({"amounts": (resources.Amount(name="npu", capacity=1),) * 2}, "amount npu twice"),
    ],
)
def test_what_cannot_be_is_a_defect_of_the_node(told: dict[str, Any], defect: str) -> None:
    machine = machine_of(world.node("a", **told), T0)
    assert machine.defects == (defect,)
    assert machine.cpu_milli >= 0
    assert machine.speed > 0


def test_of_gpus_with_one_index_the_first_counts() -> None:
    gpus = tuple(resources.Gpu(index=0, model=m, memory_mib=8) for m in ("T4", "P100"))
    report = world.node("a")
    object.__setattr__(report, "gpus", gpus)
    machine = machine_of(report, T0)
    assert [gpu.model for gpu in machine.gpus] == ["T4"]
    assert machine.defects == ("GPU index 0 twice",)


def variant(name: str, device: str, **own: Any) -> Variant:
    return Variant(name=name, precision="fp32", device=device, **own)


def test_every_variant_is_an_option_with_its_own_needs() -> None:
    variants = (variant("trt", "tensorrt", gpu_milli=300, memory_mib=9), variant("cpu", "cpu"))
    service = world.service("s", gpu_milli=500, gpu_memory_mib=100, variants=variants)
    trt, cpu = needs_of(service)
    assert (trt.variant, trt.need.gpus, trt.need.gpu_milli, trt.need.memory_mib) == (
        *("trt", 1, 300),
        9,
    )
    assert (cpu.variant, cpu.need.gpus, cpu.need.gpu_total) == ("cpu", 0, 0)
    assert needs_of(world.service("s", variants=(variant("trt", "tensorrt"),))) == ()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, (0, 0, 0)),
        ({"gpu_milli": 200}, (1, 200, 0)),
        ({"gpus": 2}, (2, 1000, 0)),
        ({"gpus": 2, "gpu_milli": 100, "gpu_memory_mib": 5}, (2, 100, 5)),
        ({"gpu_memory_mib": 5}, (1, 0, 5)),
        ({"gpu_milli": -3}, (0, 0, 0)),
    ],
)
def test_shares_of_gpus(asked: dict[str, int], found: tuple[int, int, int]) -> None:
    need = needs_of(world.service("s", **asked))[0].need
    assert (need.gpus, need.gpu_milli, need.gpu_memory_mib) == found


def test_a_service_asks_for_more_than_room() -> None:
    demand = demand_of(
        world.service(
            "s",
            affinity=("t", "s"),
            anti_affinity=("s", "u"),
            neighbours=(
                resources.Neighbour(service="t", mbps=2.5, max_latency_ms=1.0),
                resources.Neighbour(service="s"),
            ),
            amounts=(AmountNeeded(name="npu", amount=1),),
            disk_mib=3,
        )
    )
    assert demand.affinity == ("t",)
    assert demand.anti_affinity == ("s", "u")
    assert demand.neighbours == (Neighbour("t", 2500, 1000),)
    assert demand.options[0].need.extra == (("disk", 3), ("npu", 1))
    assert not demand.defects


def test_what_nobody_can_give_is_a_defect_of_the_service() -> None:
    asked = world.service(
        "s",
        cpu=-1,
        affinity=("t",),
        anti_affinity=("t",),
        software=(VersionNeeded(name="cuda", versions="twelve"),),
    )
    assert demand_of(asked).defects == (
        "it asks for negative CPU",
        "it must and must not run with t",
        "'twelve' is no specifier of versions of cuda",
    )

"""Every algorithm through the controller: chosen by an event, and those of others as well."""

from dataclasses import replace
from pathlib import Path

import pytest

from placement.algorithms.names import OWN
from schemas.decisions import PlacementDecided
from schemas.registrations import PolicySelected
from schemas.resources import Link, Neighbour
from streams import topology
from tests.distributions import distribution
from tests.unit.placement import world
from tests.unit.placement.test_controller import Control, nodes_of, request

NODES = (
    world.node("a", cpu=8000, gpus=("T4", "T4"), idle_w=90.0, full_w=400.0),
    world.node("b", cpu=4000, zone="z", links=(Link(node="c", mbps=100.0, latency_ms=0.5),)),
    world.node("c", cpu=4000, zone="z", idle_w=10.0, full_w=20.0),
    world.node("d", cpu=4000, zone="far", idle_w=50.0, full_w=60.0),
)
SERVICES = (
    world.service("hub", cpu=3500),
    world.service("spoke", cpu=2000, neighbours=(Neighbour(service="hub", mbps=1.0),)),
    world.service("seer", cpu=500, gpu_milli=400),
)


def chosen(name: str) -> PolicySelected:
    return replace(world.policy("place", "act"), algorithm=name)


def asked(control: Control, number: int = 1, **replicas: int) -> dict[str, PlacementDecided]:
    return {each.service: each for each in control.ask(request(number, **replicas))}


@pytest.mark.parametrize("name", OWN)
def test_an_algorithm_is_selected_by_an_event(name: str) -> None:
    control = Control(*NODES, *SERVICES, chosen(name))
    found = asked(control, hub=1, spoke=2, seer=1)
    assert {each.status for each in found.values()} == {"placed"}
    assert {each.algorithm for each in found.values()} == {name}
    assert nodes_of(found["seer"]) == ["a"]


def test_the_network_pulls_a_service_to_its_neighbour() -> None:
    """The hub fills c; what talks to it goes to b, one link away, and not to a or d."""
    hub = world.service("hub", cpu=3500, zones=("z",))
    control = Control(*NODES, hub, SERVICES[1], chosen("energy"))
    assert nodes_of(asked(control, hub=1)["hub"]) == ["c"]
    control.look(chosen("network"), *control.out)
    assert nodes_of(asked(control, 2, spoke=1)["spoke"]) == ["b"]


def test_copies_that_come_together_are_placed_by_the_proven_optimum() -> None:
    """The largest first, the fullest node first, leaves one out; together all find room."""
    pytest.importorskip("ortools")
    nodes = (world.node("m", cpu=10_000), world.node("n", cpu=10_000))
    sizes = {"p": 5000, "q": 4000, "r": 4000, "s": 3000, "t": 2000, "u": 2000}
    services = [world.service(name, cpu=cpu) for name, cpu in sizes.items()]
    left = {}
    for name in ("best-fit", "exact"):
        control = Control(*nodes, *services, chosen(name))
        found = asked(control, **dict.fromkeys(sizes, 1)).values()
        left[name] = [each.service for each in found if each.status != "placed"]
    assert left == {"best-fit": ["u"], "exact": []}


def test_algorithms_and_filters_of_others_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = Path(__file__).parents[2] / "example_plugins" / "example_plugins.py"
    points = (
        "[weir.scores]\ncool-aisle = example_plugins:CoolAisle\n"
        "[weir.filters]\nquarantine = example_plugins:outside_quarantine\n"
    )
    distribution(tmp_path, monkeypatch, "example_plugins", example.read_text("utf-8"), points)
    cool, ill = world.node("cool"), world.node("ill", cpu=1000)
    nodes = (
        replace(cool, labels=(world.KeyValue(key="aisle", value="cool"),)),
        replace(ill, labels=(world.KeyValue(key="quarantine", value="yes"),)),
        world.node("warm", cpu=1000),
    )
    control = Control(*nodes, world.service("s"), world.service("t"), chosen("cool-aisle"))
    control.processor = topology.spec_named("place").build(0)
    found = asked(control, s=1)["s"]
    assert nodes_of(found) == ["cool"]
    assert found.algorithm == "cool-aisle"
    both = asked(control, 2, t=3)["t"]
    assert sorted(nodes_of(both)) == ["cool", "warm"]
    assert [each.constraint for each in both.rejections if "quarantine" in each.constraint]

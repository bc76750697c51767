"""place with the whole resource model: impossible demands, odd reports, rules, and the queue."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.algorithms.base import Algorithm, Scored, plain
from placement.cluster.columns import Ints
from placement.cluster.needs import Need
from placement.control.controller import PlaceParams, spec
from schemas.codec import pack
from schemas.decisions import PlacementDecided
from schemas.records import KeyValue
from schemas.registrations import NodeReported, PolicySelected
from schemas.resources import Amount, AmountNeeded, Core, Gpu, Link, Neighbour, VersionNeeded
from tests.unit.placement import world
from tests.unit.placement.test_controller import Control, nodes_of, request
from tests.unit.placement.world import T0


def policy(algorithm: str = "weir", scope: str = "place", **parameters: str) -> PolicySelected:
    told = tuple(KeyValue(key=key, value=value) for key, value in parameters.items())
    return replace(world.policy(scope, "act"), algorithm=algorithm, parameters=told)


def only(control: Control, **replicas: int) -> PlacementDecided:
    """Ask for one service and return the decision on it."""
    (decided,) = control.ask(request(len(control.out) + 100, **replicas))
    return decided


@pytest.mark.parametrize(
    ("asked", "constraint"),
    [
        ({"cpu": 1 << 60}, "cpu"),
        ({"memory": 10_000}, "memory"),
        ({"cpu_per_core_milli": (900,)}, "cpu-per-core"),
        ({"virtual_memory_mib": 9000}, "virtual-memory"),
        ({"disk_mib": 200}, "disk"),
        ({"gpus": 3}, "accelerator"),
        ({"gpu_milli": 100, "accelerators": ("H100",)}, "accelerator"),
        ({"gpu_memory_mib": 20_000}, "gpu-memory"),
        ({"gpu_milli": 1001}, "gpu"),
        ({"amounts": (AmountNeeded(name="npu", amount=2),)}, "npu"),
        ({"amounts": (AmountNeeded(name="tpu", amount=1),)}, "tpu"),
        ({"software": (VersionNeeded(name="cuda", versions=">=13"),)}, "software cuda"),
        ({"operating_systems": ("qnx",)}, "operating-system"),
        ({"architectures": ("riscv64",)}, "architecture"),
        ({"zones": ("moon",)}, "zone"),
        ({"node_labels": (KeyValue(key="tier", value="1"),)}, "label"),
        ({"affinity": ("ghost",)}, "affinity"),
        ({"cpu": -5}, "registration"),
        ({"software": (VersionNeeded(name="cuda", versions="~~"),)}, "registration"),
    ],
)
def test_what_nobody_has_is_refused_and_says_by_which_constraint(
    asked: dict[str, Any], constraint: str
) -> None:
    nodes = [
        world.node(
            name,
            gpus=("T4", "T4"),
            disk_mib=100,
            virtual_memory_mib=8000,
            cores=(Core(capacity_milli=800, used_milli=0),) * 4,
            amounts=(Amount(name="npu", capacity=1),),
            software=(KeyValue(key="cuda", value="12.2"),),
        )
        for name in ("a", "b")
    ]
    decided = only(Control(*nodes, world.service("s", **asked)), s=1)
    assert decided.status == "unplaceable"
    assert [(r.constraint, r.nodes) for r in decided.rejections] == [(constraint, 2)]
    assert [m.node for m in decided.near_misses] == ["a", "b"]
    assert constraint in decided.reason
    assert decided.waiting_since == T0


def test_a_decision_stays_small_on_thousands_of_nodes() -> None:
    nodes = [world.node(f"node-{number:04}", cpu=number % 900) for number in range(5000)]
    decided = only(Control(*nodes, world.service("s")), s=1)
    assert [(r.constraint, r.nodes) for r in decided.rejections] == [("cpu", 5000)]
    assert len(decided.near_misses) == 10
    assert len(pack(decided)) < 4000


@pytest.mark.parametrize(
    ("told", "constraint"),
    [
        ({"cpu": -1}, "report"),
        ({"memory_used_mib": -4096}, "report"),
        ({"gpus": (), "amounts": (Amount(name="npu", capacity=4, used=-1),)}, "report"),
        ({"speed": float("nan")}, "report"),
        ({"cpu_used_milli": 9_000_000}, "cpu"),
        ({"memory_used_mib": 1 << 62}, "memory"),
        ({"cpu": (1 << 63) - 1, "cpu_used_milli": (1 << 63) - 1}, "cpu"),
    ],
)
def test_a_node_that_lies_takes_nothing_and_ends_nothing(
    told: dict[str, Any], constraint: str
) -> None:
    control = Control(world.node("liar", **told), world.service("s"))
    decided = only(control, s=1)
    assert [(r.constraint, r.nodes) for r in decided.rejections] == [(constraint, 1)]
    (placed,) = control.look(world.node("honest"))
    assert nodes_of(placed) == ["honest"]


def test_of_a_gpu_that_is_told_twice_nobody_is_given_two() -> None:
    twice = replace(world.node("liar"), gpus=(Gpu(index=0, model="T4", memory_mib=16_000),) * 2)
    decided = only(Control(twice, world.service("s", gpus=2)), s=1)
    assert {r.constraint for r in decided.rejections} == {"report"}


NUMBERS = st.one_of(st.integers(-5, 5), st.integers(-(1 << 63), (1 << 63) - 1))
FLOATS = st.one_of(st.floats(), st.floats(0, 100))
NAMES = st.sampled_from(["", "a", "s", "t", "disk", "uplink", "cpu", "é"])
odd_nodes = st.builds(
    lambda fields, gpus: replace(world.node("odd", **fields), gpus=tuple(gpus)),
    st.fixed_dictionaries(
        {"cpu": NUMBERS, "memory": NUMBERS, "disk_mib": NUMBERS, "virtual_memory_mib": NUMBERS},
        optional={
            "cpu_used_milli": NUMBERS,
            "memory_used_mib": NUMBERS,
            "expires_at": NUMBERS,
            "speed": FLOATS,
            "network_mbps": FLOATS,
            "network_used_mbps": FLOATS,
            "idle_w": FLOATS,
            "full_w": FLOATS,
            "cores": st.lists(st.builds(Core, capacity_milli=NUMBERS, used_milli=NUMBERS)).map(
                tuple
            ),
            "amounts": st.lists(
                st.builds(Amount, name=NAMES, capacity=NUMBERS, used=NUMBERS), max_size=3
            ).map(tuple),
            "links": st.lists(
                st.builds(
                    Link, node=st.sampled_from(["odd", "b", "x"]), mbps=FLOATS, latency_ms=FLOATS
                )
            ).map(tuple),
        },
    ),
    st.lists(
        st.builds(Gpu, index=NUMBERS, model=NAMES, memory_mib=NUMBERS, used_milli=NUMBERS),
        max_size=3,
    ),
)
odd_services = st.fixed_dictionaries(
    {},
    optional={
        "cpu": NUMBERS,
        "memory": NUMBERS,
        "gpus": NUMBERS,
        "gpu_milli": NUMBERS,
        "gpu_memory_mib": NUMBERS,
        "priority": NUMBERS,
        "max_per_node": NUMBERS,
        "max_per_zone": NUMBERS,
        "cpu_per_core_milli": st.lists(NUMBERS, max_size=3).map(tuple),
        "amounts": st.lists(st.builds(AmountNeeded, name=NAMES, amount=NUMBERS), max_size=3).map(
            tuple
        ),
        "software": st.lists(
            st.builds(VersionNeeded, name=NAMES, versions=st.text(max_size=4)), max_size=2
        ).map(tuple),
        "affinity": st.lists(NAMES, max_size=2).map(tuple),
        "anti_affinity": st.lists(NAMES, max_size=2).map(tuple),
        "neighbours": st.lists(
            st.builds(Neighbour, service=NAMES, mbps=FLOATS, max_latency_ms=FLOATS), max_size=2
        ).map(tuple),
    },
)


@settings(max_examples=25, deadline=None)
@given(odd_nodes, odd_services, odd_services)
def test_whatever_is_registered_ends_in_decisions_that_can_be_told(
    node: NodeReported, one: dict[str, Any], other: dict[str, Any]
) -> None:
    control = Control(node, world.node("b"), world.service("s", **one), world.service("t", **other))
    decided = control.ask(request(s=2, t=1))
    assert {d.service for d in decided} == {"s", "t"}
    control.look(*decided, replace(node, status="draining"))
    control.look(world.service("t"))


def test_what_runs_on_a_node_that_begins_to_lie_stays() -> None:
    control = Control(world.node("a"), world.service("s"))
    control.look(*control.ask(request(s=1)))
    assert control.look(world.node("a", memory_used_mib=-7)) == []


def test_contradictory_rules_are_told_and_nothing_is_placed() -> None:
    control = Control(
        world.node("a"),
        world.service("s", affinity=("t",), anti_affinity=("t",)),
        world.service("t", anti_affinity=("u",)),
        world.service("u", affinity=("t",)),
    )
    control.ask(request(t=1))
    both = only(control, s=1)
    assert "it must and must not run with t" in both.reason
    other = only(control, u=1)
    assert "it must run with t, which must not run with it" in other.reason
    assert {d.status for d in (both, other)} == {"unplaceable"}


def test_a_copy_follows_the_service_that_it_must_run_with() -> None:
    control = Control(
        world.node("a", cpu=2000),
        world.service("s", affinity=("t",)),
        world.service("t"),
    )
    control.look(*control.ask(request(t=1)), *control.ask(request(2, s=1)))
    moved = control.look(world.node("b", cpu=2000), world.node("a", cpu=2000, status="failed"))
    moved += control.look(*moved)
    assert {d.service: nodes_of(d) for d in moved} == {"s": ["b"], "t": ["b"]}


def test_latency_and_bandwidth_to_a_neighbour_are_kept() -> None:
    links = (Link(node="b", latency_ms=0.5, mbps=100.0), Link(node="c", latency_ms=9.0))
    near = (Neighbour(service="t", mbps=80.0, max_latency_ms=1.0),)
    control = Control(
        world.node("a", cpu=1000, links=links),
        world.node("b", cpu=2000),
        world.node("c", cpu=2000),
        *(world.service(s, neighbours=near) for s in ("s", "u")),
        world.service("t"),
    )
    control.look(policy("first-fit"))
    assert nodes_of(only(control, t=1)) == ["a"]
    assert nodes_of(only(control, s=1)) == ["b"]
    refused = only(control, u=1)
    assert {r.constraint: r.nodes for r in refused.rejections} == {
        "bandwidth": 1,
        "latency": 1,
        "cpu": 1,
    }


def test_a_decision_tells_alternatives_gpus_cores_and_the_mode() -> None:
    cores = (Core(capacity_milli=1000, used_milli=0),) * 2
    nodes = [world.node(f"n{n:02}", gpus=("T4",) * 3, cores=cores) for n in range(13)]
    asked = world.service("s", gpus=2, gpu_memory_mib=1000, cpu_per_core_milli=(400,))
    act = world.policy("installation", "act")
    decided = only(Control(*nodes, asked, policy("worst-fit"), act), s=1)
    (copy,) = decided.assignments
    assert (copy.gpu_index, copy.gpu_indices, copy.gpu_milli) == (0, (0, 1), 1000)
    assert (copy.gpu_memory_mib, copy.cores) == (1000, (0,))
    assert [a.node for a in decided.alternatives] == [f"n{n:02}" for n in range(1, 11)]
    assert decided.mode == "act"
    assert decided.waiting_since is None


@pytest.mark.parametrize(
    ("queue", "first"), [("priority", "c"), ("age", "a"), ("sensitivity", "b"), ("odd", "c")]
)
def test_who_waits_longest_or_matters_most_gets_the_room_that_comes(queue: str, first: str) -> None:
    control = Control(
        world.node("tiny", cpu=1),
        world.service("a"),
        world.service("b", sensitivity="both"),
        world.service("c", priority=7),
        policy(queue=queue),
    )
    waits = []
    for name in "abc":
        control.now += 1
        waits.append(only(control, **{name: 1}))
    assert [d.status for d in waits] == ["unplaceable"] * 3
    assert [d.waiting_since for d in waits] == [T0 + 1, T0 + 2, T0 + 3]
    assert control.look(*waits) == []
    (placed,) = control.look(world.node("room", cpu=1000))
    assert (placed.service, placed.waiting_since) == (first, None)
    rest = control.look(world.node("more", cpu=3000), placed)
    assert sorted(d.service for d in rest) == sorted({*"abc"} - {first})


def test_since_when_a_service_waits_outlives_a_restart() -> None:
    control = Control(world.service("s"), world.node("a", cpu=1))
    refused = only(control, s=2)
    again: Any = spec().build(0)
    again.restore(control.processor.snapshot())
    control.processor = again
    control.look(refused)
    (partial,) = control.look(world.node("b"))
    assert (partial.status, partial.waiting_since) == ("partial", T0)


def test_a_pause_lets_requests_wait_and_a_drained_node_is_left() -> None:
    control = Control(world.node("a"), world.node("b"), world.service("s"))
    control.look(policy(scope="pause", state="on"))
    assert control.ask(request(s=1)) == []
    (placed,) = control.look(policy(scope="pause", state="off"))
    assert nodes_of(placed) == ["a"]
    moved = control.look(placed, policy(scope="drain/a", state="on"))
    assert "b" in nodes_of(moved[0])


class Last(Algorithm):
    """The last node that fits."""

    name = "last"

    def score(self, need: Need, rows: Ints) -> Scored:  # noqa: ARG002 - all are alike
        return plain(np.arange(len(rows), dtype=np.float64) + rows)


def test_an_algorithm_and_a_filter_of_others_are_heard() -> None:
    control = Control(*(world.node(name) for name in "abc"), world.service("s"), policy("last"))
    odd = {"odd": lambda columns, _: np.array([m.name != "c" for m in columns.machines])}
    control.processor = spec(plugins={"last": Last}, filters=odd).build(0)
    decided = only(control, s=1)
    assert (nodes_of(decided), decided.algorithm) == (["b"], "last")
    assert [(r.constraint, r.nodes) for r in decided.rejections] == [("plugin odd", 1)]


def test_an_algorithm_that_nobody_has_is_that_of_the_parameters() -> None:
    control = Control(world.node("a"), world.service("s"), policy("magic"))
    assert only(control, s=1).algorithm == PlaceParams().algorithm

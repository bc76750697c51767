"""place plans only what changed; the outcome must be that of planning everything again."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from placement.cluster.described import machine_of
from placement.cluster.roster import Roster
from placement.control.controller import spec
from placement.control.state import ServiceState
from placement.control.watch import RETRIES, Watch
from schemas.decisions import Assignment, PlacementRequested, ServiceDemand
from schemas.processing import Batch, Record
from schemas.resources import Core, Link, Neighbour, Variant
from tests.unit.placement import world
from tests.unit.placement.scaling_cases import policy
from tests.unit.placement.world import T0

NODES, SERVICES = ("a", "b", "c"), ("s", "t", "u", "v")

FULL = world.node(
    "a",
    gpus=("T4",),
    cores=(Core(capacity_milli=1000, used_milli=100),) * 2,
    links=(Link(node="b", mbps=500.0, latency_ms=0.5), Link(node="c", latency_ms=3.0)),
    network_mbps=600.0,
)
BONDS: tuple[dict[str, Any], ...] = (
    {"affinity": ("s",)},
    {"anti_affinity": ("t",)},
    {"neighbours": (Neighbour(service="s", mbps=400.0, max_latency_ms=1.0),)},
    {"neighbours": (Neighbour(service="u", mbps=700.0),)},
    {"max_per_node": 2, "priority": 1},
    {"cpu_per_core_milli": (600, 300)},
    {"gpu_milli": 600, "gpu_memory_mib": 9000, "cpu": 10},
    {"min_available": 1},
)
VERSIONS = tuple(Variant(name=v, precision="fp32", device="cpu") for v in ("v1", "v2"))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(SERVICES), st.integers(0, 3)),
        st.tuples(st.just("node"), st.sampled_from(NODES), st.sampled_from((1000, 2000, 3000))),
        st.tuples(st.just("fail"), st.sampled_from(NODES), st.sampled_from(("failed", "draining"))),
        st.tuples(st.just("gone"), st.sampled_from(NODES), st.just(0)),
        st.tuples(st.just("register"), st.sampled_from(SERVICES), st.sampled_from((500, 1500))),
        st.tuples(st.just("remove"), st.sampled_from(SERVICES), st.just(0)),
        st.tuples(st.just("bind"), st.sampled_from(SERVICES), st.sampled_from(BONDS)),
        st.tuples(st.just("share"), st.sampled_from(SERVICES), st.sampled_from((0.0, 0.5, 1.0))),
        st.tuples(st.just("serve"), st.sampled_from(SERVICES), st.sampled_from(NODES)),
        st.tuples(st.just("echo"), st.just(""), st.just(0)),
    ),
    max_size=25,
)


def changed(catalogue: Any, what: str, name: str, value: Any, out: list[Any]) -> Any:
    if what in ("gone", "remove"):
        entry = world.node(name) if what == "gone" else world.service(name)
        return world.without(catalogue, entry)
    written = {
        "node": lambda: [world.node(name, cpu=value)],
        "fail": lambda: [world.node(name, status=value)],
        "register": lambda: [world.service(name, cpu=value, variants=VERSIONS)],
        "bind": lambda: [world.service(name, variants=VERSIONS, **value)],
        "share": lambda: [policy(f"share/{name}", variant="v2", share=str(value))],
        "serve": lambda: [world.instance(name, value)],
        "echo": lambda: out,
        "ask": list,
    }
    return world.catalogue_of(written[what](), catalogue)


def asked(number: int, service: str, replicas: int) -> Record:
    event = PlacementRequested(
        event_id=f"request-{number}",
        kind="ensemble",
        subject="digits",
        app="digits",
        demands=(ServiceDemand(service=service, replicas=replicas),),
        reason="test",
        requested_at=T0,
    )
    return Record(event, "weir.control", 0, number, T0)


@settings(deadline=None)
@given(steps)
def test_a_restart_at_any_moment_makes_no_difference(course: list[tuple[str, str, Any]]) -> None:
    """A restored instance has noticed nothing yet, so it plans everything again."""
    catalogue = world.catalogue_of([FULL, *(world.node(n) for n in NODES[1:])])
    services = [world.service(s, variants=VERSIONS) for s in SERVICES]
    catalogue = world.catalogue_of(services, catalogue)
    steady: Any = spec().build(0)
    out: list[Any] = []
    for number, (what, name, value) in enumerate(course):
        catalogue = changed(catalogue, what, name, value, out)
        records = (asked(number, name, value),) if what == "ask" else ()
        batch = Batch(records, T0 + 500 * (number + 1), catalogue)
        again: Any = spec().build(0)
        again.restore(steady.snapshot())
        made = list(steady.process(batch))
        assert list(again.process(batch)) == made
        out += made


def test_a_share_holds_for_copies_that_come_after_it() -> None:
    place: Any = spec().build(0)
    nodes = [world.node(name, cpu=1000) for name in ("a", "b")]
    told = policy("share/s", variant="v2", share="0.5")
    catalogue = world.catalogue_of([*nodes, world.service("s", variants=VERSIONS), told])
    (first,) = place.process(Batch((asked(1, "s", 2),), T0, catalogue))
    assert [copy.variant for copy in first.assignments] == ["v1", "v1"]
    (second,) = place.process(Batch((), T0 + 500, catalogue))
    assert [copy.variant for copy in second.assignments] == ["v2", "v1"]
    assert "1 of 2 copies run v2" in second.reason
    assert place.process(Batch((), T0 + 1000, catalogue)) == []


def test_no_node_is_given_more_than_it_has() -> None:
    place: Any = spec().build(0)
    names = [f"s{number}" for number in range(12)]
    catalogue = world.catalogue_of([world.node(n, cpu=3000) for n in NODES])
    catalogue = world.catalogue_of([world.service(s) for s in names], catalogue)
    out = []
    for number, name in enumerate(names):
        batch = Batch((asked(number, name, 1),), T0 + 500 * (number + 1), catalogue)
        out += place.process(batch)
        catalogue = world.catalogue_of(out[-1:], catalogue)
    used = Counter(a.node for d in out for a in d.assignments)
    assert used == {"a": 3, "b": 3, "c": 3}
    assert Counter(d.status for d in out) == {"placed": 9, "unplaceable": 3}


def test_the_snapshot_leaves_out_what_the_catalogue_tells() -> None:
    place: Any = spec().build(0)
    catalogue = world.catalogue_of([world.node("a"), world.service("s")])
    (decided,) = place.process(Batch((asked(1, "s", 1),), T0, catalogue))
    full = place.snapshot()
    catalogue = world.catalogue_of([decided], catalogue)
    place.process(Batch((), T0 + 1, catalogue))
    assert len(place.snapshot()) < len(full)
    again: Any = spec().build(0)
    again.restore(place.snapshot())
    (retired,) = again.process(Batch((asked(2, "s", 0),), T0 + 600, catalogue))
    assert (retired.status, retired.generation) == ("retired", 2)


def replica(service: str, node: str, gpu: int | None = None) -> Assignment:
    return Assignment(
        node=node, instance=service, variant="", cpu_milli=1, memory_mib=1, gpu_index=gpu
    )


def test_many_that_wait_take_turns() -> None:
    watch = Watch()
    waiting = [f"s{number:04}" for number in range(RETRIES * 2 + 10)]
    watch.postpone(waiting)
    watch.touch(["due"])
    seen = [watch.due(turn, 0, str) for turn in range(5)]
    assert [len(one) for one in seen] == [RETRIES + 1, *[RETRIES] * 4]
    assert set().union(*seen) == {*waiting, "due"}
    assert all(set(waiting[: RETRIES // 2]) <= one for one in seen)


def test_who_found_no_room_is_tried_again_when_there_may_be_some() -> None:
    watch = Watch()
    watch.settle(ServiceState(service="s", app="", replicas=1), {}, 7)
    assert watch.due(0, 7, str) == set()
    assert watch.due(1, 8, str) == {"s"}


def test_a_service_is_settled_when_every_copy_runs_on_a_sound_node() -> None:
    nodes = {
        n: machine_of(world.node(n, status=s), T0) for n, s in (("a", "ready"), ("b", "draining"))
    }
    for copies, answered, waits in (("a", True, False), ("b", True, True), ("a", False, True)):
        watch = Watch()
        state = ServiceState(service="s", app="", replicas=1, answered=answered)
        state.assignments = (replica("s", copies),)
        watch.settle(state, nodes, 0)
        assert (watch.due(0, 1, str) == {"s"}) == waits


def test_the_load_of_others_is_no_change_of_a_node() -> None:
    roster = Roster()

    def look(*nodes: Any, now: int = T0, draining: frozenset[str] = frozenset()) -> tuple[Any, ...]:
        found = roster.update({node.node: node for node in nodes}, now, draining)
        return (set(found.standing), set(found.told), found.rebuilt)

    assert look(world.node("a")) == ({"a"}, {"a"}, True)
    assert look(world.node("a", cpu_used_milli=500)) == (set(), {"a"}, False)
    assert look(world.node("a", cpu=100)) == ({"a"}, {"a"}, True)
    assert look(world.node("a", cpu=100, status="failed")) == ({"a"}, {"a"}, False)
    assert look(world.node("a", cpu=100), draining=frozenset("a")) == ({"a"}, {"a"}, False)
    assert roster.machines["a"].health == "draining"
    assert look(world.node("a", cpu=100)) == ({"a"}, {"a"}, False)
    assert look() == ({"a"}, set(), True)


def test_a_heartbeat_expires_by_the_clock_alone_and_comes_back() -> None:
    roster, reports = Roster(), {"a": world.node("a", expires_at=T0 + 5)}
    seen = []
    for now in (T0, T0 + 4, T0 + 5, T0 + 9, T0 + 1):
        found = roster.update(reports, now, frozenset())
        seen.append((bool(found.standing), roster.machines["a"].health))
    told = [(True, "ready"), (False, "ready"), (True, "unknown"), (False, "unknown")]
    assert seen == [*told, (True, "ready")]

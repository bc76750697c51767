"""place plans only what changed; the outcome must be that of planning everything again."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from placement.controller import spec
from placement.controller_state import ServiceState
from placement.model import Demand, node_view
from placement.occupancy import Occupancy
from placement.watch import RETRIES, Watch
from schemas.decisions import Assignment, PlacementRequested, ServiceDemand
from schemas.processing import Batch, Record
from tests.unit.placement import world
from tests.unit.placement.world import T0

NODES, SERVICES = ("a", "b", "c"), ("s", "t", "u", "v")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(SERVICES), st.integers(0, 3)),
        st.tuples(st.just("node"), st.sampled_from(NODES), st.sampled_from((1000, 2000, 3000))),
        st.tuples(st.just("fail"), st.sampled_from(NODES), st.sampled_from(("failed", "draining"))),
        st.tuples(st.just("gone"), st.sampled_from(NODES), st.just(0)),
        st.tuples(st.just("register"), st.sampled_from(SERVICES), st.sampled_from((500, 1500))),
        st.tuples(st.just("remove"), st.sampled_from(SERVICES), st.just(0)),
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
        "register": lambda: [world.service(name, cpu=value)],
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
    catalogue = world.catalogue_of([world.node(n) for n in NODES])
    catalogue = world.catalogue_of([world.service(s) for s in SERVICES], catalogue)
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


def test_what_comes_and_goes_leaves_nothing_behind() -> None:
    occupied = Occupancy()
    first = Demand(service="s", cpu_milli=100, memory_mib=10, gpu_milli=300, cores=(50,))
    occupied.put(first, (replica("s", "a", 1), replica("s", "b", 0)))
    assert (occupied.cpu["a"], occupied.memory["b"], occupied.gpu["a", 1]) == (100, 10, 300)
    assert occupied.services_on(["a", "z"]) == {"s"}
    occupied.put(Demand(service="s", cpu_milli=200, memory_mib=20), (replica("s", "b"),))
    assert (occupied.cpu["a"], occupied.cpu["b"], occupied.gpu["a", 1]) == (0, 200, 0)
    assert not any(occupied.cores().values())
    occupied.drop("s")
    occupied.drop("s")
    assert not +occupied.cpu
    assert not +occupied.memory
    assert occupied.services_on(["a", "b"]) == set()


def test_many_that_wait_take_turns() -> None:
    watch = Watch()
    waiting = [f"s{number:04}" for number in range(RETRIES * 2 + 10)]
    watch.postpone(waiting)
    watch.touch(["due"])
    seen = [watch.due(turn) for turn in range(3)]
    assert [len(one) for one in seen] == [RETRIES + 1, RETRIES, RETRIES]
    assert set().union(*seen) == {*waiting, "due"}


def test_a_service_is_settled_when_every_copy_runs_on_a_sound_node() -> None:
    nodes = {
        n: node_view(world.node(n, status=s), T0) for n, s in (("a", "ready"), ("b", "draining"))
    }
    for copies, answered, waits in (("a", True, False), ("b", True, True), ("a", False, True)):
        watch = Watch()
        state = ServiceState(service="s", app="", replicas=1, answered=answered)
        state.assignments = (replica("s", copies),)
        watch.settle(state, nodes)
        assert (watch.due(0) == {"s"}) == waits


def test_the_load_of_others_is_no_change_of_a_node() -> None:
    watch = Watch()
    nodes = {"a": node_view(world.node("a"), T0)}
    assert watch.changed(nodes) == {"a"}
    assert watch.changed({"a": node_view(world.node("a", cpu_used_milli=500), T0)}) == set()
    assert watch.changed({"a": node_view(world.node("a", cpu=100), T0)}) == {"a"}
    assert watch.changed({}) == {"a"}

"""Who is important leaves a node that is drained, though others have to give way for it."""

from dataclasses import replace

from placement.control.controller import Place, PlaceParams
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided, PlacementRequested, ServiceDemand
from schemas.processing import Batch, Record
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from tests.unit.placement import world
from tests.unit.placement.world import T0

DRAIN = PolicySelected(
    scope="drain/a",
    component="place",
    algorithm="",
    parameters=(KeyValue(key="state", value="on"),),
    selected_at=T0,
    event_id="drain",
)


class Cluster:
    """A processor and the catalogue that its decisions get into."""

    def __init__(self, *entries: Event) -> None:
        self.place = Place(PlaceParams())
        self.now = T0
        self.known: Catalogue = world.catalogue_of([world.policy("installation", "act"), *entries])

    def has(self, *entries: Event, records: tuple[Record, ...] = ()) -> dict[str, PlacementDecided]:
        self.known = world.catalogue_of(entries, self.known)
        self.now += 500
        out = self.place.process(Batch(records, self.now, self.known))
        self.known = world.catalogue_of(out, self.known)
        return {one.service: one for one in out if isinstance(one, PlacementDecided)}

    def places(self, service: str) -> PlacementDecided:
        request = PlacementRequested(
            event_id=f"ask-{service}",
            kind="operator",
            subject=service,
            app="digits",
            demands=(ServiceDemand(service=service, replicas=1),),
            reason="asked",
            requested_at=T0,
        )
        return self.has(records=(Record(request, "weir.control", 0, 0, T0),))[service]


def full(**more: int) -> Cluster:
    """Return a cluster of two nodes, each with room for one of two services."""
    cluster = Cluster(
        world.node("a", cpu=1000),
        world.node("b", cpu=1000),
        world.service("high", priority=10, preemption="lower", **more),
        world.service("low", priority=1),
    )
    assert [one.node for one in cluster.places("high").assignments] == ["a"]
    assert [one.node for one in cluster.places("low").assignments] == ["b"]
    return cluster


def test_a_drained_service_drives_out_a_less_important_one_which_is_named() -> None:
    found = full().has(DRAIN)
    high, low = found["high"], found["low"]
    assert (high.status, [one.node for one in high.assignments]) == ("placed", ["b"])
    assert [(v.service, v.node, v.priority) for v in high.victims] == [("low", "b", 1)]
    assert "low.b gave way" in high.reason
    assert (low.status, low.assignments) == ("unplaceable", ())


def test_it_stays_until_its_successor_serves_where_one_must() -> None:
    cluster = full(min_available=1)
    found = cluster.has(world.instance("high", "a"), DRAIN)["high"]
    assert [one.node for one in found.assignments] == ["a", "b"]
    assert [victim.service for victim in found.victims] == ["low"]
    assert cluster.has() == {}
    last = cluster.has(world.instance("high", "b"))["high"]
    assert [one.node for one in last.assignments] == ["b"]


def test_nobody_leaves_for_who_may_not_preempt_or_is_no_more_important() -> None:
    for changed in ({"preemption": "never"}, {"priority": 1}):
        cluster = full()
        service = replace(world.service("high", priority=10, preemption="lower"), **changed)
        cluster.has(service)
        assert cluster.has(DRAIN) == {}


def test_a_node_that_is_not_heard_of_drives_nobody_out() -> None:
    cluster = full()
    silent = world.node("a", cpu=1000, expires_at=T0 + 1)
    assert cluster.has(silent) == {}

"""place: requests and nodes in, decisions out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from placement.control.controller import PlaceParams, spec
from placement.errors import InvalidParameters
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack
from schemas.decisions import PlacementDecided, PlacementRequested, ServiceDemand
from schemas.processing import Batch, Record
from tests.unit.placement import world
from tests.unit.placement.world import T0

LOOK = PlaceParams().look_ms


def request(number: int = 1, **replicas: int) -> PlacementRequested:
    return PlacementRequested(
        event_id=f"request-{number}",
        kind="ensemble",
        subject="digits",
        app="digits",
        demands=tuple(ServiceDemand(service=s, replicas=n) for s, n in replicas.items()),
        reason=f"selection {number}",
        requested_at=T0,
        causes=("ensemble-1",),
    )


class Control:
    """place with its catalogue, which may or may not see its own decisions."""

    def __init__(self, *events: Event, params: PlaceParams | None = None) -> None:
        self.processor: Any = spec(params).build(0)
        self.catalogue = world.catalogue_of(events)
        self.now = T0
        self.offset = 0
        self.out: list[PlacementDecided] = []

    def ask(self, *events: PlacementRequested) -> list[PlacementDecided]:
        records = []
        for event in events:
            records.append(Record(event, "weir.control", 0, self.offset, self.now))
            self.offset += 1
        return self._take(self.processor.process(Batch(tuple(records), self.now, self.catalogue)))

    def look(self, *events: Event) -> list[PlacementDecided]:
        """Let the catalogue change and the next look come."""
        self.catalogue = world.catalogue_of(events, self.catalogue)
        self.now = max(self.now + 1, self.processor.wake_at())
        return self._take(self.processor.process(Batch((), self.now, self.catalogue)))

    def _take(self, out: Sequence[Any]) -> list[PlacementDecided]:
        self.out += out
        for event in out:
            pack(event)
        return list(out)


def nodes_of(decision: PlacementDecided) -> list[str]:
    return [a.node for a in decision.assignments]


def pair() -> Control:
    return Control(
        world.node("a"), world.node("b", cpu=2000), world.service("s"), world.service("t")
    )


def test_a_request_is_answered_for_every_service_that_changes() -> None:
    control = pair()
    decided = control.ask(request(s=1, t=1))
    assert [d.service for d in decided] == ["s", "t"]
    assert all(d.status == "placed" and d.generation == 1 for d in decided)
    assert decided[0].causes == ("request-1",)
    assert decided[0].catalogue
    assert decided[0].assignments[0].instance == f"s.{nodes_of(decided[0])[0]}"
    assert "selection 1" in decided[0].reason
    assert "runs on" in decided[0].reason


def test_the_same_request_twice_changes_nothing() -> None:
    control = pair()
    control.ask(request(s=1))
    assert control.ask(request(s=1)) == []
    assert control.ask(request(2, s=1)) == []


def test_a_retirement_and_a_new_placement_come_together_and_share_the_room() -> None:
    control = Control(world.node("a", cpu=1000), world.service("s"), world.service("t"))
    control.ask(request(s=1, t=0))
    decided = control.ask(request(2, s=0, t=1))
    assert [(d.service, d.status) for d in decided] == [("s", "retired"), ("t", "placed")]
    assert decided[0].assignments == ()
    assert "no copies are wanted" in decided[0].reason


def test_services_nobody_wants_are_not_decided_on() -> None:
    assert pair().ask(request(s=0)) == []


@pytest.mark.parametrize("how", ["failed", "expired", "removed"])
def test_what_ran_on_a_lost_node_is_placed_elsewhere_at_the_next_look(how: str) -> None:
    control = pair()
    (first,) = control.ask(request(s=1))
    (old,) = nodes_of(first)
    report = control.catalogue.get(type(world.node("a")), old)
    assert report is not None
    if how == "removed":
        control.catalogue = world.without(control.catalogue, report)
        (moved,) = control.look()
    elif how == "failed":
        (moved,) = control.look(world.node(old, status="failed", message="worker ended with -9"))
        assert "worker ended with -9" in moved.reason
    else:
        (moved,) = control.look(world.node(old, expires_at=T0))
    assert control.now - T0 <= LOOK
    assert old not in nodes_of(moved)
    assert old in moved.reason
    assert moved.status == "placed"
    assert moved.generation == 2


def test_what_found_no_node_is_tried_again_when_nodes_come() -> None:
    control = Control(world.service("s"), world.node("tiny", cpu=10))
    (refused,) = control.ask(request(s=1))
    assert refused.status == "unplaceable"
    assert [(r.constraint, r.nodes) for r in refused.rejections] == [("cpu", 1)]
    assert refused.near_misses[0].node == "tiny"
    assert "10 of 1000 milli CPU" in refused.reason
    assert control.look() == []
    (placed,) = control.look(world.node("big"))
    assert nodes_of(placed) == ["big"]
    assert placed.causes == ("request-1",)


def test_fewer_copies_than_wanted_is_partial() -> None:
    control = Control(world.node("a"), world.service("s"))
    (decision,) = control.ask(request(s=2))
    assert (decision.status, decision.replicas, len(decision.assignments)) == ("partial", 2, 1)
    assert "one-replica-per-node" in decision.reason


def test_an_unregistered_service_is_unplaceable_until_it_is_registered() -> None:
    control = Control(world.node("a"))
    (decision,) = control.ask(request(s=1))
    assert decision.status == "unplaceable"
    assert "not registered" in decision.reason
    (placed,) = control.look(world.service("s"))
    assert placed.status == "placed"


def test_without_changes_nothing_is_said() -> None:
    control = pair()
    control.ask(request(s=1, t=2))
    for _ in range(20):
        assert control.look(world.node("a", heartbeat=control.now)) == []


def test_a_new_instance_goes_on_from_the_catalogue() -> None:
    control = pair()
    decided = control.ask(request(s=1))
    control.processor = spec().build(0)
    assert control.look(*decided) == []
    (retired,) = control.ask(request(2, s=0))
    assert (retired.status, retired.generation) == ("retired", 2)


def test_generations_go_on_after_a_service_was_retired_removed_and_registered_again() -> None:
    control = pair()
    control.ask(request(s=1))
    control.look(*control.ask(request(2, s=0)))
    control.catalogue = world.without(control.catalogue, world.service("s"))
    control.look()
    control.look(world.service("s"))
    (again,) = control.ask(request(3, s=1))
    assert again.generation == 3


def test_what_is_removed_is_retired_and_forgotten() -> None:
    control = pair()
    placed = control.ask(request(s=1))
    control.look(*placed)
    control.catalogue = world.without(control.catalogue, world.service("s"))
    (retired,) = control.ask(request(2, s=0))
    assert retired.status == "retired"
    control.catalogue = world.without(control.catalogue, placed[0])
    control.look()
    control.look(world.service("s"))
    (again,) = control.ask(request(3, s=1))
    assert again.generation == 1


def test_in_mode_observe_nothing_is_decided_until_it_is_left() -> None:
    control = pair()
    control.look(world.policy("place", "observe"))
    assert control.ask(request(s=1)) == []
    (decision,) = control.look(world.policy("place", "act"))
    assert decision.causes == ("request-1",)
    assert "selection 1" in decision.reason


def test_the_algorithm_is_that_of_the_policy() -> None:
    control = pair()
    (fit,) = control.ask(request(s=1))
    assert fit.algorithm == "weir"
    control.look(replace(world.policy("place", "act"), algorithm="worst_fit"))
    (decision,) = control.ask(request(2, t=1))
    assert decision.algorithm == "worst-fit"


def test_identities_differ_between_registrations_of_a_service() -> None:
    first, second = pair(), pair()
    second.look(world.service("s", registered_at=T0 + 5))
    (one,), (other,) = first.ask(request(s=1)), second.ask(request(s=1))
    assert one.assignments == other.assignments
    assert one.event_id != other.event_id


def test_a_restart_changes_nothing() -> None:
    control = pair()
    control.ask(request(s=1))
    again = spec().build(0)
    again.restore(control.processor.snapshot())
    control.processor = again
    assert control.look() == []
    assert control.ask(request(s=1)) == []


def test_parameters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidParameters, match="known: best-fit"):
        spec(PlaceParams(algorithm="magic"))
    with pytest.raises(InvalidParameters, match="look_ms"):
        spec(PlaceParams(look_ms=0))


def test_an_empty_catalogue_is_no_trouble() -> None:
    control = Control()
    assert control.look() == []
    assert control.catalogue == Catalogue()
    (decision,) = control.ask(request(s=1))
    assert decision.status == "unplaceable"

"""What place would decide, what waits, and why a decision came out as it did."""

from dataclasses import replace

import pytest

from placement import authority
from placement.algorithms.names import OWN
from placement.errors import InvalidParameters
from schemas.decisions import PlacementDecided, PlacementRequested
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from streams.authorizing import switch
from streams.placing import planning
from streams.placing.asking import requests
from streams.placing.explaining import explained
from streams.placing.picture import svg
from streams.placing.planning import Supposed
from streams.placing.queued import waiting
from tests.unit.placement import world
from tests.unit.placement.world import T0

NODES = (
    *(world.node(f"small-{number}", cpu=2000, memory=1024) for number in range(3)),
    world.node("large", cpu=8000, memory=8192, gpus=("T4",)),
)
SERVICES = (
    world.service("wide", cpu=1500, replicas=2),
    world.service("seer", cpu=500, gpu_milli=400, gpus=1),
    world.service("huge", cpu=9000),
    replace(world.service("other", cpu=1000, memory=900, replicas=3), app="yard"),
)
WANTED = {service.service: service.replicas for service in SERVICES}


@pytest.mark.parametrize("algorithm", ["weir", "best-fit"])
def test_every_decision_of_a_plan_can_be_explained_again(algorithm: str) -> None:
    known = planning.supposed(world.catalogue_of(()), Supposed(NODES, SERVICES, algorithm))
    told = planning.planned(known, WANTED, T0, algorithm=algorithm)
    assert [(one.service, one.status) for one in told] == [
        ("huge", "unplaceable"),
        ("other", "partial"),
        ("seer", "placed"),
        ("wide", "placed"),
    ]
    for one in told:
        others = [other for other in told if other is not one]
        found = explained(one, known, others, OWN[algorithm], {})
        assert found.agrees, one.service
        assert {node.node for node in found.nodes} == {node.node for node in NODES}
    falsified = replace(told[0], rejections=())
    assert not explained(falsified, known, told[1:], OWN[algorithm], {}).agrees


def test_a_plan_asks_nobody_and_heeds_what_drains() -> None:
    policies = [
        world.policy("place", "observe"),
        switch("freeze", True, "", "", T0),
        switch("drain/large", True, "", "", T0),
    ]
    known = planning.supposed(world.catalogue_of(policies), Supposed(NODES, SERVICES))
    assert authority.may_decide(known, "digits")
    (seer,) = planning.planned(known, {"seer": 1}, T0)
    assert seer.status == "unplaceable", "the only GPU drains"
    assert planning.not_placed(known) == ["huge", "other", "seer", "wide"]
    with pytest.raises(InvalidParameters, match="no algorithm 'nonsense'"):
        planning.planned(known, {"seer": 1}, T0, algorithm="nonsense")
    drawn = svg({node.node: node for node in NODES}, {}, planning.planned(known, WANTED, T0))
    assert drawn.count("wide: 1500 m") == 2
    drawn = svg({node.node: node for node in NODES}, {}, [world.decided("seer", ["small-2"])])
    assert drawn.index(">small-2<") < drawn.index(">large<"), "those with copies come first"
    assert "used by others" not in drawn, "nothing is"


def test_what_stands_is_told_as_it_stands_and_what_was_retired_has_no_place() -> None:
    fresh = planning.supposed(world.catalogue_of(()), Supposed(NODES, SERVICES))
    (stands,) = planning.planned(fresh, {"wide": 2}, T0)
    retired = world.decided("seer", (), replicas=0)
    known = planning.supposed(world.catalogue_of([stands, retired]), Supposed(NODES, SERVICES))
    assert planning.not_placed(known) == ["huge", "other", "seer"]
    assert planning.planned(known, {"wide": 2}, T0 + 1) == [stands]


def decision(service: str, places: int, wanted: int, since: int) -> PlacementDecided:
    nodes = [f"small-{number}" for number in range(places)]
    told = world.decided(service, nodes, replicas=wanted)
    return replace(told, decided_at=since + 5, waiting_since=since, reason="no room")


def test_what_waits_is_ordered_and_says_why() -> None:
    asked = requests({"seer": ("digits", 2), "wide": ("digits", 1)}, "it is wanted", T0 + 50)
    older = requests({"other": ("yard", 1)}, "it was wanted", T0)
    services = (
        *SERVICES[:2],
        replace(SERVICES[2], priority=7),
        replace(SERVICES[3], sensitivity="both"),
    )
    known = world.catalogue_of(
        [
            *services,
            decision("huge", 0, 1, T0 + 30),
            decision("other", 2, 3, T0 + 10),
            decision("wide", 2, 2, T0),
            switch("pause", True, "", "", T0),
        ]
    )
    first = waiting(known, [*older, *asked])
    assert [(one.service, one.copies) for one in first] == [("huge", 1), ("other", 1), ("seer", 2)]
    assert [one.since - T0 for one in first] == [30, 10, 50], "not when it was decided anew"
    assert [one.why for one in first] == ["no room", "no room", "it is wanted; placement is paused"]
    assert [one.service for one in waiting(known, asked, "age")] == ["other", "huge", "seer"]
    assert next(iter(waiting(known, asked, "sensitivity"))).service == "other"


def test_requests_name_their_applications_and_differ_by_time() -> None:
    first, second = requests({"a": ("x", 1), "b": ("y", 2)}, "because", T0)
    assert (first.app, first.demands[0].service, second.demands[0].replicas) == ("x", "a", 2)
    again = requests({"a": ("x", 1)}, "because", T0 + 1)[0]
    assert isinstance(again, PlacementRequested)
    assert again.event_id != first.event_id


def test_a_policy_with_an_algorithm_keeps_what_else_it_says() -> None:
    place = replace(world.policy("place", "act"), parameters=(KeyValue(key="queue", value="age"),))
    known = planning.supposed(world.catalogue_of([place]), Supposed(algorithm="fgd"))
    kept = known.of(PolicySelected)["place"]
    assert (kept.algorithm, kept.mode, kept.parameters) == ("fgd", "recommend", place.parameters)

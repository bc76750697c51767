"""scale over the real path: observations, verdicts and the catalogue in, requests out."""

from dataclasses import replace
from typing import Any

import pytest

from placement.errors import InvalidParameters
from placement.scaling.scaler import Scale, ScaleParams, spec
from schemas.base import Event
from schemas.decisions import ActionTaken, PlacementRequested
from schemas.processing import Batch, Record
from schemas.topics import topic_of
from schemas.working import ServedWork, WorkerReported
from tests.unit.placement import scaling_cases as cases
from tests.unit.placement import world

T0, APP = cases.T0, cases.APP


class World:
    """A service `s` of one application, and the processor that scales it."""

    def __init__(self, *policies: Event, **service: Any) -> None:
        fields: dict[str, Any] = {"max_replicas": 8, "target_load": 0.5} | service
        self.scale = Scale(0, ScaleParams())
        self.catalogue = world.catalogue_of([world.service("s", app=APP, **fields), *policies])

    def has(self, *events: Event) -> None:
        self.catalogue = world.catalogue_of(events, self.catalogue)

    def places(self, copies: int, generation: int = 1, at: int = 0) -> None:
        placed = world.decided("s", "abcdefgh"[:copies], generation)
        self.has(replace(placed, app=APP, decided_at=T0 + at))

    def at(self, now: int, *events: Event) -> list[Event]:
        records = tuple(Record(e, topic_of(e), 0, now, T0 + now) for e in events)
        out = [*self.scale.process(Batch(records, T0 + now, self.catalogue))]
        return [*out, *self.scale.process(Batch((), T0 + now + 1_000, self.catalogue))]


def only(events: list[Event]) -> PlacementRequested:
    assert len(events) == 1
    assert isinstance(events[0], PlacementRequested)
    return events[0]


def test_what_is_busy_gets_copies_until_they_bear_what_is_aimed_at() -> None:
    there = World()
    there.places(2)

    asked = only(there.at(10_000, cases.busy(1.0, 9_900), cases.busy(0.8, 9_900, "s.b")))

    assert (asked.kind, asked.subject, asked.app) == ("load", "s", APP)
    assert [(d.service, d.replicas) for d in asked.demands] == [("s", 4)]
    assert "from 2 to 4 copies: each of 2 copies bears 0.90, 0.5 is aimed at" in asked.reason
    assert asked.causes == ("placed-s-1",)


def test_the_same_is_not_asked_for_twice_but_again_after_a_minute() -> None:
    there = World()
    there.places(1)
    first = only(there.at(10_000, cases.busy(1.0, 9_900)))

    assert there.at(20_000, cases.busy(1.0, 19_900)) == []
    again = only(there.at(72_000, cases.busy(1.0, 71_900)))
    assert again.demands == first.demands
    assert again.event_id != first.event_id


def test_fewer_copies_only_after_patience() -> None:
    there = World(cases.policy(scale__down_ms="20000", scale__idle_ms="90000"))
    there.places(4)
    busy = [cases.busy(0.5, 9_900, f"s.{node}") for node in "abcd"]
    assert there.at(10_000, *busy) == []

    calm = [cases.busy(0.1, 24_900, f"s.{node}") for node in "abcd"]
    assert there.at(25_000, *calm) == []
    asked = only(there.at(50_000, cases.busy(0.1, 49_900)))
    assert asked.demands[0].replicas == 1


def test_what_was_called_for_before_is_no_more_than_is_allowed_by_now() -> None:
    there = World(cases.policy(scale__down_ms="20000"))
    there.places(8)
    for end in (8_000, 18_000):
        busy = [cases.busy(0.35, end, f"s.{node}") for node in "abcdefgh"]
        assert there.at(end, *busy) == []
    there.has(world.service("s", app=APP, max_replicas=3, target_load=0.5))

    assert only(there.at(31_000)).demands[0].replicas == 3


def test_who_is_not_asked_sleeps_and_wakes_when_the_application_is_asked() -> None:
    there = World(min_replicas=0, idle_ms=30_000)
    there.has(cases.selected("s", "other"))
    there.places(1)
    assert there.at(20_000, cases.asked(19_000), cases.busy(0.4, 19_900)) == []
    assert there.at(45_000) == []

    asleep = only(there.at(110_000))
    assert asleep.demands[0].replicas == 0
    assert "no requests for" in asleep.reason
    there.places(0, generation=2, at=112_000)
    assert there.at(150_000) == []

    woken = only(there.at(160_000, cases.asked(159_000)))
    assert woken.demands[0].replicas == 1
    assert cases.asked(159_000).event_id in woken.causes


def test_a_broken_contract_on_time_asks_for_one_copy_more_of_who_is_to_blame() -> None:
    there = World()
    there.places(2)
    assert there.at(8_000, cases.violated(7_000, "other")) == []
    assert there.at(9_500, cases.violated(7_500, metric="accuracy")) == []

    asked = only(there.at(11_000, cases.violated(8_000), cases.busy(0.5, 10_000)))

    assert asked.kind == "verdict"
    assert asked.demands[0].replicas == 3
    assert asked.causes[0] == cases.violated(8_000).event_id


def test_a_contract_that_holds_again_asks_for_nothing() -> None:
    there = World()
    there.places(2)
    held = (cases.violated(7_000), cases.violated(9_000, status="cleared"))

    assert there.at(10_000, *held, cases.busy(1.0, 9_900)) == []


def test_work_that_waits_counts_as_load() -> None:
    there = World(cases.policy(scale__drain_ms="1000"))
    there.places(1)
    waits = replace(world.instance("s", "a"), app=APP, queue_ms=1_000.0)
    there.has(waits)

    assert only(there.at(10_000)).demands[0].replicas == 2


def test_tasks_that_are_executed_together_count_once() -> None:
    there = World()
    there.places(1)
    served = ServedWork(
        instance="s.a", service="s", app=APP, stage="", waiting=0, arrived=80, in_time=80, late=0,
        failed=0, deadline_hit_ratio=1.0, batches=20,
    )  # fmt: skip
    worker = WorkerReported(
        worker="a-1", node="a", status="running", began_at=T0, busy_share=0.5, wasted_share=0.0,
        services=(served,), heartbeat=T0, expires_at=T0,
    )  # fmt: skip
    there.has(worker)

    assert there.at(10_000, cases.busy(2.0, 9_900)) == []


@pytest.mark.parametrize("bad", ["", "nan", "inf", "-1", "2", "much"])
def test_a_wrong_parameter_is_refused_once_and_the_default_holds(bad: str) -> None:
    there = World(cases.policy(scale__target_load=bad, scale__speed="9"), target_load=0.0)
    there.places(1)

    out = there.at(10_000, cases.busy(1.0, 9_900))

    assert len([event for event in out if isinstance(event, ActionTaken)]) == 1
    assert [e.demands[0].replicas for e in out if isinstance(e, PlacementRequested)] == [2]


def test_a_refusal_says_what_would_do() -> None:
    there = World(cases.policy(scale__target_load="2", scale__speed="9", move__x="1"))

    out = there.scale.process(Batch((), T0, there.catalogue))

    assert [type(event) for event in out] == [ActionTaken]
    assert isinstance(out[0], ActionTaken)
    assert (out[0].status, out[0].target, out[0].kind) == ("refused", "place", "policy.refused")
    assert "scale.target_load is '2'; it must be from 0.01 to 1" in out[0].reason
    assert "scale.speed is no parameter; known: down_ms" in out[0].reason


@pytest.mark.parametrize(
    "still",
    [
        {"service": {"max_replicas": 0}},
        {"policies": [cases.policy(f"place/{APP}", "observe")]},
        {"ensemble": cases.selected("other")},
        {"ensemble": cases.selected("other", shadow="s")},
        {"placed": False},
    ],
)
def test_nothing_is_asked_where_it_is_not_weirs_to_ask(still: dict[str, Any]) -> None:
    there = World(*still.get("policies", ()), **still.get("service", {}))
    if still.get("placed", True):
        there.places(1)
    if "ensemble" in still:
        there.has(still["ensemble"])

    assert there.at(10_000, cases.busy(1.0, 9_900)) == []


def test_an_application_of_another_partition_is_left_to_it() -> None:
    there = World()
    there.places(1)
    there.scale = Scale(1, ScaleParams())

    assert there.at(10_000, cases.busy(1.0, 9_900)) == []


def test_whatever_an_instance_says_it_stays_in_range() -> None:
    there = World()
    there.places(1)
    there.has(replace(world.instance("s", "a"), app=APP, queue_ms=float("inf")))

    lie = replace(cases.busy(1.0, 9_900), mean=float("inf"))
    assert only(there.at(10_000, lie)).demands[0].replicas == 5


def test_a_look_needs_a_time() -> None:
    with pytest.raises(InvalidParameters, match="look_ms is 0"):
        spec(ScaleParams(look_ms=0))

"""Requests of one consumer with one idempotency key are one, whatever their ids."""

from dataclasses import replace

from schemas.inference import InferenceRequest, InferenceResponse
from schemas.processing import Output
from schemas.records import KeyValue
from tests.unit.processors import routing_world as w
from tests.unit.processors.routing_world import T0, World, responses, result, tasks


def only(outputs: list[Output]) -> InferenceResponse:
    (answer,) = responses(outputs)
    return answer


def keyed(number: int, **fields: object) -> InferenceRequest:
    return w.request(number, consumer="kim", idempotency_key="k", **fields)


def test_a_repeat_by_key_gets_the_answer_of_the_first_when_there_is_one() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, keyed(0)))
    assert world.step(1, keyed(1)) == []
    world.restart()
    first, second = responses(world.step(5, *(result(task) for task in asked)))
    assert (second.request_id, second.label) == (keyed(1).request_id, first.label)
    assert second.event_id != first.event_id
    assert second.members == first.members
    third = only(world.step(6, keyed(2)))
    assert (third.request_id, third.label) == (keyed(2).request_id, first.label)
    assert world.step(7, keyed(1)) == [second]


def test_other_consumers_applications_and_keys_are_other_requests() -> None:
    world = World(w.usual())
    world.step(0, keyed(0))
    for number, other in enumerate(
        (
            replace(keyed(1), consumer="ann"),
            replace(keyed(2), idempotency_key="other"),
            replace(keyed(3), idempotency_key=""),
        )
    ):
        assert len(tasks(world.step(1 + number, other))) == 3
    assert only(world.step(5, replace(keyed(4), app="nobody"))).status == "rejected"


def test_a_repeat_by_key_is_rejected_at_its_own_deadline_and_asked_anew_after_the_window() -> None:
    world = World(w.usual(), window_ms=1_000)
    world.step(0, keyed(0))
    world.step(1, keyed(1, deadline=T0 + 100))
    late = only(world.step(80))
    assert (late.request_id, late.status) == (keyed(1).request_id, "rejected")
    assert "idempotency key" in (late.reason or "")
    assert len(responses(world.step(500))) == 1
    anew = keyed(2, created_at=T0 + 5_000, deadline=T0 + 6_000)
    assert world.step(5_000, anew) == []  # it waits for instances, which are gone by now


def test_an_answer_that_another_router_gave_reaches_those_with_its_key() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, keyed(0)))
    given = only(world.step(5, *(result(task) for task in asked)))
    other = World(w.usual())
    other.step(0, keyed(0))
    other.step(1, keyed(1))
    assert only(other.step(6, given)).request_id == keyed(1).request_id


def test_each_answer_names_the_conditions_of_its_own_request() -> None:
    night, day = (KeyValue(key="light", value=value) for value in ("night", "day"))
    world = World(w.usual())
    asked = tasks(world.step(0, keyed(0, conditions=(night,))))
    world.step(1, keyed(1, conditions=(day,)))
    world.restart()
    found = responses(world.step(5, *(result(task) for task in asked)))
    assert [one.conditions for one in found] == [(night,), (day,)]
    refused = only(world.step(6, keyed(2, app="nobody", conditions=(day,))))
    assert (refused.status, refused.conditions) == ("rejected", (day,))
    assert only(world.step(7, keyed(3))).conditions == ()

"""Answers to come: one a request, bounded, expired in time, asked for again while there is time."""

import pytest

from schemas.inference import InferenceRequest, InferenceResponse
from workers.awaiting import Awaited, NoAnswer, TooMany, Undelivered


def request(name: str, deadline: int = 1_000) -> InferenceRequest:
    return InferenceRequest(request_id=name, app="a", created_at=0, deadline=deadline)


def response(name: str) -> InferenceResponse:
    return InferenceResponse(
        event_id="e",
        request_id=name,
        app="a",
        consumer="",
        contract="",
        status="complete",
        generation=1,
        deadline_met=True,
        created_at=0,
        answered_at=1,
        latency_ms=1.0,
    )


def test_repeats_share_an_answer_and_room_is_bounded() -> None:
    awaited = Awaited(2, 0, 0)
    first = awaited.add(request("a"), 0)
    assert awaited.add(request("a"), 0) is first
    second = awaited.add(request("b"), 0)
    with pytest.raises(TooMany):
        awaited.add(request("c"), 0)
    awaited.answer(response("a"))
    awaited.answer(response("unknown"))
    assert first.result(0).request_id == "a"
    assert second.cancel()
    assert len(awaited) == 0, "who cancels makes room"
    awaited.answer(response("b"))


def test_answers_that_do_not_come_fail() -> None:
    awaited = Awaited(10, 0, 500)
    late, lost, left = (awaited.add(request(n), 0) for n in ("late", "lost", "left"))
    awaited.fail("lost", Undelivered("no"))
    awaited.expire(1_499)
    assert not late.done()
    awaited.add(request("more", 9_000), 0)
    awaited.expire(1_500)
    assert isinstance(late.exception(0), NoAnswer)
    assert isinstance(lost.exception(0), Undelivered)
    assert isinstance(left.exception(0), NoAnswer)
    awaited.give_up()
    assert len(awaited) == 0


def test_a_request_is_sent_again_until_its_deadline() -> None:
    awaited = Awaited(10, 300, 0)
    awaited.add(request("a"), 0)
    assert awaited.due(299) == []
    assert [one.request_id for one in awaited.due(300)] == ["a"]
    assert awaited.due(301) == []
    assert [one.request_id for one in awaited.due(999)] == ["a"]
    assert awaited.due(1_400) == [], "its time is over"
    assert Awaited(10, 0, 0).due(10_000) == []

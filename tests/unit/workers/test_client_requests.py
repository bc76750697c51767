"""What a client makes of a question: an id of its own, or the one that its key stands for."""

from schemas.identity import stable_id
from schemas.records import KeyValue
from workers.client import request_of


def test_questions_with_one_key_consumer_and_application_are_one_request() -> None:
    keyed = [request_of("digits", (), consumer="kim", idempotency_key="k") for _ in range(2)]
    assert keyed[0].request_id == keyed[1].request_id == stable_id("gateway", "kim", "digits", "k")
    others = [
        request_of("digits", (), consumer="ann", idempotency_key="k"),
        request_of("gate", (), consumer="kim", idempotency_key="k"),
        request_of("digits", (), consumer="kim"),
        request_of("digits", (), consumer="kim", idempotency_key=""),
    ]
    assert len({one.request_id for one in (*keyed, *others)}) == 5
    assert request_of("digits", (), idempotency_key="k", request_id="mine").request_id == "mine"


def test_conditions_are_told_by_name() -> None:
    told = (KeyValue(key="camera", value="3"), KeyValue(key="light", value="night"))
    assert request_of("gate", (), conditions={"light": "night", "camera": "3"}).conditions == told
    assert request_of("gate", (), conditions=told).conditions == told
    assert request_of("gate", ()).conditions == ()

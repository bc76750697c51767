"""What a client makes of a question: an id of its own, or the one that its key stands for."""

from schemas.identity import stable_id
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

"""What an answer, or none, means over HTTP."""

from schemas.errors import ContractError, DecodeError, InvalidEvent
from schemas.inference import InferenceResponse
from workers.awaiting import NoAnswer, TooMany, Undelivered
from workers.gateway.plain import answer
from workers.gateway.refusals import Refusal
from workers.payloads.errors import PayloadError, PayloadLost

FAILURES = (ContractError, NoAnswer, TooMany, Undelivered, PayloadError)
"""What asking may raise; `refusal` says what that means."""

_MISFITS = ("the model takes", "is missing; given", "payload ")
"""What members say of inputs that no instance could take."""


def check(response: InferenceResponse) -> InferenceResponse:
    """Return an answer with a result. Raises Refusal for one that was rejected or has failed."""
    reason = response.reason or response.status
    where = f"application {response.app}"
    if response.status == "rejected":
        raise _rejected(response, reason, where)
    if response.status == "failed" and any(mark in reason for mark in _MISFITS):
        remedy = "send what the model takes; see /v2/models/{app}"
        raise Refusal(422, reason, "inputs", remedy, answer=answer(response))
    if response.status == "failed":
        remedy = "see its members below, and `weir status`; ask again"
        raise Refusal(503, reason, where, remedy, after_s=1, answer=answer(response))
    return response


def refusal(error: Exception) -> Refusal:
    """Return what an error of asking means to the caller."""
    if isinstance(error, InvalidEvent):
        return Refusal(400, str(error), error.field, "mend the request")
    if isinstance(error, ContractError):
        status = 413 if isinstance(error, DecodeError) else 400
        return Refusal(status, str(error), "request", "mend the request")
    if isinstance(error, NoAnswer):
        remedy = "give it more time (Weir-Deadline-Ms), or see whether route runs: `weir status`"
        return Refusal(504, "no answer came in time", "deadline", remedy)
    if isinstance(error, TooMany):
        return Refusal(429, str(error), "requests", "ask again", after_s=1)
    if isinstance(error, PayloadError):
        lost = isinstance(error, PayloadLost)
        status, where = (502, "outputs") if lost else (507, "inputs")
        return Refusal(status, str(error), where, "see `weir payloads status`")
    return Refusal(503, f"Kafka did not take it: {error}", "Kafka", "ask again", after_s=1)


def _rejected(response: InferenceResponse, reason: str, where: str) -> Refusal:
    told = answer(response)
    for mark, status, remedy in (
        ("rate of", 429, "ask again after Retry-After seconds"),
        ("overloaded", 503, "ask again after Retry-After seconds"),
        ("to the deadline", 504, "give it more time (Weir-Deadline-Ms)"),
        ("may not", 403, "see `weir consumers show`"),
        ("no application", 404, "see `weir apps list`"),
    ):
        if mark in reason:
            again = 1 if status in (429, 503) else 0
            return Refusal(status, reason, where, remedy, after_s=again, answer=told)
    return Refusal(422, reason, where, "mend the request", answer=told)

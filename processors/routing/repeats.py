"""Which request an idempotency key stands for.

Requests of one consumer to one application with one key are one, whatever their ids: the first
stands for all of them until its answer is forgotten. A router knows the requests of its own
partition, which follows from their ids: whoever derives the id from the key, as Weir's clients do,
is known everywhere, and after a restart as well.
"""

from collections import OrderedDict
from dataclasses import replace

from processors.routing.state import Key, Pending
from schemas.inference import InferenceRequest

_Place = tuple[str, str, str]


class Repeats:
    """The first request by consumer, application and key; at most `most`, the oldest go first."""

    def __init__(self, most: int, window_ms: int) -> None:
        self._most = most
        self._window_ms = window_ms
        self._first: OrderedDict[_Place, Key] = OrderedDict()

    def first(self, request: InferenceRequest, now_ms: int) -> str:
        """Return the id of the request that stands for this one; '' when there is none."""
        known = self._first.get(_place(request)) if request.idempotency_key else None
        if known is None or known.expires_at <= now_ms or known.request_id == request.request_id:
            return ""
        return known.request_id

    def note(self, request: InferenceRequest, now_ms: int) -> None:
        """Have a request stand for its key, if it has one."""
        if not request.idempotency_key:
            return
        place = _place(request)
        self._first.pop(place, None)
        expires_at = max(request.deadline, now_ms) + self._window_ms
        self._first[place] = Key(
            consumer=request.consumer,
            app=request.app,
            key=request.idempotency_key,
            request_id=request.request_id,
            expires_at=expires_at,
        )
        while len(self._first) > self._most or self._oldest().expires_at <= now_ms:
            self._first.popitem(last=False)

    def keys(self) -> tuple[Key, ...]:
        """Return all for a snapshot, oldest first."""
        return tuple(self._first.values())

    def restore(self, keys: tuple[Key, ...]) -> None:
        """Take over keys."""
        self._first = OrderedDict(((one.consumer, one.app, one.key), one) for one in keys)

    def _oldest(self) -> Key:
        return next(iter(self._first.values()))


def follower(
    request: InferenceRequest, first: str, offset: int, results_from: int, answer_at: int
) -> Pending:
    """Return how a request waits that stands at an offset and gets the answer of the first."""
    return Pending(
        request=replace(request, inputs=()),
        offset=offset,
        results_from=results_from,
        answer_at=answer_at,
        refused=f"request {first}, which has its idempotency key, was not answered by then",
        follows=first,
    )


def _place(request: InferenceRequest) -> _Place:
    return request.consumer, request.app, request.idempotency_key

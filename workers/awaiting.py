"""The answers that a client waits for: bounded, given up in time, asked for again when due.

Unavailable
├── NoAnswer        a request was sent, and no answer came in time
├── Undelivered     a message could not be delivered: nobody has it
└── TooMany         as many requests as may wait for an answer
"""

import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass

from schemas.inference import InferenceRequest, InferenceResponse
from workers.errors import Unavailable, WorkerError


class NoAnswer(Unavailable):
    """A request was sent, and no answer came in time."""


class Undelivered(Unavailable):
    """A message could not be delivered: nobody has it."""


class TooMany(Unavailable):
    """As many requests wait for an answer as may; try again when some are answered."""


@dataclass(slots=True)
class _Open:
    future: "Future[InferenceResponse]"
    request: InferenceRequest
    until_ms: int
    again_ms: int


class Awaited:
    """Requests without an answer; its methods may be called from any thread. Times in ms."""

    def __init__(self, most: int, resend_ms: int, grace_ms: int) -> None:
        self._most, self._resend_ms, self._grace_ms = most, resend_ms, grace_ms
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, request: InferenceRequest, now_ms: int) -> "Future[InferenceResponse]":
        """Return the answer to come; that of a request with this id if one waits already.

        Raises TooMany.
        """
        with self._lock:
            known = self._open.get(request.request_id)
            if known is not None:
                return known.future
            if len(self._open) >= self._most:
                raise TooMany(f"{len(self._open)} requests wait for an answer; that is the most")
            future: Future[InferenceResponse] = Future()
            until_ms = request.deadline + self._grace_ms
            again_ms = now_ms + self._resend_ms
            self._open[request.request_id] = _Open(future, request, until_ms, again_ms)
        future.add_done_callback(lambda done: self._leave(request.request_id, done))
        return future

    def take(self, request_id: str) -> "Future[InferenceResponse] | None":
        """Wait for a request no more; return its future, if it waited."""
        with self._lock:
            known = self._open.pop(request_id, None)
        return known.future if known is not None else None

    def answer(self, response: InferenceResponse) -> None:
        """Give a request its answer; one that nobody waits for is passed over."""
        future = self.take(response.request_id)
        if future is not None:
            with suppress(InvalidStateError):  # cancelled a moment ago
                future.set_result(response)

    def fail(self, request_id: str, error: WorkerError) -> None:
        """Tell whoever waits for a request that there will be no answer."""
        future = self.take(request_id)
        if future is not None:
            with suppress(InvalidStateError):  # cancelled a moment ago
                future.set_exception(error)

    def expire(self, now_ms: int) -> None:
        """Fail the requests whose time is over."""
        with self._lock:
            over = [name for name, one in self._open.items() if one.until_ms <= now_ms]
        for request_id in over:
            self.fail(request_id, NoAnswer(f"no answer to request {request_id}"))

    def give_up(self) -> None:
        """Fail all requests."""
        for request_id in list(self._open):
            self.fail(request_id, NoAnswer(f"no answer to request {request_id}"))

    def due(self, now_ms: int) -> list[InferenceRequest]:
        """Return the requests to be sent again now."""
        if not self._resend_ms:
            return []
        with self._lock:
            found = [
                one for one in self._open.values() if one.again_ms <= now_ms < one.request.deadline
            ]
            for one in found:
                one.again_ms = now_ms + self._resend_ms
        return [one.request for one in found]

    def _leave(self, request_id: str, done: "Future[InferenceResponse]") -> None:
        """Make room when whoever waited has cancelled."""
        with self._lock:
            known = self._open.get(request_id)
            if known is not None and known.future is done:
                del self._open[request_id]

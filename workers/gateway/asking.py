"""From a call to its answer: one request a key, answers kept for who comes later."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from schemas.inference import InferenceRequest, InferenceResponse
from schemas.records import Tensor
from schemas.registrations import ApplicationRegistered
from workers.clock import wall_ms
from workers.gateway import gateway_metrics as metrics
from workers.gateway.access import Caller
from workers.gateway.asked import Asked, Wishes, check_inputs, request_of
from workers.gateway.kept import Answered, Entry, Kept, size_of
from workers.gateway.limits import Limits, Place
from workers.gateway.outcomes import FAILURES, refusal
from workers.gateway.refusals import Refusal
from workers.settings_outside import GatewaySettings

Ask = Callable[[InferenceRequest], Awaitable[InferenceResponse]]
"""Returns the answer to a request; raises as workers.client.Client.answer."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that is under way, or was answered."""

    request_id: str
    answer: "asyncio.Future[Answered]"


class Asking:
    """Begins requests within limits, and keeps their answers; for one event loop."""

    def __init__(self, ask: Ask, settings: GatewaySettings) -> None:
        self._ask, self._usual_ms = ask, settings.deadline_ms
        self._limits = Limits(settings.max_requests, settings.max_per_consumer, settings.rate_per_s)
        self._kept = Kept(settings.kept, settings.kept_bytes, settings.kept_s)
        self._tasks: set[asyncio.Task[Answered]] = set()

    def enter(self, caller: Caller) -> Place:
        """Let a call in, before what it asks is read. Raises Refusal."""
        return self._limits.enter(caller, time.monotonic())

    def begin(
        self,
        app: ApplicationRegistered,
        asked: Asked,
        wishes: Wishes,
        place: Place,
        *,
        later: bool,
    ) -> Begun:
        """Send a request, unless one of its key is under way; `later` keeps its answer.

        The place is given up when the answer is there. Raises Refusal.
        """
        check_inputs(app, asked.inputs)
        request = request_of(
            app,
            asked,
            wishes,
            place.caller,
            new_id=uuid.uuid4().hex,
            usual_ms=self._usual_ms,
            now_ms=wall_ms(),
        )
        now, digest = time.monotonic(), _digest(asked.inputs) if wishes.key else ""
        if wishes.key and (known := self._repeated(request.request_id, digest, now)):
            place.leave(paid=False)
            return Begun(request.request_id, known.answer)
        place.kept = True
        task = asyncio.ensure_future(self._answered(request, place))
        self._tasks.add(task)
        if later or wishes.key:
            self._kept.put(request.request_id, Entry(place.caller.consumer, digest, task, now))
        task.add_done_callback(partial(self._ended, request.request_id))
        return Begun(request.request_id, task)

    def find(self, request_id: str, caller: Caller) -> Begun:
        """Return a request that is kept, to whom it belongs. Raises Refusal."""
        known = self._kept.get(request_id, time.monotonic())
        if known is None or not (caller.admin or caller.consumer == known.consumer):
            raise Refusal(
                404,
                f"no answer is kept for {request_id!r:.80}",
                "request",
                "answers are kept for a while by the gateway that was asked; ask again, with the "
                "same Idempotency-Key if there was one",
            )
        return Begun(request_id, known.answer)

    async def _answered(self, request: InferenceRequest, place: Place) -> Answered:
        began = time.perf_counter()
        metrics.INSIDE.inc()
        try:
            response = await self._ask(request)
        except FAILURES as error:
            raise refusal(error) from error
        finally:
            metrics.INSIDE.dec()
            place.leave()
        took = time.perf_counter() - began
        metrics.ANSWER_S.observe(took)
        metrics.ADDED_S.observe(max(0.0, took - response.latency_ms / 1000))
        return Answered(response, 1000 * took)

    def _repeated(self, request_id: str, digest: str, now: float) -> Entry | None:
        """Return what became of a request with the same key; what came to nothing is asked again.

        Raises Refusal for another request with this key.
        """
        known = self._kept.get(request_id, now)
        if known is None:
            return None
        if known.asked != digest:
            raise Refusal(
                422,
                "another request had this key",
                "Idempotency-Key",
                "send another key with another request",
            )
        return None if known.answer.done() and known.answer.exception() else known

    def _ended(self, request_id: str, task: "asyncio.Task[Answered]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is None:  # whoever asked hears of that
            self._kept.weigh(request_id, size_of(task.result().response))


def _digest(inputs: tuple[Tensor, ...]) -> str:
    hasher = hashlib.sha256()
    for tensor in inputs:
        hasher.update(repr((tensor.name, tensor.dtype, tensor.shape, tensor.digest)).encode())
        hasher.update(tensor.data or b"")
    return hasher.hexdigest()

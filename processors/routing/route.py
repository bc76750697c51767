"""Route: walk each request through its application's stages, and answer it in time.

One instance per partition of weir.requests, weir.results and weir.responses, which are keyed by
request id alone. It admits, chooses an instance per member, asks another one when a heartbeat is
missed, a result is bad or late, ends each stage within its part of the deadline, combines what
comes back, and answers at the deadline with what arrived. It reads its own answers back, so that
whoever takes over its partition gives a repeated request the same answer.

Nothing waits for a shadow; a slow, failed or malformed member costs no other member's result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from processors.routing import replies
from processors.routing.admission import RESPONSES, Admission, same_question
from processors.routing.answers import Answers
from processors.routing.desk import Desk
from processors.routing.instances import Instances
from processors.routing.params import CATALOGUE, DEFAULTS, RESULT_FIELDS, RouteParams
from processors.routing.pending import Waiting
from processors.routing.plans import placed, selected_for
from processors.routing.repeats import Repeats, follower
from processors.routing.state import OK, Pending, RouteState
from processors.routing.votes import Combiner
from processors.routing.working import Working
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import DeadLetter, EnsembleSelected
from schemas.identity import stable_id
from schemas.inference import (
    InferenceRequest,
    InferenceResponse,
    InferenceResult,
    InferenceTask,
)
from schemas.processing import Batch, Output, Partition, Record, Spec
from schemas.registrations import ApplicationRegistered

REQUESTS = "weir.requests"
RESULTS = "weir.results"


def spec(
    params: RouteParams = DEFAULTS, plugins: Mapping[str, Combiner] = MappingProxyType({})
) -> Spec:
    """Return how hosts know route; `plugins` are combiners of others by name."""
    return Spec(
        name=replies.PROCESSOR,
        inputs=(REQUESTS, RESULTS, RESPONSES),
        outputs=(InferenceTask, InferenceResponse, DeadLetter),
        build=lambda partition: Router(params, partition, plugins),
        parameters=stable_id("route", repr(params), *sorted(plugins)),
        format=5,
        transactional=False,
        sized=lambda count: spec(replace(params, partitions=count), plugins),
        catalogue=CATALOGUE,
        reads={InferenceResult: RESULT_FIELDS},
    )


class Router:
    """Route of one partition."""

    def __init__(
        self,
        params: RouteParams,
        partition: int,
        plugins: Mapping[str, Combiner] = MappingProxyType({}),
    ) -> None:
        self._params = params
        self._partition = partition
        self._plugins = plugins
        self._answers = Answers(params.max_answers)
        self._desk = Desk(self._answers, params.window_ms)
        self._repeats = Repeats(params.max_answers, params.window_ms)
        self._instances = Instances(params.default_ms, params.smoothing)
        self._clear()
        self._results_next = 0
        self._arrivals = 0
        self._next_check: int | None = None
        self._now = 0
        self._lag = 0
        self._selections: object = None
        self._catalogue = Catalogue()

    def _clear(self) -> None:
        params = self._params
        self._waiting = Waiting(params.max_pending, params.max_pending_bytes)
        self._admission = Admission(params, self._waiting)
        self._working = Working(params.bounds, self._instances, self._waiting, self._plugins)

    def process(self, batch: Batch) -> Sequence[Output]:
        """Answer what is due, then take the records; see schemas.processing."""
        self._now, self._catalogue = batch.now_ms, batch.catalogue
        self._desk.open(batch.now_ms, batch.catalogue)
        self._instances.refresh(batch.catalogue, batch.now_ms)
        self._do_due()
        self._check()
        for record in batch.records:
            self._take(record)
        return self._desk.sealed()

    def recognised(self, topic: str, key: bytes, offset: int) -> bool:
        """Tell whether a message is one of its own answers that comes back; it notes where."""
        return topic == RESPONSES and self._answers.recognised(
            key.decode("utf-8", "replace"), offset
        )

    def wake_at(self) -> int | None:
        """Return when something is due next, or the next look after instances."""
        times = (self._waiting.next_due(), self._next_check)
        return min((time for time in times if time is not None), default=None)

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return where a successor must begin to read for pending requests and given answers."""
        needed: dict[Partition, int] = {}
        oldest = self._waiting.oldest()
        if oldest is not None:
            needed[(REQUESTS, self._partition)] = oldest.offset
            needed[(RESULTS, self._partition)] = oldest.results_from
        answered = self._answers.oldest_offset()
        if answered is not None:
            needed[(RESPONSES, self._partition)] = answered
        return needed

    def snapshot(self) -> bytes:
        """Return the state as Avro."""
        return pack_state(
            RouteState(
                pending=tuple(self._waiting),
                answers=self._answers.all(),
                estimates=self._instances.estimates(),
                spreads=self._instances.spreads(),
                buckets=self._admission.rates.buckets(),
                keys=self._repeats.keys(),
                results_next=self._results_next,
                arrivals=self._arrivals,
                hedges=self._working.allowance.left,
                lag=self._lag,
                next_check=self._next_check,
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; raises schemas.errors.DecodeError."""
        state = unpack_state(data, RouteState)
        self._answers.restore(state.answers)
        self._repeats.restore(state.keys)
        self._instances.restore(state.estimates, state.spreads)
        self._clear()
        self._admission.rates.restore(state.buckets)
        for pending in state.pending:
            self._waiting.add(pending)
        self._working.allowance.left = state.hedges
        self._results_next, self._arrivals = state.results_next, state.arrivals
        self._next_check = state.next_check
        self._lag = state.lag
        self._selections = None
        self._working.resume()

    def _take(self, record: Record) -> None:
        event = record.event
        if isinstance(event, InferenceRequest):
            self._take_request(event, record)
        elif isinstance(event, InferenceResult):
            self._results_next = record.offset + 1
            self._take_result(event)
        elif isinstance(event, InferenceResponse):
            self._take_response(event, record.offset)

    def _take_request(self, request: InferenceRequest, record: Record) -> None:
        pending = self._waiting.get(request.request_id)
        if pending is not None:
            if not same_question(request, pending.request):
                self._desk.refuse_id(request, record)
            return
        given = self._answers.get(request.request_id, self._now)
        if given is None:
            if not self._is_repeat(request, record):
                self._repeats.note(request, self._now)
                self._admit(request, record)
        elif (given.app, given.consumer) == (request.app, request.consumer):
            self._desk.again(given, request)
        else:
            self._desk.refuse_id(request, record)

    def _is_repeat(self, request: InferenceRequest, record: Record) -> bool:
        """Answer a request like the one that its idempotency key stands for, now or with it."""
        first = self._repeats.first(request, self._now)
        given = self._answers.get(first, self._now)
        if given is not None:
            self._desk.give_as(given, request)
            return True
        if first not in self._waiting:
            return False
        if refused := self._waiting.overload():
            self._desk.reject(request, refused)
        else:
            due = request.deadline - self._params.margin_ms
            at = due if due > self._now else self._now + self._params.grace_ms
            self._hold(follower(request, first, record.offset, self._results_next, at))
        return True

    def _answer_followers(self, first: str) -> None:
        """Answer those who asked with the key of a request that has its answer now."""
        for pending in self._waiting.followers(first):
            given = self._answers.get(first, self._now)
            if given is not None:
                self._forget(pending)
                self._desk.give_as(given, pending.request)

    def _admit(self, request: InferenceRequest, record: Record) -> None:
        app = self._catalogue.get(ApplicationRegistered, request.app)
        if app is None:
            self._desk.refuse_unknown(request, record)
            return
        asked = Pending(
            request=request,
            offset=record.offset,
            results_from=self._results_next,
            answer_at=request.deadline - self._margin_ms(request),
        )
        entry = self._admission.enter(asked, app, self._catalogue, self._now)
        if entry.weaker is not None:
            self._forget(entry.weaker)
            why = "overloaded: it gave way to a more important request"
            self._desk.reject(entry.weaker.request, why)
            self._answer_followers(entry.weaker.request.request_id)
        if entry.pending is None:
            self._desk.reject(request, entry.refused)
            return
        self._hold(entry.pending)
        if not entry.pending.refused:
            self._begin(entry.pending)

    def _margin_ms(self, request: InferenceRequest) -> int:
        """Return how long before its deadline a request is answered.

        Longer by as much as answers were late of late, up to a quarter of the time there is.
        """
        left = max(0, request.deadline - self._now)
        return self._params.margin_ms + min(self._lag, left // 4)

    def _hold(self, pending: Pending) -> None:
        self._waiting.add(pending)
        if self._next_check is None:
            self._next_check = self._now + self._params.check_ms

    def _begin(self, pending: Pending) -> None:
        """Begin with whoever is selected now."""
        selected = selected_for(pending.request, self._catalogue)
        if selected is not None:
            pending.selected = placed(selected, self._catalogue)
            self._working.adopted(pending)
        self._working.begin(pending, self._now, self._desk.out)
        self._answer_if_over(pending)

    def _take_result(self, result: InferenceResult) -> None:
        if result.status == OK:
            self._instances.learn(
                result.service, result.instance, result.execution_ms, result.queue_ms
            )
        pending = self._waiting.get(result.request_id)
        if pending is None or pending.refused:
            return
        if self._working.take(pending, result, self._arrivals, self._now, self._desk.out):
            self._arrivals += 1
            self._answer_if_over(pending)

    def _answer_if_over(self, pending: Pending) -> None:
        if self._working.is_over(pending):
            self._answer(pending)

    def _take_response(self, response: InferenceResponse, offset: int) -> None:
        if response.answered_at + self._params.window_ms <= self._now:
            return
        pending = self._waiting.get(response.request_id)
        if pending is not None:
            self._forget(pending)
        deadline = response.answered_at if pending is None else pending.request.deadline
        expires_at = max(deadline, response.answered_at) + self._params.window_ms
        self._answers.read_back(response, offset, expires_at, self._now)
        self._answer_followers(response.request_id)

    def _do_due(self) -> None:
        for pending in self._waiting.take_due(self._now):
            if not pending.refused:
                self._working.tend(pending, self._now, self._desk.out)
            if pending.answer_at <= self._now:
                if not pending.refused:
                    self._lag = max(self._now - pending.answer_at, self._lag * 15 // 16)
                self._answer(pending)
            else:
                self._answer_if_over(pending)

    def _check(self) -> None:
        if self._next_check is None or self._now < self._next_check:
            return
        self._next_check = self._now + self._params.check_ms
        self._instances.forget_removed()
        self._admission.rates.forget_removed(self._catalogue)
        self._look_for_selections()
        if self._instances.have_moved(self._now):
            for pending in tuple(self._waiting):
                if pending.runs:
                    self._working.look_after(pending, self._now, self._desk.out)
                    self._answer_if_over(pending)

    def _look_for_selections(self) -> None:
        """Begin with requests for whose application nothing was selected before."""
        selections = self._catalogue.of(EnsembleSelected)
        if selections is self._selections:
            return
        self._selections = selections
        for pending in tuple(self._waiting):
            if not pending.runs and not pending.refused:
                self._begin(pending)

    def _answer(self, pending: Pending) -> None:
        plan = self._working.plan(pending)
        self._forget(pending)
        self._desk.answer(pending, plan)
        self._answer_followers(pending.request.request_id)

    def _forget(self, pending: Pending) -> None:
        self._waiting.remove(pending)
        self._working.forget(pending)
        if not self._waiting:
            self._next_check = None

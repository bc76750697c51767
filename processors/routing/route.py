"""Route: fan a request out to the ensemble's members, and answer it in time.

One instance per partition of weir.requests, weir.results and weir.responses, which are keyed by
request id alike. It admits, chooses an instance per member, asks another one when a heartbeat is
missed or a result is bad, combines what comes back by a weighted vote, and answers at the
deadline with what arrived. It reads its own answers back, so that whoever takes over its
partition gives a repeated request the same answer.

Nothing waits for a shadow; a slow, failed or malformed member costs no other member's result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from processors.routing import replies
from processors.routing.admission import RESPONSES, Rates, is_own, priority_of, refusal
from processors.routing.answers import Answers
from processors.routing.dispatch import (
    accept,
    adopt_ensemble,
    dispatch,
    is_settled,
    needs_dispatch,
)
from processors.routing.instances import Instances
from processors.routing.pending import Waiting
from processors.routing.state import OK, OPEN, Member, Pending, RouteState
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
from schemas.processing import Batch, Directed, Output, Partition, Record, Spec
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    InstanceReported,
    NodeReported,
    ServiceRegistered,
)
from schemas.topics import PARTITIONS

REQUESTS = "weir.requests"
RESULTS = "weir.results"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteParams:
    """How route works; times in ms.

    `margin_ms` before a request's deadline it is answered with what arrived. A request whose
    deadline is over when it is read is rejected `grace_ms` later, unless an answer given before a
    restart turns up. Every `check_ms` lost instances and unplaced members are looked after. An
    answer is remembered for `window_ms` after the deadline.
    """

    margin_ms: int = 20
    window_ms: int = 600_000
    grace_ms: int = 1_000
    check_ms: int = 50
    attempts: int = 3
    max_pending: int = 10_000
    max_pending_bytes: int = 64 * 1_048_576
    max_answers: int = 100_000
    default_ms: float = 5.0
    smoothing: float = 0.2
    partitions: int = PARTITIONS


def spec(params: RouteParams = RouteParams()) -> Spec:
    """Return how hosts know route."""
    return Spec(
        name=replies.PROCESSOR,
        inputs=(REQUESTS, RESULTS, RESPONSES),
        outputs=(InferenceTask, InferenceResponse, DeadLetter),
        build=lambda partition: Router(params, partition),
        parameters=stable_id("route", repr(params)),
        transactional=False,
        sized=lambda count: spec(replace(params, partitions=count)),
        catalogue=(
            ApplicationRegistered,
            ServiceRegistered,
            InstanceReported,
            NodeReported,
            ConsumerRegistered,
            EnsembleSelected,
        ),
    )


class Router:
    """Route of one partition."""

    def __init__(self, params: RouteParams, partition: int) -> None:
        self._params = params
        self._partition = partition
        self._answers = Answers(params.max_answers)
        self._instances = Instances(params.default_ms, params.smoothing)
        self._rates = Rates(params.partitions)
        self._waiting = Waiting(params.max_pending, params.max_pending_bytes)
        self._results_next = 0
        self._arrivals = 0
        self._next_check: int | None = None
        self._now = 0
        self._catalogue = Catalogue()
        self._out: list[Output] = []

    def process(self, batch: Batch) -> Sequence[Output]:
        """Answer what is due, then take the records; see schemas.processing."""
        self._out = []
        self._now, self._catalogue = batch.now_ms, batch.catalogue
        self._instances.refresh(batch.catalogue)
        self._answer_due()
        self._check()
        for record in batch.records:
            self._take(record)
        return self._out

    def wake_at(self) -> int | None:
        """Return the nearest answer that is due, or the next look after instances."""
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
                buckets=self._rates.buckets(),
                results_next=self._results_next,
                arrivals=self._arrivals,
                next_check=self._next_check,
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; raises schemas.errors.DecodeError."""
        state = unpack_state(data, RouteState)
        self._answers.restore(state.answers)
        self._instances.restore(state.estimates)
        self._rates.restore(state.buckets)
        self._waiting = Waiting(self._params.max_pending, self._params.max_pending_bytes)
        for pending in state.pending:
            self._waiting.add(pending)
        self._results_next, self._arrivals = state.results_next, state.arrivals
        self._next_check = state.next_check
        under_way = [m for p in state.pending for m in p.members if m.status in OPEN and m.sent]
        for member in sorted(under_way, key=lambda m: m.sent[-1]):
            self._instances.send(
                member.task_id, member.instance, member.worker, member.service, member.sent[-1]
            )

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
        if request.request_id in self._waiting:
            return
        given = self._answers.get(request.request_id, self._now)
        if given is not None:
            self._reply(given, request)
            return
        self._admit(request, record)

    def _admit(self, request: InferenceRequest, record: Record) -> None:
        app = self._catalogue.get(ApplicationRegistered, request.app)
        if app is None:
            why = f"no application {request.app!r} is registered; see `weir apps list`"
            self._out.append(replies.dead_letter(record, "app", why, self._now))
            self._reject(request, why)
            return
        refused = refusal(request, app, self._catalogue) or self._waiting.overload()
        left = request.deadline - self._now
        if not refused and left <= self._params.margin_ms:
            self._hold_late(request, record, left)
            return
        refused = refused or self._rates.exceeded(request.consumer, self._catalogue, self._now)
        if refused:
            self._reject(request, refused)
        else:
            answer_at = request.deadline - self._params.margin_ms
            self._start(self._hold(request, record, answer_at))

    def _hold_late(self, request: InferenceRequest, record: Record, left: int) -> None:
        needed = self._params.margin_ms
        why = f"{left} ms to the deadline were left when it was read; more than {needed} are needed"
        bare = replace(request, inputs=())
        self._hold(bare, record, self._now + self._params.grace_ms, why)

    def _hold(
        self, request: InferenceRequest, record: Record, answer_at: int, refused: str = ""
    ) -> Pending:
        pending = Pending(
            request=request,
            offset=record.offset,
            results_from=self._results_next,
            priority=priority_of(request, self._catalogue),
            answer_at=answer_at,
            refused=refused,
        )
        self._waiting.add(pending)
        if self._next_check is None:
            self._next_check = self._now + self._params.check_ms
        return pending

    def _start(self, pending: Pending) -> None:
        if not pending.members:
            adopt_ensemble(pending, self._catalogue)
        for member in pending.members:
            self._ask(pending, member)

    def _ask(self, pending: Pending, member: Member) -> bool:
        attempts = 1 if member.shadow else self._params.attempts
        task = dispatch(pending, member, self._instances, attempts, self._now)
        if task is not None:
            self._out.append(task)
        return task is not None

    def _take_result(self, result: InferenceResult) -> None:
        if result.status == OK:
            self._instances.learn(result.instance, result.execution_ms)
        pending = self._waiting.get(result.request_id)
        if pending is None:
            return
        for member in pending.members:
            if member.service == result.service:
                self._settle(pending, member, result)
                break

    def _settle(self, pending: Pending, member: Member, result: InferenceResult) -> None:
        if not accept(member, result, self._arrivals, self._now):
            return
        self._arrivals += 1
        self._instances.settle(member.task_id, member.worker)
        if result.status in ("failed", "dropped") and self._ask(pending, member):
            return
        if is_settled(pending):
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

    def _answer_due(self) -> None:
        for pending in self._waiting.take_due(self._now):
            self._answer(pending)

    def _check(self) -> None:
        if self._next_check is None or self._now < self._next_check:
            return
        self._next_check = self._now + self._params.check_ms
        self._instances.forget_removed()
        self._rates.forget_removed(self._catalogue)
        for pending in self._waiting:
            if pending.refused:
                continue
            if not pending.members:
                self._start(pending)
            for member in pending.members:
                if needs_dispatch(member, self._instances, self._now):
                    self._ask(pending, member)

    def _answer(self, pending: Pending) -> None:
        self._forget(pending)
        if pending.refused:
            self._reject(pending.request, pending.refused)
        else:
            self._give(replies.answer(pending, self._now), pending.request)

    def _reject(self, request: InferenceRequest, reason: str) -> None:
        self._give(replies.rejection(request, reason, self._now), request)

    def _give(self, response: InferenceResponse, request: InferenceRequest) -> None:
        expires_at = max(request.deadline, self._now) + self._params.window_ms
        self._answers.give(response, expires_at, self._now)
        self._reply(response, request)

    def _reply(self, response: InferenceResponse, request: InferenceRequest) -> None:
        self._out.append(response)
        reply_to = request.reply_to_topic
        if reply_to and not is_own(reply_to):
            self._out.append(Directed(response, reply_to, request.reply_to_partition))

    def _forget(self, pending: Pending) -> None:
        self._waiting.remove(pending)
        for member in pending.members:
            self._instances.settle(member.task_id, member.worker)
        if not self._waiting:
            self._next_check = None

"""Results, responses and labels to metrics, joined by request id in whatever order they come.

Each result, response and label counts once; a repeated one (the same event id, or the same
request) gives nothing again for as long as its request is remembered. Forgetting a request is
silent: every metric that its records allow has been reported. Only labels that met neither a
result nor a response, and requests that had to be forgotten early, are told as actions.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from processors.joins import Entry, Joins, MarkState, Prediction, Truth
from processors.params import identity, require
from processors.vocabulary import CLASS_ACCURACY, DERIVED
from schemas.base import Event
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.inference import GroundTruth, InferenceResponse, InferenceResult
from schemas.observing import MetricReport
from schemas.processing import Batch, Output, Partition, Spec
from schemas.records import KeyValue, SourceRange

OK = "ok"
ANSWERS = ("complete", "partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveParams:
    """For how long (ms) records of a request may join, in steps of `mark_ms`, and for how many.

    When more requests are open, the oldest tenth is forgotten, and that is told.
    """

    ttl_ms: int = 600_000
    mark_ms: int = 10_000
    max_requests: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveState:
    """Where marks began; the entries are read again from the log."""

    marks: tuple[MarkState, ...]
    following: tuple[SourceRange, ...]


class Derive:
    """Derives the metrics of the requests of one partition."""

    def __init__(self, params: DeriveParams, partition: int) -> None:
        self._params = params
        self._partition = partition
        self._joins = Joins(params.ttl_ms, params.mark_ms, params.max_requests, fill)

    def process(self, batch: Batch) -> Sequence[Output]:
        """Return the metrics that each record makes possible, in the records' order."""
        outputs: list[Output] = [*self._expire(batch.now_ms)]
        if batch.records:
            self._joins.advance(batch.now_ms)
        for record in batch.records:
            entry = self._joins.entry(record, _request_of(record.event))
            outputs.extend(apply(entry, record.event))
            if gone := self._joins.evict():
                outputs.append(self._evicted(gone, batch.now_ms))
        return outputs

    def wake_at(self) -> int | None:
        """Return when the oldest requests are forgotten."""
        return self._joins.due()

    def snapshot(self) -> bytes:
        """Return the state without the requests, which the log holds."""
        marks, following = self._joins.state()
        return pack_state(DeriveState(marks=marks, following=following))

    def restore(self, data: bytes) -> None:
        """Take over a state; its requests come with `rebuild`."""
        state = unpack_state(data, DeriveState)
        self._joins.take_over(state.marks, state.following)

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return where the records of remembered requests begin."""
        return self._joins.needed()

    def rebuild(self, batch: Batch) -> None:
        """Remember the requests of records that had been applied."""
        for record in batch.records:
            self._joins.again(record, _request_of(record.event))

    def _expire(self, now_ms: int) -> Iterator[ActionTaken]:
        orphans = Counter((mark, truth.app) for mark, truth in self._joins.expire(now_ms))
        for (mark, app), count in sorted(orphans.items()):
            yield ActionTaken(
                event_id=stable_id("derive", "unmatched", self._partition, app, mark),
                target=app,
                kind="label.unmatched",
                status="done",
                policy="",
                reason=f"{count} labels met neither result nor response within "
                f"{self._params.ttl_ms / 1000:g} s",
                parameters=(KeyValue(key="count", value=str(count)),),
                taken_at=now_ms,
            )

    def _evicted(self, gone: Sequence[str], now_ms: int) -> ActionTaken:
        return ActionTaken(
            event_id=stable_id("derive", "evicted", gone[0], gone[-1], len(gone)),
            target="derive",
            kind="join.evicted",
            status="done",
            policy="",
            reason=f"more than {self._params.max_requests} requests were open; the oldest "
            f"{len(gone)} were forgotten, labels that follow for them will not match",
            parameters=(KeyValue(key="count", value=str(len(gone))),),
            taken_at=now_ms,
        )


def apply(entry: Entry, event: Event) -> Iterator[MetricReport]:
    """Add an event to what is known of its request; yield the metrics that this makes possible."""
    if isinstance(event, InferenceResult):
        yield from _result(entry, event)
    elif isinstance(event, InferenceResponse):
        yield from _response(entry, event)
    elif isinstance(event, GroundTruth):
        yield from _label(entry, event)


def fill(entry: Entry, event: Event) -> None:
    """Add an event, whose metrics have been told, to what is known of its request."""
    for _ in apply(entry, event):
        pass


def _request_of(event: Event) -> str:
    request_id: str = event.request_id  # type: ignore[attr-defined]  # all inputs have it
    return request_id


def _result(entry: Entry, event: InferenceResult) -> Iterator[MetricReport]:
    if event.event_id in entry.results:
        return
    entry.results.add(event.event_id)
    yield from _measured(event)
    if event.status != OK or event.label is None:
        return
    made = Prediction(event.app, event.stage, event.service, event.label, event.finished_at)
    entry.predictions.append(made)
    if entry.truth is not None:
        yield from _judged(made, entry.truth, event.request_id)
    if entry.answer is not None:
        yield _agreement(made, entry.answer, event.request_id)


def _measured(event: InferenceResult) -> Iterator[MetricReport]:
    if event.status == OK:
        yield _of_result(event, "latency", event.queue_ms + event.execution_ms)
        yield _of_result(event, "queue", event.queue_ms)
        yield _of_result(event, "execution", event.execution_ms)
        if event.confidence is not None:
            yield _of_result(event, "confidence", event.confidence)
    yield _of_result(event, "failure", float(event.status != OK))


def _response(entry: Entry, event: InferenceResponse) -> Iterator[MetricReport]:
    if entry.answered:
        return
    entry.answered = True
    yield _of_app(event, "response_latency", event.latency_ms)
    yield _of_app(event, "answered", float(event.status in ANSWERS))
    yield _of_app(event, "deadline_met", float(event.deadline_met))
    if event.confidence is not None:
        yield _of_app(event, "confidence", event.confidence)
    if event.label is None:
        return
    entry.answer = Prediction(event.app, "", "", event.label, event.answered_at)
    if entry.truth is not None:
        yield from _correctness(entry.answer, entry.truth, event.request_id)
    for made in entry.predictions:
        yield _agreement(made, entry.answer, event.request_id)


def _label(entry: Entry, event: GroundTruth) -> Iterator[MetricReport]:
    if entry.truth is not None:
        return
    entry.truth = Truth(event.app, event.label, event.known_at)
    for made in entry.predictions:
        yield from _judged(made, entry.truth, event.request_id)
    if entry.answer is not None:
        yield from _correctness(entry.answer, entry.truth, event.request_id)


def _judged(made: Prediction, truth: Truth, request_id: str) -> Iterator[MetricReport]:
    yield from _correctness(made, truth, request_id)
    right = float(made.label == truth.label)
    at = max(made.at, truth.at)
    yield _report(made, at, f"{CLASS_ACCURACY}{truth.label}", right, request_id)


def _correctness(made: Prediction, truth: Truth, request_id: str) -> Iterator[MetricReport]:
    right = made.label == truth.label
    at = max(made.at, truth.at)
    yield _report(made, at, "accuracy", float(right), request_id)
    yield _report(made, at, "error", float(not right), request_id)


def _agreement(made: Prediction, answer: Prediction, request_id: str) -> MetricReport:
    agreed = float(made.label == answer.label)
    return _report(made, max(made.at, answer.at), "agreement", agreed, request_id)


def _report(made: Prediction, at: int, metric: str, value: float, request_id: str) -> MetricReport:
    return MetricReport(
        event_time=at,
        app=made.app,
        stage=made.stage,
        service=made.service,
        metric=metric,
        value=value,
        request_id=request_id,
    )


def _of_result(event: InferenceResult, metric: str, value: float) -> MetricReport:
    return MetricReport(
        event_time=event.finished_at,
        app=event.app,
        stage=event.stage,
        service=event.service,
        instance=event.instance,
        node=event.node,
        metric=metric,
        value=value,
        unit=DERIVED[metric].unit,
        request_id=event.request_id,
    )


def _of_app(event: InferenceResponse, metric: str, value: float) -> MetricReport:
    return MetricReport(
        event_time=event.answered_at,
        app=event.app,
        metric=metric,
        value=value,
        unit=DERIVED[metric].unit,
        request_id=event.request_id,
    )


def spec(params: DeriveParams | None = None) -> Spec:
    """Return how hosts run derive.

    Raises InvalidParameters.
    """
    chosen = params or DeriveParams()
    require(chosen, ttl_ms=1, mark_ms=1, max_requests=1)
    return Spec(
        name="derive",
        inputs=("weir.results", "weir.responses", "weir.labels"),
        outputs=(MetricReport, ActionTaken),
        build=lambda partition: Derive(chosen, partition),
        parameters=identity(chosen),
        state=DeriveState,
        portable=True,
    )

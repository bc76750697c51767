"""What a result, a response or a label adds to what is known of its request, as metrics.

Per request the first label is the truth and the first response the answer; what contradicts the
truth changes nothing. A metric that records make together happens when the last was known.

The response brings the conditions of its request: under each of them, accuracy and agreement are
told again.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from processors.deriving.classes import LONGEST
from processors.deriving.joins import Entry, Prediction, Truth
from processors.vocabulary import (
    CLASS_ACCURACY,
    CONDITION_ACCURACY,
    CONDITION_AGREEMENT,
    DERIVED,
    INPUT,
    INPUT_NUMBERS,
)
from schemas.base import Event
from schemas.conditions import written
from schemas.inference import GroundTruth, InferenceResponse, InferenceResult
from schemas.observing import MetricReport

OK = "ok"
TENSORS = 8
"""Of how many input tensors of a result there are metrics: their names come from outside."""
ANSWERS = ("complete", "partial")


@dataclass(frozen=True, slots=True)
class Naming:
    """From an application and a true label, or a condition, to the name under which it counts."""

    label: Callable[[str, str], str]
    condition: Callable[[str, str], str]


def apply(entry: Entry, event: Event, naming: Naming) -> Iterator[MetricReport]:
    """Add an event to what is known of its request; yield the metrics that this makes possible.

    What is not finite, such as the confidence of a model that broke, is no measurement.
    """
    return (one for one in _apply(entry, event, naming) if math.isfinite(one.value))


def _apply(entry: Entry, event: Event, naming: Naming) -> Iterator[MetricReport]:
    if isinstance(event, InferenceResult):
        yield from _result(entry, event, naming)
    elif isinstance(event, InferenceResponse):
        yield from _response(entry, event, naming)
    elif isinstance(event, GroundTruth):
        yield from _label(entry, event, naming)


def fill(entry: Entry, event: Event) -> None:
    """Add an event, whose metrics have been told, to what is known of its request."""
    for _ in apply(entry, event, _AS_IT_IS):
        pass


_AS_IT_IS = Naming(lambda _, label: label, lambda _, condition: condition)


def _result(entry: Entry, event: InferenceResult, naming: Naming) -> Iterator[MetricReport]:
    if event.event_id in entry.results:
        return
    entry.results.add(event.event_id)
    yield from _measured(event)
    if event.status != OK or event.label is None:
        return
    made = Prediction(event.app, event.stage, event.service, event.label, event.finished_at)
    entry.predictions.append(made)
    if entry.truth is not None:
        yield from _judged(made, entry.truth, event.request_id, naming)
        yield from _right_under(entry, made, event.request_id, naming)
    if entry.answer is not None:
        yield from _agreement(entry, made, entry.answer, event.request_id, naming)


def _measured(event: InferenceResult) -> Iterator[MetricReport]:
    if event.status == OK:
        yield _of_result(event, "latency", event.queue_ms + event.execution_ms)
        yield _of_result(event, "queue", event.queue_ms)
        yield _of_result(event, "execution", event.execution_ms)
        if event.confidence is not None:
            yield _of_result(event, "confidence", event.confidence)
    yield from _inputs(event)
    yield _of_result(event, "failure", float(event.status != OK))
    in_time = event.status == OK and not event.deadline_missed
    yield _of_result(event, "deadline_met", float(in_time))


def _inputs(event: InferenceResult) -> Iterator[MetricReport]:
    """Yield what is known of the first input tensors, but for those with an unusable name."""
    for one in event.input_summary[:TENSORS]:
        if 0 < len(one.name) <= LONGEST:
            for number in INPUT_NUMBERS:
                value = float(getattr(one, number))
                yield _of_result(event, f"{INPUT}{number}.{one.name}", value)


def _response(entry: Entry, event: InferenceResponse, naming: Naming) -> Iterator[MetricReport]:
    if entry.answered:
        return
    entry.answered = True
    if event.conditions:
        entry.told_at, entry.conditions = event.answered_at, tuple(map(written, event.conditions))
        for made in entry.predictions:
            yield from _right_under(entry, made, event.request_id, naming)
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
        yield from _right_under(entry, entry.answer, event.request_id, naming)
    for made in entry.predictions:
        yield from _agreement(entry, made, entry.answer, event.request_id, naming)


def _label(entry: Entry, event: GroundTruth, naming: Naming) -> Iterator[MetricReport]:
    if entry.truth is not None:
        entry.contradicted |= event.label != entry.truth.label
        return
    entry.truth = Truth(event.app, event.label, event.known_at)
    for made in entry.predictions:
        yield from _judged(made, entry.truth, event.request_id, naming)
        yield from _right_under(entry, made, event.request_id, naming)
    if entry.answer is not None:
        yield from _correctness(entry.answer, entry.truth, event.request_id)
        yield from _right_under(entry, entry.answer, event.request_id, naming)


def _judged(
    made: Prediction, truth: Truth, request_id: str, naming: Naming
) -> Iterator[MetricReport]:
    yield from _correctness(made, truth, request_id)
    right = float(made.label == truth.label)
    at = max(made.at, truth.at)
    name = f"{CLASS_ACCURACY}{naming.label(made.app, truth.label)}"
    yield _report(made, at, name, right, request_id)


def _correctness(made: Prediction, truth: Truth, request_id: str) -> Iterator[MetricReport]:
    right = made.label == truth.label
    at = max(made.at, truth.at)
    yield _report(made, at, "accuracy", float(right), request_id)
    yield _report(made, at, "error", float(not right), request_id)


def _agreement(
    entry: Entry, made: Prediction, answer: Prediction, request_id: str, naming: Naming
) -> Iterator[MetricReport]:
    agreed = float(made.label == answer.label)
    at = max(made.at, answer.at)
    yield _report(made, at, "agreement", agreed, request_id)
    for name in _conditions(entry, made.app, naming):
        yield _report(made, at, f"{CONDITION_AGREEMENT}{name}", agreed, request_id)


def _right_under(
    entry: Entry, made: Prediction, request_id: str, naming: Naming
) -> Iterator[MetricReport]:
    """Yield whether a label was right under each condition, once truth and conditions are known."""
    if entry.truth is None or not entry.conditions:
        return
    right = float(made.label == entry.truth.label)
    at = max(made.at, entry.truth.at, entry.told_at)
    for name in _conditions(entry, made.app, naming):
        yield _report(made, at, f"{CONDITION_ACCURACY}{name}", right, request_id)


def _conditions(entry: Entry, app: str, naming: Naming) -> Iterable[str]:
    """Return under which names the conditions of a request count, each once."""
    return dict.fromkeys(naming.condition(app, one) for one in entry.conditions)


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
        unit=DERIVED[metric].unit if metric in DERIVED else "",
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

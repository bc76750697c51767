"""Answers of models that Weir does not run, as the events that its own workers send.

An answer needs a request id, so that truth can meet it; where the caller has none, one is made.
The second answer of an instance to a request counts as a repetition of the first.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol

from typing_extensions import Self

from schemas.identity import stable_id
from schemas.inference import GroundTruth, InferenceResult, InputSummary
from workers.probing.encoding import clean
from workers.settings import Identity

OK, FAILED = "ok", "failed"
NOT_RUN = "external"
"""The runtime of a model that Weir does not run, where nobody names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered, or why it did not.

    `status` is ok, failed, expired or dropped, and anything but ok has a `reason`; times are ms;
    `scores` go with `classes`; `confidence` is a probability; `finished_at` (ms since the epoch)
    is now when it is None. `input_summary` says what its inputs looked like, for drift of the data.
    """

    label: str | None = None
    confidence: float | None = None
    queue_ms: float = 0.0
    execution_ms: float = 0.0
    status: str = OK
    reason: str | None = None
    scores: Sequence[float] = ()
    classes: Sequence[str] = ()
    runtime: str = NOT_RUN
    provider: str = ""
    variant: str = ""
    batch_size: int = 1
    model_version: str = ""
    input_digest: str = ""
    deadline_missed: bool = False
    finished_at: int | None = None
    input_summary: Sequence[InputSummary] = ()


def new_request_id() -> str:
    """Return a request id that nobody has."""
    return uuid.uuid4().hex


def known_request_id(given: object) -> str:
    """Return what a caller calls a request, as text; a new id where it calls it nothing."""
    return clean(str(given)) if given or given == 0 else new_request_id()


def result_of(own: Identity, request_id: str, answer: Answer, now_ms: int) -> InferenceResult:
    """Return the event of an answer. Raises one of NO_NUMBER for what is no number."""
    finished = now_ms if answer.finished_at is None else int(answer.finished_at)
    queue, execution = float(answer.queue_ms), float(answer.execution_ms)
    return InferenceResult(
        event_id=stable_id("probe", own.app, own.instance, request_id),
        task_id=stable_id("probe-task", own.app, own.instance, request_id),
        request_id=request_id,
        app=own.app,
        stage=own.stage,
        service=own.service or own.app,
        instance=own.instance,
        node=own.node,
        worker="",
        attempt=0,
        status=answer.status,
        reason=None if answer.reason is None else clean(answer.reason),
        label=None if answer.label is None else clean(str(answer.label)),
        confidence=None if answer.confidence is None else float(answer.confidence),
        scores=tuple(float(score) for score in answer.scores),
        classes=tuple(clean(str(name)) for name in answer.classes),
        queue_ms=queue,
        execution_ms=execution,
        received_at=finished - round(queue + execution),
        finished_at=finished,
        runtime=answer.runtime,
        provider=answer.provider,
        variant=answer.variant,
        batch_size=answer.batch_size,
        model_version=answer.model_version,
        input_digest=answer.input_digest,
        deadline_missed=answer.deadline_missed,
        generation=0,
        input_summary=tuple(answer.input_summary),
    )


def truth_of(
    own: Identity, request_id: str, label: object, known_at: int, source: str
) -> GroundTruth:
    """Return the event of what was right."""
    return GroundTruth(
        request_id=request_id,
        app=own.app,
        label=clean(str(label)),
        known_at=known_at,
        source=clean(source),
    )


class Answers(Protocol):
    """What takes an answer."""

    def report_answer(self, request_id: str, answer: Answer) -> None:
        """Report what a model answered to a request."""
        ...


class Inference:
    """Times a model in a block and reports its answer, or that the block raised.

    with probe.inference() as call:
        label, confidence = model(image)
        call.answer = Answer(label=label, confidence=confidence)
    """

    __slots__ = ("_probe", "_started", "answer", "request_id")

    def __init__(self, probe: Answers, request_id: str | None) -> None:
        self._probe = probe
        self._started = 0.0
        self.answer = Answer()
        """What the model answered; its execution time is measured."""
        self.request_id = known_request_id(request_id)
        """The id under which the truth is to be told."""

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        took_ms = (time.perf_counter() - self._started) * 1000
        made = self.answer if error is None else Answer(status=FAILED, reason=repr(error))
        self._probe.report_answer(self.request_id, replace(made, execution_ms=took_ms))

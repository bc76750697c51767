"""QoA4ML's reports to MetricReport and InferenceResult events. Pure, and the same at every repeat.

A record that is a number gives a metric; one that is an object gives a metric for each number in
it, `image_size.width`. What a timer wrote, `{start_time, response_time}`, gives the one and the
time at which it ended. An inference gives a result, and its metrics carry the request's id. A
report carries those of the stages before it: send the last one of a request, or they count twice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.identity import stable_id
from schemas.inference import InferenceResult
from workers.intake.naming import Names, Who, text
from workers.intake.points import Point
from workers.intake.qoa4ml import Inferred, Malformed, Measured, Report
from workers.intake.translated import AHEAD, MAX_S, Translated, ahead

MAX_EVENTS = 20_000
TIMED = {"response_time": "start_time", "responseTime": "startTime"}
"""What a timer calls how long it took, and since when; both in seconds."""
CONFIDENCE = ("confidence", "score", "probability")
LABEL = ("label", "class", "prediction")


def translate(report: Report, names: Names, now_ms: int) -> Translated:
    """Return the events of a report; `now_ms` is when it came, for one that does not tell.

    Raises Malformed when no application is named, or there are more than 20,000 events.
    """
    app = report.app or names.app
    if not app:
        raise Malformed("metadata.client_config.application_name is missing or empty")
    when = now_ms if report.timestamp is None else round(report.timestamp * 1000)
    maker = _Maker(text(app), report, when, now_ms)
    for measured in report.measured:
        maker.measure(measured, report.request_id)
    for inferred in report.inferred:
        maker.infer(inferred)
    if len(maker.out.events) > MAX_EVENTS:
        raise Malformed(f"{len(maker.out.events)} measurements; at most {MAX_EVENTS} a report")
    return maker.out


class _Maker:
    def __init__(self, app: str, report: Report, when: int, now_ms: int) -> None:
        self._app = app
        self._report = report
        self._when = when
        self._now_ms = now_ms
        told = _response_times(report.measured)
        self._response_ms = {instance: ms for instance, ms in told if 0 <= ms <= when}
        self.out = Translated()

    def measure(self, measured: Measured, request_id: str) -> None:
        """Make the events of the records of a metric."""
        instance = text(measured.instance)
        about = Who(self._app, text(measured.stage), text(measured.service), instance)
        for record in measured.records:
            found = list(_values(measured, record))
            if not found:
                self.out.passed["without a number"] += 1
            for value in found:
                self._report_value(about, value, request_id)

    def _report_value(self, about: Who, value: "_Value", request_id: str) -> None:
        when = self._when if value.at_s is None else round(value.at_s * 1000)
        request = request_id or None
        point = Point(about, text(value.name), "", text(value.unit, 32), when, None, request)
        points = point.of(("", value.number))
        wrong = points.wrong(self._now_ms)
        if wrong:
            self.out.refused[wrong] += 1
        else:
            self.out.events.extend(points.events())

    def infer(self, inferred: Inferred) -> None:
        """Make the result of an inference, and the events of its metrics."""
        request_id = self._report.request_id or inferred.inference
        for measured in inferred.metrics:
            self.measure(measured, request_id)
        told = any(measured.name == "prediction" for measured in inferred.metrics)
        if _is_number(inferred.prediction) and not told:
            self.measure(_predicted(inferred), request_id)
        if ahead(self._when, self._now_ms):
            self.out.refused[AHEAD] += 1
        else:
            self.out.events.append(self._result(inferred, request_id))

    def _result(self, inferred: Inferred, request_id: str) -> InferenceResult:
        answer = _answer(inferred)
        took_ms = self._response_ms.get(inferred.instance, 0.0)
        return InferenceResult(
            event_id=stable_id("qoa4ml", self._app, inferred.inference),
            task_id=text(inferred.inference),
            request_id=text(request_id),
            app=self._app,
            stage=text(inferred.stage),
            service=text(inferred.service),
            instance=text(inferred.instance),
            node="",
            worker="",
            attempt=0,
            status="ok",
            label=answer.label,
            confidence=answer.confidence,
            scores=answer.scores,
            classes=answer.classes,
            queue_ms=0.0,
            execution_ms=took_ms,
            received_at=self._when - round(took_ms),
            finished_at=self._when,
            runtime="",
            provider="",
            variant=text(inferred.functionality),
            batch_size=1,
            model_version="",
            input_digest="",
            deadline_missed=False,
            generation=0,
        )


def _predicted(inferred: Inferred) -> Measured:
    record = (inferred.prediction,)
    where = (inferred.stage, inferred.instance, inferred.service)
    return Measured(*where, "prediction", "", record)


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    number: float
    unit: str
    at_s: float | None = None


def _values(measured: Measured, record: Any) -> Iterator[_Value]:
    """Yield the numbers in a record, each with a name, its unit, and when it was if it says so."""
    if _is_number(record):
        yield _Value(measured.name, float(record), measured.unit)
    if not isinstance(record, dict):
        return
    for took, began in TIMED.items():
        if _is_number(record.get(took)) and _is_number(record.get(began)):
            at_s = float(record[began]) + float(record[took])
            known = at_s if 0 <= at_s < MAX_S else None
            yield _Value(measured.name, float(record[took]), measured.unit or "s", known)
            return
    for key, value in record.items():
        if _is_number(value):
            yield _Value(f"{measured.name}.{key}", float(value), measured.unit)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e308


def _response_times(measured: tuple[Measured, ...]) -> Iterator[tuple[str, float]]:
    """Yield how long instances took, ms, whatever they say."""
    for metric in measured:
        if metric.name.lower().replace(" ", "_") == "response_time":
            for record in metric.records[-1:]:
                for value in _values(metric, record):
                    factor = 1.0 if value.unit == "ms" else 1000.0
                    yield metric.instance, value.number * factor


@dataclass(frozen=True, slots=True)
class _Answer:
    label: str | None = None
    confidence: float | None = None
    scores: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()


def _answer(inferred: Inferred) -> _Answer:
    """Return what was predicted, as far as it is a class."""
    told = [m.records[-1] for m in inferred.metrics if m.name.lower() in CONFIDENCE and m.records]
    own = _share(told[-1]) if told else None
    given = inferred.prediction
    if isinstance(given, str):
        return _Answer(text(given), own)
    if not isinstance(given, dict):
        return _Answer(None, own)
    named = next((given[key] for key in LABEL if isinstance(given.get(key), str)), None)
    if named is not None:
        said = next((_share(given[key]) for key in CONFIDENCE if key in given), None)
        return _Answer(text(named), said if own is None else own)
    return _best(given, own)


def _best(given: Mapping[str, Any], own: float | None) -> _Answer:
    """Return the class with the highest score, where all classes have one."""
    if not given or not all(_is_number(value) for value in given.values()):
        return _Answer(None, own)
    classes = tuple(text(key) for key in given)
    scores = tuple(float(value) for value in given.values())
    best = max(range(len(scores)), key=scores.__getitem__)
    if not all(0 <= score <= 1 for score in scores):
        return _Answer(classes[best], own)
    return _Answer(classes[best], scores[best] if own is None else own, scores, classes)


def _share(value: Any) -> float | None:
    return float(value) if _is_number(value) and 0 <= value <= 1 else None

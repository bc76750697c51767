"""Reports of QoA4ML in their three forms, and what is wrong with those that are none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Event
from schemas.checks import check
from schemas.codec import pack
from schemas.inference import InferenceResult
from schemas.observing import MetricReport
from workers.intake import qoa4ml, qoa4ml_events
from workers.intake.naming import Names
from workers.intake.qoa4ml import Malformed
from workers.intake.receiving import terms_of
from workers.intake.translated import Translated
from workers.settings import IntakeSettings

NOW_MS = 1_900_000_000_000
NAMES = terms_of(IntakeSettings()).names
ONE, TWO = "b6f83293-cf67-44dd-a7b5-77229d384012", "5e4f82e8-f2ff-45a8-8809-140f98253e4d"
METADATA = {
    "client_config": {
        "application_name": "bts", "name": "predictor", "instance_id": ONE, "stage_id": "predict",
    },
    "timestamp": NOW_MS / 1000 - 5,
    "corr_id": "request-7",
}  # fmt: skip


def metric(name: str, *records: Any, **further: Any) -> dict[str, Any]:
    return {"metric_name": name, "records": list(records), **further}


def staged(stage: str, found: dict[str, Any], instance: str = ONE) -> dict[str, Any]:
    name = found["metric_name"]
    return {stage: {"name": stage, "metrics": {name: {instance: found}}}}


def translated(report: Any, names: Names = NAMES) -> Translated:
    body = json.dumps(report).encode()
    found = qoa4ml_events.translate(qoa4ml.read(body), names, NOW_MS)
    assert found.events == qoa4ml_events.translate(qoa4ml.read(body), names, NOW_MS).events
    for event in found.events:
        check(event, NOW_MS)
        pack(event)
    return found


def metrics(events: list[Event]) -> dict[str, float]:
    return {event.metric: event.value for event in events if isinstance(event, MetricReport)}


def results(events: list[Event]) -> list[InferenceResult]:
    return [event for event in events if isinstance(event, InferenceResult)]


def test_metrics_of_a_stage_say_of_whom_and_when() -> None:
    report = {"metadata": METADATA, "service": staged("gateway", metric("cpu", 0.5, unit="%"))}
    (event,) = translated(report).events
    assert event == MetricReport(
        event_time=NOW_MS - 5_000, app="bts", stage="gateway", service="predictor", instance=ONE,
        metric="cpu", value=0.5, unit="%", request_id="request-7",
    )  # fmt: skip


def test_records_of_all_shapes_give_what_numbers_they_have() -> None:
    records = [1, 2.5, "text", True, None, {"width": 40, "colour": "red", "height": 52}, []]
    found = translated({"metadata": METADATA, "data": staged("s", metric("size", *records))})
    assert [(e.metric, e.value) for e in found.events] == [  # type: ignore[attr-defined]  # all are metrics
        ("size", 1.0), ("size", 2.5), ("size.width", 40.0), ("size.height", 52.0),
    ]  # fmt: skip
    assert found.passed == {"without a number": 4}


@pytest.mark.parametrize(
    "record",
    [
        {"start_time": NOW_MS / 1000 - 2, "response_time": 0.25},
        {"startTime": NOW_MS / 1000 - 2, "responseTime": 0.25},
    ],
)
def test_a_timer_says_how_long_and_when_it_ended(record: dict[str, float]) -> None:
    found = translated({"metadata": METADATA, "service": staged("s", metric("took", record))})
    (event,) = found.events
    assert isinstance(event, MetricReport)
    assert (event.metric, event.value, event.unit) == ("took", 0.25, "s")
    assert event.event_time == NOW_MS - 1_750


def inference(prediction: Any, key: str = "i-1", instance: str = ONE) -> dict[str, Any]:
    return {
        "inference_id": key, "instance_id": instance, "functionality": "TensorFlow",
        "prediction": prediction, "metrics": [metric("confidence", 0.8)],
    }  # fmt: skip


def test_an_inference_gives_a_result_and_its_metrics() -> None:
    took = metric("response_time", {"start_time": 1.0, "response_time": 0.2})
    report = {
        "metadata": METADATA,
        "service": staged("predict", took),
        "ml_inference": {ONE: inference("cat")},
    }
    found = translated(report).events
    (result,) = results(found)
    assert (result.request_id, result.task_id, result.status) == ("request-7", "i-1", "ok")
    assert (result.app, result.stage, result.service, result.instance) == (
        "bts", "predict", "predictor", ONE,
    )  # fmt: skip
    assert (result.label, result.confidence, result.execution_ms) == ("cat", 0.8, 200)
    assert result.finished_at - result.received_at == 200
    assert result.variant == "TensorFlow"
    assert metrics(found)["confidence"] == 0.8


@pytest.mark.parametrize("took_s", [1e306, 1e30, 1e12, -3.0])
def test_a_time_that_an_inference_cannot_have_taken_is_left_out(took_s: float) -> None:
    report = {
        "metadata": METADATA,
        "service": staged("predict", metric("response_time", took_s)),
        "ml_inference": {ONE: inference("cat")},
    }
    (result,) = results(translated(report).events)
    assert result.execution_ms == 0.0
    assert result.received_at == result.finished_at


@pytest.mark.parametrize(
    ("prediction", "label", "confidence", "classes"),
    [
        ({"cat": 0.7, "dog": 0.3}, "cat", 0.8, ("cat", "dog")),
        ({"cat": 345, "dog": 841}, "dog", 0.8, ()),
        ({"label": "cow", "confidence": 0.4}, "cow", 0.8, ()),
        ({"box": [1, 2]}, None, 0.8, ()),
        (None, None, 0.8, ()),
        (3.5, None, 0.8, ()),
    ],
)
def test_predictions_of_all_shapes_give_a_label_where_there_is_one(
    prediction: Any, label: str | None, confidence: float, classes: tuple[str, ...]
) -> None:
    report = {"metadata": METADATA, "ml_inference": {ONE: inference(prediction)}}
    found = translated(report).events
    (result,) = results(found)
    assert (result.label, result.confidence, result.classes) == (label, confidence, classes)
    assert metrics(found).get("prediction") == (prediction if prediction == 3.5 else None)


def test_scores_are_confidence_where_nothing_else_is() -> None:
    bare = inference({"cat": 0.7, "dog": 0.3}) | {"metrics": []}
    (result,) = results(translated({"metadata": METADATA, "ml_inference": {ONE: bare}}).events)
    assert (result.confidence, result.scores) == (0.7, (0.7, 0.3))


def test_an_ensemble_tells_every_inference_once_and_names_its_instances() -> None:
    last = inference("dog", "i-2", TWO)
    instance = {"id": TWO, "name": "aggregate", "functionality": "max", "stage": "ensemble"}
    report = {
        "metadata": METADATA,
        "inference_report": {
            "service": staged("ensemble", metric("load", 1), TWO),
            "ml_specific": {
                "end_point": last,
                "linked_list": {
                    ONE: {"instance": inference("cat"), "previous": []},
                    TWO: {"instance": last, "previous": [inference("cat")]},
                },
            },
        },
        "execution_graph": {"end_point": instance, "linked_list": {TWO: {"instance": instance}}},
    }
    found = translated(report).events
    told = {r.task_id: (r.label, r.stage, r.service) for r in results(found)}
    assert told == {"i-1": ("cat", "predict", "predictor"), "i-2": ("dog", "ensemble", "aggregate")}
    (load,) = [e for e in found if isinstance(e, MetricReport) and e.metric == "load"]
    assert load.service == "aggregate"


def test_a_flat_report_tells_of_each_instance() -> None:
    flat = metric("accuracy", 0.9) | {
        "stage": "train", "report_type": "ml_specific", "previous_instances": [],
        "instance": {"id": TWO, "name": "trainer", "functionality": "x", "stage": "train"},
    }  # fmt: skip
    (event,) = translated({"metadata": METADATA, "metrics": [flat]}).events
    assert isinstance(event, MetricReport)
    assert (event.stage, event.service, event.instance) == ("train", "trainer", TWO)


def test_names_of_older_versions_are_understood() -> None:
    old = {"id": "i-1", "execution_instance_id": ONE, "prediction": "cat", "metrics": []}
    stage = {"gateway": {"name": "gateway", "metric": {"cpu": {ONE: metric("cpu", 1)}}}}
    inside = {
        "service": stage,
        "ml_specific": {"end_point": old, "linked_list": {"i-1": {"instance": old}}},
    }
    found = translated({"inference_report": inside, "metadata": METADATA}).events
    assert metrics(found) == {"cpu": 1}
    assert results(found)[0].label == "cat"


def test_without_an_application_the_configured_one_counts() -> None:
    report = {"service": staged("s", metric("cpu", 1))}
    named = terms_of(IntakeSettings(app="shop")).names
    (event,) = translated(report, named).events
    assert (event.app, event.event_time) == ("shop", NOW_MS)  # type: ignore[attr-defined]  # a metric
    with pytest.raises(Malformed, match="application_name"):
        translated(report)


def test_what_lies_ahead_is_refused() -> None:
    ahead = METADATA | {"timestamp": NOW_MS / 1000 + 100}
    found = translated({"metadata": ahead, "ml_inference": {ONE: inference("cat")}})
    assert found.refused == {"more than a minute ahead of the clock here": 2}
    assert not found.events


@pytest.mark.parametrize(
    ("report", "where"),
    [
        ([], "the report is no object"),
        ({"metadata": METADATA}, "no report of QoA4ML"),
        ({"metadata": 5, "metrics": []}, "metadata is no object"),
        ({"metadata": {"timestamp": "now"}, "metrics": []}, "metadata.timestamp"),
        ({"metadata": {"timestamp": 10**400}, "metrics": []}, "metadata.timestamp"),
        ({"metrics": {}}, "metrics is no list"),
        ({"metrics": [{"stage": "s"}]}, "metrics.0.instance"),
        ({"service": {"s": 5}}, "service.s is no object"),
        ({"service": {"s": {"metrics": {"m": {"i": {}}}}}}, "service.s.metrics.m.i has no metric"),
        ({"ml_inference": {"i": {}}}, "ml_inference.i has no inference_id"),
        ({"inference_report": {"ml_specific": {"linked_list": {"i": 5}}}}, "linked_list.i is no"),
    ],
)
def test_a_malformed_report_is_told_where(report: Any, where: str) -> None:
    with pytest.raises(Malformed, match=where.replace(".", r"\.")):
        qoa4ml.read(json.dumps(report).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="no JSON"):
        qoa4ml.read(body)


def test_a_report_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qoa4ml_events, "MAX_EVENTS", 3)
    with pytest.raises(Malformed, match="at most 3"):
        translated({"metadata": METADATA, "service": staged("s", metric("cpu", 1, 2, 3, 4))})


LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4)
WORDS = """
metrics service metric_name records instance stage ml_inference inference_id prediction
inference_report ml_specific linked_list end_point x
"""
KEYS = st.sampled_from(WORDS.split())
SHAPES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(st.dictionaries(KEYS, SHAPES, max_size=4))
def test_no_shape_is_a_surprise(report: dict[str, Any]) -> None:
    try:
        translated(report | {"metadata": METADATA})
    except Malformed:
        return

"""OpenTelemetry's logs and spans: bounded, and sampled so that estimates can be weighed."""

from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.base import Event
from schemas.checks import check
from schemas.codec import pack
from schemas.records import KeyValue
from schemas.signals import LogReported, SpanReported
from tests.unit.workers.intake_samples import BEGAN, NOW_MS, SHOP, attributes
from workers.intake import otlp_body, otlp_logs, otlp_spans
from workers.intake.receiving import terms_of
from workers.intake.sampling import kept
from workers.intake.translated import Terms, Translated
from workers.settings import IntakeSettings

TERMS = terms_of(IntakeSettings())
RESOURCE = {"attributes": attributes(SHOP)}


def logs(*records: dict[str, Any], terms: Terms = TERMS) -> Translated:
    scope = {"scope": {"name": "camera"}, "logRecords": list(records)}
    plain = {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [scope]}]}
    made = json_format.ParseDict(plain, ExportLogsServiceRequest())
    assert otlp_logs.points_in(made) == len(records)
    return otlp_logs.translate(made, terms, NOW_MS)


def spans(*given: dict[str, Any], terms: Terms = TERMS) -> Translated:
    scope = {"scope": {"name": "flask"}, "spans": list(given)}
    plain = {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [scope]}]}
    body = otlp_body.json.dumps(plain).encode()
    made = otlp_body.read(body, otlp_body.JSON, ExportTraceServiceRequest)
    assert otlp_spans.points_in(made) == len(given)
    return otlp_spans.translate(made, terms, NOW_MS)


def log(number: int = 9, **further: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(BEGAN), "severityNumber": number, **further}


def span(number: int = 1, **further: Any) -> dict[str, Any]:
    ends = str(BEGAN + 2_500_000)
    ids = {"traceId": f"{number:032x}", "spanId": f"{number:016x}"}
    return {**ids, "startTimeUnixNano": str(BEGAN), "endTimeUnixNano": ends, **further}


def only(found: Translated) -> Event:
    (event,) = found.events
    check(event, NOW_MS)
    pack(event)
    return event


def test_a_log_says_what_it_says() -> None:
    found = only(logs(log(14, body={"stringValue": "hot"}, attributes=attributes({"core": "3"}))))
    assert found == LogReported(
        event_time=NOW_MS, app="shop", service="detector", severity="WARN", severity_number=14,
        body="hot", body_length=3, scope="camera",
        attributes=(KeyValue(key="core", value="3"),),
    )  # fmt: skip


def test_a_body_with_structure_is_json_and_a_long_one_is_cut() -> None:
    value = {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}}
    assert only(logs(log(body=value))).body == '{"a":1}'  # type: ignore[attr-defined]  # a log
    long = only(logs(log(body={"stringValue": "ä" * 9_000})))
    assert isinstance(long, LogReported)
    assert (len(long.body), long.body_length) == (8_192, 18_000)


def test_attributes_are_bounded_and_the_rest_is_counted() -> None:
    many = attributes({f"k{n}": "v" * 2_000 for n in range(40)})
    found = only(logs(log(attributes=many, droppedAttributesCount=2)))
    assert isinstance(found, LogReported)
    assert (len(found.attributes), found.dropped_attributes) == (32, 10)
    assert len(found.attributes[0].value) == 1_024


@pytest.mark.parametrize(
    ("number", "name"), [(1, "TRACE"), (8, "DEBUG"), (9, "INFO"), (17, "ERROR"), (24, "FATAL")]
)
def test_severities_have_the_names_of_their_numbers(number: int, name: str) -> None:
    assert only(logs(log(number))).severity == name  # type: ignore[attr-defined]  # a log


def test_a_log_without_time_was_when_it_was_observed() -> None:
    record = {"observedTimeUnixNano": str(BEGAN + 7_000_000), "severityText": "notice"}
    found = only(logs(record))
    assert isinstance(found, LogReported)
    assert (found.event_time, found.severity) == (NOW_MS + 7, "NOTICE")
    assert only(logs({})).event_time == NOW_MS  # type: ignore[attr-defined]  # a log


def test_logs_from_the_future_are_refused() -> None:
    late = log() | {"timeUnixNano": str(BEGAN + 61 * 10**9)}
    assert logs(late).refused == {"more than a minute ahead of the clock here": 1}


def test_a_span_says_what_was_done() -> None:
    exception = attributes({"exception.type": "ValueError", "exception.message": "bad"})
    found = only(
        spans(
            span(
                7, name="detect", kind=2, parentSpanId="00000000000000ff",
                status={"code": 2, "message": "failed"},
                events=[{"name": "tick"}, {"name": "exception", "attributes": exception}],
                links=[{}], droppedEventsCount=1,
            )
        )
    )  # fmt: skip
    assert found == SpanReported(
        started_at=NOW_MS, duration_ms=2.5, app="shop", service="detector", name="detect",
        kind="server", status="error", status_message="failed", exception="ValueError: bad",
        scope="flask", trace_id=f"{7:032x}", span_id=f"{7:016x}",
        parent_span_id="00000000000000ff", events=3, links=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"traceId": ""}, "without trace_id and span_id"),
        ({"spanId": "00"}, "without trace_id and span_id"),
        ({"endTimeUnixNano": "5"}, "that end before they begin"),
        ({"startTimeUnixNano": "0"}, "that end before they begin"),
    ],
)
def test_spans_that_make_no_sense_are_refused(wrong: dict[str, Any], reason: str) -> None:
    found = spans(span() | wrong, span(2))
    assert found.refused == {reason: 1}
    assert len(found.events) == 1


def test_a_trace_is_kept_or_left_as_a_whole_and_carries_its_rate() -> None:
    terms = terms_of(IntakeSettings(span_rate=0.25))
    many = [span(n, name=name) for n in range(1, 801) for name in ("a", "b")]
    found = spans(*many, terms=terms)
    traces = [event.trace_id for event in found.events]  # type: ignore[attr-defined]  # spans
    assert len(traces) == 2 * len(set(traces))
    assert 0.2 < len(set(traces)) / 800 < 0.3
    assert {event.sample_rate for event in found.events} == {0.25}  # type: ignore[attr-defined]  # spans
    assert found.passed == {"sampled out": 1_600 - len(traces)}
    assert not found.refused


def test_errors_are_always_kept_at_their_full_weight() -> None:
    terms = terms_of(IntakeSettings(span_rate=1e-9, log_rate=1e-9))
    assert only(spans(span(status={"code": 2}), span(2), terms=terms)).sample_rate == 1.0  # type: ignore[attr-defined]  # a span
    assert only(logs(log(17), log(16), terms=terms)).sample_rate == 1.0  # type: ignore[attr-defined]  # a log


def test_logs_of_a_trace_are_kept_with_each_other_and_repeats_alike() -> None:
    terms = terms_of(IntakeSettings(log_rate=0.5))
    records = [
        log(body={"stringValue": str(n)}, traceId=otlp_body._base64(f"{n // 2:032x}"))
        for n in range(2, 400)
    ]
    found = logs(*records, terms=terms)
    assert found.events == logs(*records, terms=terms).events
    traces = [event.trace_id for event in found.events]  # type: ignore[attr-defined]  # logs
    assert len(traces) == 2 * len(set(traces))


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.text(max_size=5))
def test_what_a_lower_rate_keeps_a_higher_one_keeps(a: float, b: float, trace: str) -> None:
    assert kept(max(a, b), trace, "x") or not kept(min(a, b), trace, "x")


@given(st.binary(max_size=150), st.sampled_from(otlp_body.KINDS))
def test_no_bytes_of_logs_or_spans_are_a_surprise(body: bytes, kind: str) -> None:
    for message, translate in (
        (ExportLogsServiceRequest, otlp_logs.translate),
        (ExportTraceServiceRequest, otlp_spans.translate),
    ):
        try:
            found = otlp_body.read(body, kind, message)
        except otlp_body.Unreadable:
            continue
        for event in translate(found, TERMS, NOW_MS).events:
            pack(event)

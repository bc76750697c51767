"""OpenTelemetry's metrics: what each kind of point gives, and what is refused with which words."""

import base64
import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.observing import MetricReport
from tests.unit.workers.intake_samples import BEGAN, NOW_MS, SHOP, attributes
from workers.intake import otlp_body, otlp_metrics
from workers.intake.deltas import Deltas
from workers.intake.receiving import terms_of
from workers.intake.translated import Translated
from workers.settings import IntakeSettings

TERMS = terms_of(IntakeSettings())


def request(*metrics: dict[str, Any], **resource: str) -> ExportMetricsServiceRequest:
    plain = {
        "resourceMetrics": [
            {
                "resource": {"attributes": attributes(resource or SHOP)},
                "scopeMetrics": [{"metrics": list(metrics)}],
            }
        ]
    }
    return json_format.ParseDict(plain, ExportMetricsServiceRequest())


def at(seconds: float, **point: Any) -> dict[str, Any]:
    point["attributes"] = attributes(point.pop("attributes", {}))
    return {"timeUnixNano": str(BEGAN + round(seconds * 1e9)), **point}


def gauge(*points: dict[str, Any], name: str = "depth", unit: str = "1") -> dict[str, Any]:
    return {"name": name, "unit": unit, "gauge": {"dataPoints": list(points)}}


def total(*points: dict[str, Any], kind: int = 2, rising: bool = True) -> dict[str, Any]:
    data = {"aggregationTemporality": kind, "isMonotonic": rising, "dataPoints": list(points)}
    return {"name": "reqs", "sum": data}


def histogram(*points: dict[str, Any], kind: int = 2) -> dict[str, Any]:
    return {
        "name": "lat",
        "unit": "ms",
        "histogram": {"aggregationTemporality": kind, "dataPoints": list(points)},
    }


def translated(deltas: Deltas, made: ExportMetricsServiceRequest) -> Translated:
    with deltas.draft(NOW_MS) as draft:
        found = otlp_metrics.translate(made, TERMS, draft, NOW_MS)
        draft.commit()
    return found


def values(found: Translated) -> dict[str, float]:
    assert all(isinstance(event, MetricReport) for event in found.events)
    return {event.metric: event.value for event in found.events}  # type: ignore[attr-defined]  # as said above


def fresh() -> Deltas:
    return Deltas(100, BEGAN)


def test_a_gauge_gives_its_value_and_says_of_whom() -> None:
    point = at(1.5, asDouble=2.5, attributes={"queue": "in", "weir.request_id": "r-1"})
    (event,) = translated(fresh(), request(gauge(point, unit="s"))).events
    assert event == MetricReport(
        event_time=NOW_MS + 1500,
        app="shop",
        service="detector",
        metric='depth{queue="in"}',
        value=2.5,
        unit="s",
        request_id="r-1",
    )


def test_a_point_may_be_about_another_than_its_resource() -> None:
    point = at(0, asInt="7", attributes={"host.name": "edge-2", "service.name": "tracker"})
    (event,) = translated(fresh(), request(gauge(point))).events
    assert isinstance(event, MetricReport)
    assert (event.app, event.service, event.node, event.metric) == (
        "shop", "tracker", "edge-2", "depth",
    )  # fmt: skip


def test_a_total_gives_what_was_added_and_begins_again_with_its_source() -> None:
    deltas = fresh()
    found = [
        translated(deltas, request(total(at(n, asInt=str(value), startTimeUnixNano=start))))
        for n, value, start in [(1, 5, BEGAN), (2, 12, BEGAN), (3, 4, BEGAN + 10), (4, 4, BEGAN)]
    ]
    assert [values(each) for each in found] == [{"reqs": 5}, {"reqs": 7}, {"reqs": 4}, {"reqs": 4}]


def test_a_total_that_began_before_us_gives_nothing_at_first() -> None:
    found = translated(fresh(), request(total(at(1, asInt="5", startTimeUnixNano="1"))))
    assert not found.events
    assert found.passed == {"first of their series": 1}
    assert not found.refused


@pytest.mark.parametrize(("kind", "rising"), [(1, True), (1, False), (2, False)])
def test_increments_and_totals_that_may_fall_give_their_values(kind: int, rising: bool) -> None:
    points = [at(n, asInt=str(n)) for n in (3, 5)]
    made = request(total(*points, kind=kind, rising=rising))
    assert [event.value for event in translated(fresh(), made).events] == [3, 5]  # type: ignore[attr-defined]  # all are metrics


def test_totals_of_two_processes_under_one_name_are_told_apart() -> None:
    deltas = fresh()
    for pid, count in (("1", 5), ("2", 100)):
        point = at(1, asInt=str(count), startTimeUnixNano=str(BEGAN))
        translated(deltas, request(total(point), **SHOP, **{"process.pid": pid}))
    point = at(2, asInt="6", startTimeUnixNano=str(BEGAN))
    assert values(translated(deltas, request(total(point), **SHOP, **{"process.pid": "1"}))) == {
        "reqs": 1
    }


def buckets(*counts: int, **further: Any) -> dict[str, Any]:
    low, middle, high = counts
    return {
        "count": str(sum(counts)),
        "sum": float(5 * low + 15 * middle + 25 * high),
        "explicitBounds": [10.0, 20.0],
        "bucketCounts": [str(count) for count in counts],
        "startTimeUnixNano": str(BEGAN),
        **further,
    }


def test_a_histogram_tells_of_what_was_added_since() -> None:
    deltas = fresh()
    translated(deltas, request(histogram(at(1, **buckets(90, 0, 10)))))
    found = translated(deltas, request(histogram(at(2, **buckets(90, 10, 10)))))
    assert values(found) == {
        "lat.count": 10, "lat.sum": 150, "lat.mean": 15,
        "lat.p50": 15, "lat.p90": 19, "lat.p95": 19.5, "lat.p99": pytest.approx(19.9),
    }  # fmt: skip
    assert {event.unit for event in found.events if event.metric != "lat.count"} == {"ms"}  # type: ignore[attr-defined]  # all are metrics


def test_a_histogram_of_increments_tells_its_extremes_too() -> None:
    point = at(1, **buckets(10, 0, 0, min=2.0, max=4.0))
    found = values(translated(fresh(), request(histogram(point, kind=1))))
    assert (found["lat.min"], found["lat.max"], found["lat.p50"]) == (2, 4, 4)
    assert found["lat.p99"] <= 4


def test_an_exponential_histogram_tells_of_what_was_added_since() -> None:
    deltas, found = fresh(), {}
    for second, scale, counts in ((1, 1, ["2"]), (2, 0, ["1", "3"])):
        point = at(
            second, count=str(sum(map(int, counts))), sum=9.0, scale=scale,
            positive={"offset": 0, "bucketCounts": counts}, startTimeUnixNano=str(BEGAN),
        )  # fmt: skip
        data = {"aggregationTemporality": 2, "dataPoints": [point]}
        found = values(translated(deltas, request({"name": "exp", "exponentialHistogram": data})))
    assert found["exp.count"] == 2
    assert 2 <= found["exp.p50"] <= found["exp.p99"] <= 4


def test_a_summary_tells_its_own_quantiles() -> None:
    quantiles = [{"quantile": 0.5, "value": 3.0}, {"quantile": 1.0, "value": "NaN"}]
    point = at(1, count="4", sum=8.0, quantileValues=quantiles, startTimeUnixNano=str(BEGAN))
    found = translated(fresh(), request({"name": "s", "summary": {"dataPoints": [point]}}))
    assert values(found) == {"s.count": 4, "s.sum": 8, "s.mean": 2, "s.p50": 3}


@pytest.mark.parametrize(
    ("point", "name", "reason"),
    [
        (at(0, asDouble="NaN"), "m", "not finite"),
        (at(0, asDouble="Infinity"), "m", "not finite"),
        (at(61, asDouble=1.0), "m", "more than a minute ahead of the clock here"),
        (at(0, asDouble=1.0), "", "without a name"),
        (
            at(0, asDouble=1.0, attributes={"a": "x" * 600}), "m",
            "with labels that are too long",
        ),
    ],
)  # fmt: skip
def test_one_bad_point_is_refused_and_the_others_are_taken(
    point: dict[str, Any], name: str, reason: str
) -> None:
    good = gauge(at(60, asDouble=1.0), name="good")
    found = translated(fresh(), request(gauge(point, name=name), good))
    assert found.refused == {reason: 1}
    assert found.complaint == f"1 {reason}"
    assert values(found) == {"good": 1.0}


def test_who_names_nobody_is_refused() -> None:
    found = translated(fresh(), request(gauge(at(0, asInt="1")), **{"telemetry.sdk.name": "x"}))
    assert found.refused == {"without an application or service": 1}


def test_a_repeated_point_is_refused_and_a_missing_one_is_not() -> None:
    deltas = fresh()
    point = at(1, asInt="5", startTimeUnixNano=str(BEGAN))
    translated(deltas, request(total(point)))
    assert translated(deltas, request(total(point))).refused.total() == 1
    for missing in (at(1, flags=1), at(1)):
        assert translated(deltas, request(gauge(missing))).passed == {"without a value": 1}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (at(3_600, asDouble=6.0), "more than a minute ahead of the clock here"),
        (at(2, asDouble="Infinity"), "not finite"),
        (at(2, asDouble="NaN"), "not finite"),
    ],
)
def test_a_total_that_is_refused_is_not_what_later_ones_are_compared_with(
    odd: dict[str, Any], reason: str
) -> None:
    deltas, since = fresh(), {"startTimeUnixNano": str(BEGAN)}
    translated(deltas, request(total(at(1, asDouble=5.0, **since))))
    assert translated(deltas, request(total(odd | since))).refused == {reason: 1}
    assert values(translated(deltas, request(total(at(3, asDouble=9.0, **since))))) == {"reqs": 4.0}


def test_a_histogram_whose_sum_is_no_number_is_refused_alone() -> None:
    deltas = fresh()
    for second, told, refused in ((1, "NaN", 1), (2, 4.0, 0)):
        point = at(second, count="2", sum=told, startTimeUnixNano=str(BEGAN))
        found = translated(deltas, request(histogram(point)))
        assert found.refused.total() == refused
    assert values(found)["lat.count"] == 2.0


def test_more_series_than_are_remembered_are_refused() -> None:
    points = [at(1, asInt="1", attributes={"n": str(n)}) for n in range(3)]
    found = translated(Deltas(2, BEGAN), request(total(*points)))
    assert found.refused == {"of more series than are remembered": 1}


def test_points_are_counted_whatever_their_kind() -> None:
    made = request(gauge(at(0), at(0)), histogram(at(0)), {"name": "nothing"})
    assert otlp_metrics.points_in(made) == 3


@pytest.mark.parametrize("kind", otlp_body.KINDS)
def test_both_encodings_say_the_same(kind: str) -> None:
    made = request(gauge(at(1.5, asDouble=2.5)))
    assert otlp_body.read(otlp_body.written(made, kind), kind, type(made)) == made


def test_ids_in_json_are_hexadecimal() -> None:
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    found = otlp_body.read(body, otlp_body.JSON, ExportTraceServiceRequest)
    read = found.resource_spans[0].scope_spans[0].spans[0]
    assert read.trace_id.hex() == span["traceId"]
    assert read.span_id == base64.b16decode(span["spanId"].upper())


def test_what_json_does_not_know_is_passed_over() -> None:
    body = b'{"resourceMetrics": [], "later": 1}'
    assert otlp_body.read(body, otlp_body.JSON, ExportMetricsServiceRequest) is not None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"resourceMetrics": 5}', b"\xff", b"[" * 100_000, b'"a"']
)
def test_what_is_no_json_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(otlp_body.Unreadable, match="no ExportMetricsServiceRequest"):
        otlp_body.read(body, otlp_body.JSON, ExportMetricsServiceRequest)


@given(st.binary(max_size=200), st.sampled_from(otlp_body.KINDS))
def test_no_bytes_are_a_surprise(body: bytes, kind: str) -> None:
    try:
        found = otlp_body.read(body, kind, ExportMetricsServiceRequest)
    except otlp_body.Unreadable:
        return
    translated(fresh(), found)

"""A real OpenTelemetry SDK with its own exporters over HTTP as a source."""

import logging
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import LoggingHandler as Handler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Tracer

from schemas.observing import MetricReport
from schemas.signals import LogReported, SpanReported
from tests.intake.intake_world import Served, served

RESOURCE = Resource.create(
    {
        "service.namespace": "shop",
        "service.name": "detector",
        "service.instance.id": "d-1",
        "host.name": "edge-1",
    }
)
WHO = ("shop", "", "detector", "d-1", "edge-1")
DELTA = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as made:
        yield made


def meters(world: Served, **exporter: object) -> MeterProvider:
    """Return a provider that exports only when it is flushed."""
    made = OTLPMetricExporter(
        f"{world.url}/v1/metrics", compression=Compression.Gzip, timeout=10, **exporter
    )
    reader = PeriodicExportingMetricReader(made, export_interval_millis=3_600_000)
    exponential = ExponentialBucketHistogramAggregation()
    views = [View(instrument_name="exponential", aggregation=exponential)]
    return MeterProvider([reader], resource=RESOURCE, views=views, shutdown_on_exit=False)


def newest(world: Served, metric: str) -> list[float]:
    reports = [event for event in world.sink.events if isinstance(event, MetricReport)]
    assert {(r.app, r.stage, r.service, r.instance, r.node) for r in reports} == {WHO}
    return [report.value for report in reports if report.metric == metric]


def test_totals_histograms_and_gauges_arrive_as_what_was_added(world: Served) -> None:
    provider = meters(world)
    meter = provider.get_meter("test")
    counter, level = meter.create_counter("reqs"), meter.create_up_down_counter("queue")
    plain = meter.create_histogram("lat", unit="ms")
    fine = meter.create_histogram("exponential")
    gauge = meter.create_gauge("depth")
    for more in (5, 3):
        counter.add(more, {"route": "/a"})
        level.add(more)
        gauge.set(more)
        for value in range(1, 101):
            plain.record(value)
            fine.record(value)
        assert provider.force_flush()
    assert newest(world, 'reqs{route="/a"}') == [5, 3]
    assert newest(world, "queue") == [5, 8]
    assert newest(world, "depth") == [5, 3]
    assert newest(world, "lat.count") == [100, 100]
    assert newest(world, "lat.mean") == [50.5, 50.5]
    assert newest(world, "lat.p90") == pytest.approx([90, 90], rel=0.05)
    assert newest(world, "exponential.p99") == pytest.approx([99, 99], rel=0.05)
    provider.shutdown()


def test_increments_arrive_as_they_are(world: Served) -> None:
    provider = meters(world, preferred_temporality=DELTA)
    counter = provider.get_meter("test").create_counter("reqs")
    for more in (5, 3):
        counter.add(more)
        assert provider.force_flush()
    provider.shutdown()
    assert newest(world, "reqs") == [5, 3]


@pytest.mark.parametrize("failure", ["full", "down"])
def test_what_is_refused_is_sent_again_and_counted_once(world: Served, failure: str) -> None:
    provider = meters(world)
    counter = provider.get_meter("test").create_counter("reqs")
    counter.add(5)
    getattr(world.sink, failure)()
    assert provider.force_flush()
    counter.add(3)
    assert provider.force_flush()
    assert newest(world, "reqs") == [5, 3]
    assert world.sink.tried == 3
    provider.shutdown()


def _fail(tracer: Tracer) -> None:
    with tracer.start_as_current_span("outer"):
        with tracer.start_as_current_span("inner", attributes={"route": "/a"}):
            pass
        raise ValueError("bad")


def test_spans_keep_their_trace(world: Served) -> None:
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{world.url}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("flask")
    with pytest.raises(ValueError, match="bad"):
        _fail(tracer)
    provider.shutdown()
    inner, outer = world.sink.events
    assert isinstance(inner, SpanReported)
    assert isinstance(outer, SpanReported)
    assert (inner.name, inner.trace_id, inner.parent_span_id) == (
        "inner", outer.trace_id, outer.span_id,
    )  # fmt: skip
    assert [(a.key, a.value) for a in inner.attributes] == [("route", "/a")]
    assert (outer.status, outer.exception, outer.parent_span_id) == ("error", "ValueError: bad", "")
    assert (outer.app, outer.stage, outer.service, outer.instance, outer.node) == WHO


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_logs_of_the_standard_library_arrive(world: Served) -> None:
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    exporter = OTLPLogExporter(f"{world.url}/v1/logs")
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    log = logging.getLogger("tests.intake.camera")
    handler = Handler(logger_provider=provider)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.error("core %d is hot", 3)
    log.removeHandler(handler)
    provider.shutdown()
    (event,) = world.sink.events
    assert isinstance(event, LogReported)
    assert (event.body, event.severity, event.scope) == ("core 3 is hot", "ERROR", log.name)
    assert (event.app, event.stage, event.service, event.instance, event.node) == WHO


def test_a_reader_in_memory_sees_the_same_totals(world: Served) -> None:
    """The sum of what arrived is what the SDK itself counts."""
    memory = InMemoryMetricReader()
    made = OTLPMetricExporter(f"{world.url}/v1/metrics")
    reader = PeriodicExportingMetricReader(made, export_interval_millis=3_600_000)
    provider = MeterProvider([reader, memory], resource=RESOURCE, shutdown_on_exit=False)
    counter = provider.get_meter("test").create_counter("reqs")
    for more in (1, 2, 3, 4):
        counter.add(more)
        reader.force_flush()
    (scope,) = memory.get_metrics_data().resource_metrics[0].scope_metrics
    assert sum(newest(world, "reqs")) == scope.metrics[0].data.data_points[0].value == 10
    provider.shutdown()

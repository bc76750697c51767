"""Spans of OpenTelemetry to SpanReported events: protobuf in, events out. Pure."""

from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from schemas.signals import SpanReported
from workers.intake.naming import MAX_TEXT, Names, text
from workers.intake.otlp_records import Told, taken
from workers.intake.otlp_values import Source, bounded, event_ms, hexadecimal, short, texts
from workers.intake.sampling import kept
from workers.intake.translated import AHEAD, NS_PER_MS, Terms, Translated, ahead

KINDS = ("", "internal", "server", "client", "producer", "consumer")
STATUSES = {Status.STATUS_CODE_OK: "ok", Status.STATUS_CODE_ERROR: "error"}
MAX_MESSAGE = 1_024


def points_in(request: ExportTraceServiceRequest) -> int:
    """Return how many spans a request has."""
    return sum(
        len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans
    )


def translate(request: ExportTraceServiceRequest, terms: Terms, now_ms: int) -> Translated:
    """Return the events of a request."""
    return taken(_records(request, terms.names), lambda told: _judged(told, terms, now_ms))


def _records(
    request: ExportTraceServiceRequest, names: Names
) -> Iterator[tuple[Source, str, Span]]:
    for resource in request.resource_spans:
        source = Source(names, resource.resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield source, scope.scope.name, span


def _judged(told: Told[Span], terms: Terms, now_ms: int) -> SpanReported | str | None:
    span = told.record
    wrong = _wrong(span, now_ms)
    if wrong:
        return wrong
    failed = span.status.code == Status.STATUS_CODE_ERROR
    rate = 1.0 if failed else terms.span_rate
    return _event(told, rate) if kept(rate, span.trace_id.hex()) else None


def _wrong(span: Span, now_ms: int) -> str:
    if not hexadecimal(span.trace_id, 16) or not hexadecimal(span.span_id, 8):
        return "without trace_id and span_id"
    if not span.start_time_unix_nano or span.end_time_unix_nano < span.start_time_unix_nano:
        return "that end before they begin"
    if ahead(event_ms(span.start_time_unix_nano, now_ms), now_ms):
        return AHEAD
    return ""


def _event(told: Told[Span], rate: float) -> SpanReported:
    span, about = told.record, told.about
    further, dropped = bounded(told.attributes, span.dropped_attributes_count)
    return SpanReported(
        started_at=span.start_time_unix_nano // NS_PER_MS,
        duration_ms=(span.end_time_unix_nano - span.start_time_unix_nano) / NS_PER_MS,
        app=about.app,
        stage=about.stage,
        service=about.service,
        instance=about.instance,
        node=about.node,
        name=short(span.name),
        kind=KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "",
        status=STATUSES.get(span.status.code, ""),
        status_message=text(span.status.message, MAX_MESSAGE),
        exception=_exception(span),
        scope=short(told.scope),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=hexadecimal(span.parent_span_id, 8),
        attributes=further,
        dropped_attributes=dropped,
        events=len(span.events) + span.dropped_events_count,
        links=len(span.links) + span.dropped_links_count,
        sample_rate=rate,
    )


def _exception(span: Span) -> str:
    """Return type and message of the first exception that the span recorded, or nothing."""
    for event in span.events:
        if event.name == "exception":
            told = texts(event.attributes)
            kind = text(told.get("exception.type", ""), MAX_TEXT)
            return text(f"{kind}: {told.get('exception.message', '')}", MAX_MESSAGE)
    return ""

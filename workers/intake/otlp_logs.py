"""Logs of OpenTelemetry to LogReported events: protobuf in, events out. Pure."""

from collections.abc import Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from schemas.signals import LogReported
from workers.intake.naming import Names, text
from workers.intake.otlp_records import Told, taken
from workers.intake.otlp_values import Source, as_text, bounded, event_ms, hexadecimal, short
from workers.intake.sampling import kept
from workers.intake.translated import AHEAD, Terms, Translated, ahead

MAX_BODY = 8_192
"""Longest text of a log that is kept, characters."""
ERROR = 17
"""The least severity of an error, by OpenTelemetry's numbers."""
SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def points_in(request: ExportLogsServiceRequest) -> int:
    """Return how many log records a request has."""
    return sum(
        len(scope.log_records)
        for resource in request.resource_logs
        for scope in resource.scope_logs
    )


def translate(request: ExportLogsServiceRequest, terms: Terms, now_ms: int) -> Translated:
    """Return the events of a request."""
    return taken(_records(request, terms.names), lambda told: _judged(told, terms, now_ms))


def _records(
    request: ExportLogsServiceRequest, names: Names
) -> Iterator[tuple[Source, str, LogRecord]]:
    for resource in request.resource_logs:
        source = Source(names, resource.resource)
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield source, scope.scope.name, record


def _judged(told: Told[LogRecord], terms: Terms, now_ms: int) -> LogReported | str | None:
    record, about = told.record, told.about
    when = event_ms(record.time_unix_nano or record.observed_time_unix_nano, now_ms)
    if ahead(when, now_ms):
        return AHEAD
    body = as_text(record.body)
    rate = 1.0 if record.severity_number >= ERROR else terms.log_rate
    trace = hexadecimal(record.trace_id, 16)
    if not kept(rate, trace, about.app, about.instance, record.time_unix_nano, body):
        return None
    return _event(told, when, body, rate)


def _event(told: Told[LogRecord], when: int, body: str, rate: float) -> LogReported:
    record, about = told.record, told.about
    properties, dropped = bounded(told.attributes, record.dropped_attributes_count)
    return LogReported(
        event_time=when,
        app=about.app,
        stage=about.stage,
        service=about.service,
        instance=about.instance,
        node=about.node,
        severity=_severity(record),
        severity_number=record.severity_number,
        body=text(body, MAX_BODY),
        body_length=len(body.encode("utf-8", "replace")),
        event_name=short(record.event_name),
        scope=short(told.scope),
        trace_id=hexadecimal(record.trace_id, 16),
        span_id=hexadecimal(record.span_id, 8),
        attributes=properties,
        dropped_attributes=dropped,
        sample_rate=rate,
    )


def _severity(record: LogRecord) -> str:
    """Return the level by its number, four to a level; what was said where there is none."""
    number = int(record.severity_number)
    if 1 <= number <= 4 * len(SEVERITIES):
        return SEVERITIES[(number - 1) // 4]
    return short(record.severity_text).upper()

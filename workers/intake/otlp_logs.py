"""Logs of OpenTelemetry to LogReported events: protobuf in, events out. Pure."""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from schemas.signals import LogReported
from workers.intake.naming import Who, text
from workers.intake.otlp_values import (
    Source,
    as_text,
    bounded,
    event_ms,
    hexadecimal,
    short,
    texts,
)
from workers.intake.sampling import kept
from workers.intake.translated import MAX_AHEAD_MS, Terms, Translated

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
    out = Translated()
    for resource in request.resource_logs:
        source = Source(terms.names, resource.resource)
        for scope in resource.scope_logs:
            for record in scope.log_records:
                _take(record, source, scope.scope.name, terms, now_ms, out)
    return out


def _take(
    record: LogRecord, source: Source, scope: str, terms: Terms, now_ms: int, out: Translated
) -> None:
    attributes = texts(record.attributes)
    about = source.who_of(attributes)
    when = event_ms(record.time_unix_nano or record.observed_time_unix_nano, now_ms)
    if about is None:
        out.refused["without an application or service"] += 1
    elif when > now_ms + MAX_AHEAD_MS:
        out.refused["more than a minute ahead of the clock here"] += 1
    else:
        body = as_text(record.body)
        rate = 1.0 if record.severity_number >= ERROR else terms.log_rate
        trace = hexadecimal(record.trace_id, 16)
        if kept(rate, trace, about.app, about.instance, record.time_unix_nano, body):
            out.events.append(_event(record, about, attributes, when, (scope, body, rate)))
        else:
            out.passed["sampled out"] += 1


def _event(
    record: LogRecord,
    about: Who,
    attributes: dict[str, str],
    when: int,
    further: tuple[str, str, float],
) -> LogReported:
    scope, body, rate = further
    properties, dropped = bounded(attributes, record.dropped_attributes_count)
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
        scope=short(scope),
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

"""Logs and spans of applications, as OpenTelemetry tells them, bounded and sampled.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass

from schemas.base import Event, Timestamp
from schemas.records import KeyValue


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReported(Event):
    """One line of a log."""

    event_time: Timestamp
    app: str
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    severity: str = ""
    severity_number: int = 0
    body: str = ""
    body_length: int = 0
    event_name: str = ""
    scope: str = ""
    trace_id: str = ""
    span_id: str = ""
    attributes: tuple[KeyValue, ...] = ()
    dropped_attributes: int = 0
    sample_rate: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanReported(Event):
    """One span of a trace: what was done, for whom, and how long it took."""

    started_at: Timestamp
    duration_ms: float
    app: str
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    name: str
    kind: str = ""
    status: str = ""
    status_message: str = ""
    exception: str = ""
    scope: str = ""
    trace_id: str
    span_id: str
    parent_span_id: str = ""
    attributes: tuple[KeyValue, ...] = ()
    dropped_attributes: int = 0
    events: int = 0
    links: int = 0
    sample_rate: float = 1.0

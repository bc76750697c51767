"""Views of logs and spans weigh what was sampled."""

from dataclasses import replace

from schemas.signals import LogReported, SpanReported
from tests.clickhouse.messages import store
from tests.examples import example
from workers.clickhouse import Database

SPAN = replace(example(SpanReported), app="shop", service="det", name="GET", kind="server")
LOG = replace(example(LogReported), app="shop", service="det", severity="INFO", severity_number=9)


def test_durations_count_as_often_as_they_stand_for(database: Database) -> None:
    fast = [
        replace(SPAN, duration_ms=1.0, sample_rate=0.25, status="", trace_id="fast", started_at=n)
        for n in range(2)
    ]
    slow = replace(SPAN, duration_ms=9.0, sample_rate=1.0, status="", trace_id="slow", started_at=8)
    failed = replace(slow, duration_ms=99.0, status="error", trace_id="failed", started_at=9)
    store(database, *fast, slow, failed)
    found = database.query(
        "SELECT service, name, kind, spans, estimated, error_rate, p50, p95, p99, slowest_trace, "
        "last_failed_trace FROM latency_by_span"
    )
    assert found.rows == (
        ("det", "GET", "server", 4, 10.0, 0.1, 1.0, 99.0, 99.0, "slow", "failed"),
    )


def test_lines_are_counted_by_severity(database: Database) -> None:
    info = [
        replace(LOG, body=f"line {n}", event_time=n, sample_rate=0.5, trace_id=f"{n % 2}")
        for n in range(4)
    ]
    error = replace(
        LOG, severity="ERROR", severity_number=17, body="hot", trace_id="", sample_rate=1.0
    )
    store(database, *info, error)
    found = database.query("SELECT severity, lines, estimated, traces, last_body FROM log_summary")
    assert found.rows == (("ERROR", 1, 1.0, 0, "hot"), ("INFO", 4, 8.0, 2, "line 3"))

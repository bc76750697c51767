-- How long operations take, by the spans that applications reported; a span that stands for
-- several, because of its sample rate, counts as often.
CREATE OR REPLACE VIEW latency_by_span AS
SELECT
    app,
    service,
    name,
    kind,
    count() AS spans,
    sum(1 / sample_rate) AS estimated,
    sumIf(1 / sample_rate, status = 'error') / sum(1 / sample_rate) AS error_rate,
    quantileExactWeighted(0.5)(duration_ms, toUInt64(greatest(1, round(1 / sample_rate)))) AS p50,
    quantileExactWeighted(0.95)(duration_ms, toUInt64(greatest(1, round(1 / sample_rate)))) AS p95,
    quantileExactWeighted(0.99)(duration_ms, toUInt64(greatest(1, round(1 / sample_rate)))) AS p99,
    argMaxIf(trace_id, duration_ms, status != 'error') AS slowest_trace,
    argMaxIf(trace_id, started_at, status = 'error') AS last_failed_trace,
    min(started_at) AS first_at,
    max(started_at) AS last_at,
    _cluster AS cluster
FROM spans FINAL
GROUP BY app, service, name, kind, _cluster
ORDER BY app, service, name, kind, cluster
COMMENT 'Duration of reported spans, ms, per operation, weighed by their sample rates';

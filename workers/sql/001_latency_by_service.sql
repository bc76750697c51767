-- How long services take: one row per application, service and node, answered tasks alone.
CREATE OR REPLACE VIEW latency_by_service AS
SELECT
    app,
    service,
    node,
    count() AS count,
    quantileExactInclusive(0.5)(queue_ms + execution_ms) AS p50,
    quantileExactInclusive(0.95)(queue_ms + execution_ms) AS p95,
    quantileExactInclusive(0.99)(queue_ms + execution_ms) AS p99,
    avg(queue_ms) AS mean_queue,
    avg(execution_ms) AS mean_execution,
    min(finished_at) AS first_at,
    max(finished_at) AS last_at,
    _cluster AS cluster
FROM results FINAL
WHERE status = 'ok'
GROUP BY app, service, node, _cluster
ORDER BY app, service, node, cluster
COMMENT 'Queue plus execution time of answered tasks, ms, per service and node; quantiles are exact';

-- How long services take as they run: one row per instance, variant, runtime and batch size,
-- answered tasks alone. The standard error says how sure the mean is; null for a single task.
CREATE OR REPLACE VIEW latency_by_batch AS
SELECT
    app,
    service,
    instance,
    node,
    variant,
    runtime,
    provider,
    batch_size,
    count() AS count,
    quantileExactInclusive(0.5)(execution_ms) AS p50,
    quantileExactInclusive(0.95)(execution_ms) AS p95,
    quantileExactInclusive(0.99)(execution_ms) AS p99,
    avg(execution_ms) AS mean,
    if(count() > 1, stddevSamp(execution_ms) / sqrt(count()), NULL) AS mean_error,
    avg(queue_ms) AS mean_queue,
    min(finished_at) AS first_at,
    max(finished_at) AS last_at,
    _cluster AS cluster
FROM results FINAL
WHERE status = 'ok'
GROUP BY app, service, instance, node, variant, runtime, provider, batch_size, _cluster
ORDER BY app, service, instance, node, variant, runtime, provider, batch_size, cluster
COMMENT 'Execution time of answered tasks, ms, per instance, variant and batch size; quantiles are exact'

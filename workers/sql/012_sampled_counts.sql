-- Counts and sums of sampled series, put right: one row per window of a series that a probe samples.
-- The rate is the first that was reported in or after the window, since probes report it once a second.
CREATE OR REPLACE VIEW sampled_counts AS
WITH
    closed AS
    (
        SELECT * FROM observations FINAL WHERE final
    ),
    rates AS
    (
        SELECT
            _cluster, app, stage, service, instance, node, window, window_start,
            substring(metric, 1, length(metric) - length('.sample_rate')) AS of_metric,
            mean AS sample_rate
        FROM closed
        WHERE endsWith(metric, '.sample_rate') AND mean > 0
    )
SELECT
    o.app AS app,
    o.stage AS stage,
    o.service AS service,
    o.instance AS instance,
    o.node AS node,
    o.metric AS metric,
    o.window AS window,
    o.window_start AS window_start,
    o.window_end AS window_end,
    o.count AS reported,
    r.sample_rate AS sample_rate,
    o.count / r.sample_rate AS estimated_count,
    o.mean * o.count / r.sample_rate AS estimated_sum,
    sqrt((1 - r.sample_rate) / o.count) AS relative_error,
    o._cluster AS cluster
FROM closed AS o
ASOF INNER JOIN rates AS r
    ON o._cluster = r._cluster AND o.app = r.app AND o.stage = r.stage AND o.service = r.service
    AND o.instance = r.instance AND o.node = r.node AND o.window = r.window AND o.metric = r.of_metric
    AND o.window_start <= r.window_start
WHERE o.count > 0
ORDER BY app, stage, service, instance, node, metric, window_start, cluster
COMMENT 'Counts and sums of sampled series per window, put right by the reported rate, with the standard error of the count as a share';

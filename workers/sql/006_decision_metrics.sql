-- The metric events behind each decision: the runs of decision_lineage that lie in weir.metrics,
-- joined with the metrics that stand there. A run that names a series holds that series alone.
CREATE OR REPLACE VIEW decision_metrics AS
WITH
    runs AS
    (
        SELECT DISTINCT cluster, decision_id, decision, subject, decided_at, kind, event_id, topic, partition, first_offset, last_offset, series
        FROM decision_lineage
        WHERE topic = 'weir.metrics'
    ),
    measured AS
    (
        SELECT
            *,
            arrayStringConcat([toString(app), stage, service, instance, node, metric], '/') AS full_series
        FROM metrics FINAL
        WHERE _offset >= (SELECT min(first_offset) FROM runs) AND _offset <= (SELECT max(last_offset) FROM runs)
    ),
    reached AS
    (
        SELECT r.*, m.full_series AS full_series, m.value AS value, m.event_time AS event_time, m._offset AS metric_offset
        FROM runs AS r
        INNER JOIN measured AS m
            ON m._cluster = r.cluster AND m._topic = r.topic AND m._partition = r.partition AND m.full_series = r.series
        WHERE m._offset BETWEEN r.first_offset AND r.last_offset AND r.series != ''
        UNION ALL
        SELECT r.*, m.full_series, m.value, m.event_time, m._offset
        FROM runs AS r
        INNER JOIN measured AS m
            ON m._cluster = r.cluster AND m._topic = r.topic AND m._partition = r.partition
        WHERE m._offset BETWEEN r.first_offset AND r.last_offset AND r.series = ''
    )
SELECT
    decision_id,
    any(decision) AS decision,
    any(subject) AS subject,
    any(decided_at) AS decided_at,
    kind,
    event_id,
    full_series AS series,
    count() AS metric_events,
    avg(value) AS mean,
    min(value) AS low,
    max(value) AS high,
    min(event_time) AS first_at,
    max(event_time) AS last_at,
    argMax(value, (event_time, metric_offset)) AS example_value,
    format('weir.metrics/{}/{}', toString(partition), toString(argMax(metric_offset, (event_time, metric_offset)))) AS example_at,
    cluster
FROM reached
GROUP BY cluster, decision_id, kind, event_id, full_series, partition
COMMENT 'Metric events behind each decision, per event in between and series';

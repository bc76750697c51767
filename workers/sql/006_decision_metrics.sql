-- The metric events behind each decision: the runs of decision_lineage that lie in weir.metrics,
-- joined with the metrics that stand there. A run that names a series holds that series alone.
-- Runs are cut at every 1,024th offset, so that the join meets only what is near.
CREATE OR REPLACE VIEW decision_metrics AS
WITH
    measured AS
    (
        SELECT
            _cluster,
            _topic,
            _partition,
            _offset,
            event_time,
            value,
            arrayStringConcat([toString(app), stage, service, instance, node, metric], '/') AS full_series,
            arrayJoin([full_series, '']) AS named_as,
            intDiv(_offset, 1024) AS piece
        FROM metrics FINAL
    ),
    runs AS
    (
        SELECT DISTINCT
            cluster, decision_id, decision, subject, decided_at, kind, event_id, topic, partition, first_offset, last_offset, series,
            arrayJoin(range(toUInt64(intDiv(first_offset, 1024)), toUInt64(intDiv(last_offset, 1024) + 1))) AS piece
        FROM decision_lineage
        WHERE topic = 'weir.metrics'
    ),
    reached AS
    (
        SELECT r.*, m.full_series AS full_series, m.value AS value, m.event_time AS event_time, m._offset AS metric_offset
        FROM measured AS m
        INNER JOIN runs AS r
            ON m._cluster = r.cluster AND m._topic = r.topic AND m._partition = r.partition AND m.named_as = r.series AND m.piece = r.piece
        WHERE m._offset BETWEEN r.first_offset AND r.last_offset
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

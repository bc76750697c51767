-- One row per confirmed drift: when it was warned of, and why it came about once that is known.
-- Warnings that came to nothing are in drifts, as dismissed.
CREATE OR REPLACE VIEW drift_stories AS
SELECT
    d.app AS app,
    d.stage AS stage,
    d.service AS service,
    d.instance AS instance,
    d.node AS node,
    d.metric AS metric,
    d.detector AS detector,
    d.kind AS kind,
    d.before AS before,
    d.after AS after,
    d.effect_size AS effect_size,
    d.p_value AS p_value,
    d.confidence AS confidence,
    d.since AS began_at,
    w.detected_at AS warned_at,
    d.detected_at AS confirmed_at,
    dateDiff('millisecond', d.since, d.detected_at) / 1000 AS seconds,
    if(e.event_id = '', d.cause, e.cause) AS cause,
    if(e.event_id = '', d.retrain, e.retrain) AS retrain,
    arrayMap(f -> f.feature, if(e.event_id = '', d.features, e.features)) AS moved,
    d.concept AS concept,
    d.recurs AS recurs,
    d.events AS events,
    d.sources AS sources,
    d.event_id AS drift,
    e.event_id AS explained_by,
    d._cluster AS cluster
FROM (SELECT * FROM drifts FINAL WHERE status = 'confirmed') AS d
LEFT JOIN (SELECT * FROM drifts FINAL WHERE status = 'explained') AS e
    ON e.causes[1] = d.event_id AND e._cluster = d._cluster
LEFT JOIN (SELECT event_id, _cluster, toNullable(detected_at) AS detected_at FROM drifts FINAL WHERE status = 'warning') AS w
    ON w.event_id = d.causes[1] AND w._cluster = d._cluster
ORDER BY confirmed_at, drift, cluster
COMMENT 'Each confirmed drift: what moved, since when, how sure, its kind and cause, and the events to train on';

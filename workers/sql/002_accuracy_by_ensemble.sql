-- How right each ensemble was: its answers held against the labels that came later. A request
-- that got no answer counts as unanswered, not as wrong; a label that was sent twice counts once.
CREATE OR REPLACE VIEW accuracy_by_ensemble AS
WITH
    truths AS
    (
        SELECT _cluster, app, request_id, argMax(label, (known_at, _partition, _offset)) AS truth
        FROM labels FINAL
        GROUP BY _cluster, app, request_id
    ),
    judged AS
    (
        SELECT
            r._cluster AS cluster,
            r.ensemble AS ensemble,
            r.status IN ('complete', 'partial') AS answered,
            answered AND t.request_id != '' AS known,
            known AND r.label = t.truth AS right,
            r.latency_ms AS latency_ms,
            r.deadline_met AS deadline_met
        FROM responses AS r FINAL
        LEFT ANY JOIN truths AS t
            ON t._cluster = r._cluster AND t.app = r.app AND t.request_id = r.request_id
        WHERE r.ensemble IS NOT NULL
    ),
    totals AS
    (
        SELECT
            cluster,
            assumeNotNull(ensemble) AS ensemble,
            countIf(answered) AS answers,
            countIf(NOT answered) AS unanswered,
            countIf(known) AS labelled,
            countIf(right) AS correct,
            avgIf(latency_ms, answered) AS mean_latency,
            quantileExactInclusiveIf(0.99)(latency_ms, answered) AS p99_latency,
            countIf(deadline_met) / count() AS in_time
        FROM judged
        GROUP BY cluster, ensemble
    )
SELECT
    e.app AS app,
    e.generation AS generation,
    arrayStringConcat(arrayMap(m -> m.service, arrayFilter(m -> m.role = 'member', e.members)), ', ') AS members,
    arrayStringConcat(arrayMap(m -> m.service, arrayFilter(m -> m.role != 'member', e.members)), ', ') AS shadows,
    s.answers AS answers,
    s.unanswered AS unanswered,
    s.labelled AS labelled,
    if(s.labelled > 0, s.correct / s.labelled, NULL) AS accuracy,
    e.predicted_accuracy AS predicted_accuracy,
    if(s.answers > 0, s.mean_latency, NULL) AS mean_latency,
    if(s.answers > 0, s.p99_latency, NULL) AS p99_latency,
    if(s.answers + s.unanswered > 0, s.in_time, NULL) AS in_time,
    e.selected_at AS selected_at,
    e.reason AS reason,
    e.event_id AS event_id,
    e._cluster AS cluster
FROM ensembles AS e FINAL
LEFT JOIN totals AS s ON s.cluster = e._cluster AND s.ensemble = e.event_id
WHERE NOT e._deleted
ORDER BY app, cluster, generation
COMMENT 'Answers, accuracy and latency (ms) under each selected ensemble';

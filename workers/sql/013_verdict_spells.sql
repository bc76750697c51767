-- Spells of bad quality: one row from when a verdict is raised until it is withdrawn. What belongs
-- together is told by the spell; a detector that tells none has one verdict per series at a time.
CREATE OR REPLACE VIEW verdict_spells AS
WITH
    told AS
    (
        SELECT
            *,
            verdict = 'healthy' AS good,
            sum(good) OVER
            (
                PARTITION BY _cluster, tier, rule, app, stage, service, instance, metric
                ORDER BY evaluated_at, _offset
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before
        FROM quality FINAL
    )
SELECT
    app,
    stage,
    service,
    instance,
    any(t.node) AS node,
    tier,
    rule,
    metric,
    argMinIf(t.event_id, t.evaluated_at, NOT t.good) AS raised_by,
    multiIf(countIf(t.severity = 'critical' AND NOT t.good) > 0, 'critical',
        countIf(t.severity = 'warning' AND NOT t.good) > 0, 'warning', 'info') AS worst,
    maxIf(t.score, NOT t.good) AS worst_score,
    argMinIf(t.findings[1].what, t.evaluated_at, NOT t.good) AS what,
    argMinIf(t.findings[1].observed, t.evaluated_at, NOT t.good) AS observed,
    argMinIf(t.findings[1].expected, t.evaluated_at, NOT t.good) AS expected,
    ifNull(minIf(t.since, NOT t.good), minIf(t.window_end, NOT t.good)) AS began_at,
    minIf(t.evaluated_at, NOT t.good) AS raised_at,
    if(countIf(t.good) > 0, maxIf(t.evaluated_at, t.good), NULL) AS withdrawn_at,
    dateDiff('millisecond', raised_at, ifNull(withdrawn_at, now64(3))) / 1000 AS seconds,
    countIf(NOT t.good AND t.silenced_by = '') > 0 AS told_on,
    arraySort(groupUniqArrayIf(toString(t.silenced_by), t.silenced_by != '')) AS silenced_by,
    count() AS events,
    t._cluster AS cluster
FROM told AS t
GROUP BY
    app, stage, service, instance, tier, rule, metric, cluster,
    t.spell AS spell,
    if(t.spell = '', t.before, 0) AS numbered
HAVING countIf(NOT t.good) > 0
ORDER BY raised_at, rule, spell, cluster
COMMENT 'Each spell of bad quality: what, where, how bad, since when and until when, and what silenced it';

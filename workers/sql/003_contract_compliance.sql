-- How well each clause of each contract was kept: the newest version of every contract, judged on
-- spans of the clause's own length. A span is judged when it holds enough events. Where several
-- instances or services make up what a clause names, means are exact, quantiles are means weighted
-- by count, and extremes are extremes.
CREATE OR REPLACE VIEW contract_compliance AS
WITH
    clauses AS
    (
        SELECT
            k._cluster AS cluster,
            k.contract AS contract,
            k.app AS app,
            k.consumer AS consumer,
            k.valid_from AS valid_from,
            k.valid_until AS valid_until,
            c.name AS clause,
            c.metric AS metric,
            c.statistic AS statistic,
            c.operator AS operator,
            c.threshold AS threshold,
            c.threshold + if(c.operator IN ('<', '<='), 1, -1) * abs(c.threshold) * c.tolerance AS bound,
            greatest(c.window_ms, 1) AS window_ms,
            c.min_count AS min_count,
            c.stage AS stage,
            c.service AS service
        FROM
        (
            SELECT *
            FROM contracts FINAL
            ORDER BY _timestamp DESC, _offset DESC
            LIMIT 1 BY _cluster, contract
        ) AS k
        ARRAY JOIN k.clauses AS c
        WHERE NOT k._deleted
    ),
    spans AS
    (
        SELECT
            c.cluster AS cluster,
            c.contract AS contract,
            c.clause AS clause,
            intDiv(toUnixTimestamp64Milli(o.window_start), c.window_ms) AS span,
            max(o.window_end) AS until,
            sum(o.count) AS events,
            multiIf(
                any(c.statistic) = 'count', sum(o.count),
                any(c.statistic) = 'min', min(o.min),
                any(c.statistic) = 'max', max(o.max),
                sum(o.count * multiIf(
                    c.statistic = 'p50', o.p50,
                    c.statistic = 'p90', o.p90,
                    c.statistic = 'p95', o.p95,
                    c.statistic = 'p99', o.p99,
                    o.mean)) / sum(o.count)) AS value,
            any(c.operator) AS operator,
            any(c.bound) AS bound,
            any(c.min_count) AS min_count
        FROM clauses AS c
        INNER JOIN observations AS o FINAL
            ON o._cluster = c.cluster AND o.app = c.app AND o.metric = c.metric
        WHERE o.final
            AND if(c.service != '', o.service = c.service AND c.stage IN ('', o.stage), o.stage = c.stage)
            AND (c.service != '' OR c.stage != '' OR o.service = '')
            AND (c.valid_from IS NULL OR o.window_start >= c.valid_from)
            AND (c.valid_until IS NULL OR o.window_end <= c.valid_until)
        GROUP BY c.cluster, c.contract, c.clause, span
    ),
    judged AS
    (
        SELECT
            cluster,
            contract,
            clause,
            count() AS judged,
            countIf(NOT multiIf(operator = '<', value < bound, operator = '<=', value <= bound, operator = '>', value > bound, value >= bound)) AS broken,
            argMax(value, until) AS last_value,
            max(until) AS last_at
        FROM spans
        WHERE events >= min_count
        GROUP BY cluster, contract, clause
    ),
    counted AS
    (
        SELECT _cluster AS cluster, contract, clause, countIf(status = 'violated') AS violations, argMax(status, evaluated_at) AS newest
        FROM violations FINAL
        GROUP BY _cluster, contract, clause
    )
SELECT
    c.contract AS contract,
    c.app AS app,
    c.consumer AS consumer,
    c.clause AS clause,
    format('{} of {} {} {}', c.statistic, c.metric, c.operator, toString(c.threshold)) AS promise,
    j.judged AS windows_judged,
    j.broken AS windows_broken,
    if(j.judged > 0, 1 - j.broken / j.judged, NULL) AS compliance,
    if(j.judged > 0, j.last_value, NULL) AS last_value,
    if(j.judged > 0, j.last_at, NULL) AS last_at,
    v.violations AS violations,
    v.newest = 'violated' AS violated_now,
    c.cluster AS cluster
FROM clauses AS c
LEFT JOIN judged AS j ON j.cluster = c.cluster AND j.contract = c.contract AND j.clause = c.clause
LEFT JOIN counted AS v ON v.cluster = c.cluster AND v.contract = c.contract AND v.clause = c.clause
ORDER BY contract, clause, cluster
COMMENT 'Each clause of each contract in force: windows judged and broken, share kept, newest value, violations';

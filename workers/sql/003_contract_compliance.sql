-- How well each clause of each contract was kept: the newest version of every contract, judged on
-- spans of the clause's own length, one after the other. As in the processor a clause is judged at
-- the coarsest level that reports its metric, and only where there are enough events. Where several
-- definitions of windows apply to a series, the shortest tumbling one counts, or else the first by
-- name. Where several windows make up a span, means, sums, counts, rates and extremes are exact, quantiles
-- are means weighted by count. How it went hour by hour, with error budgets, is in contract_budgets.
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
            if(c.label = '', c.metric, concat(c.metric, '.class.', c.label)) AS metric,
            c.statistic AS statistic,
            c.operator AS operator,
            c.threshold AS threshold,
            c.threshold + if(c.operator IN ('<', '<='), 1, -1) * abs(c.threshold) * c.tolerance AS bound,
            greatest(c.window_ms, 1) AS window_ms,
            c.min_count AS min_count,
            c.stage AS stage,
            c.service AS service,
            c.instance AS instance
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
    concerned AS
    (
        SELECT
            c.cluster AS cluster,
            c.contract AS contract,
            c.clause AS clause,
            c.statistic AS statistic,
            c.operator AS operator,
            c.bound AS bound,
            c.min_count AS min_count,
            intDiv(toUnixTimestamp64Milli(o.window_start), c.window_ms) AS span,
            o.window_start AS window_start,
            o.window_end AS window_end,
            o.count AS events,
            multiIf(
                c.statistic = 'min', o.min,
                c.statistic = 'max', o.max,
                c.statistic = 'p50', o.p50,
                c.statistic = 'p90', o.p90,
                c.statistic = 'p95', o.p95,
                c.statistic = 'p99', o.p99,
                o.mean) AS observed,
            (o.stage != '') + (o.service != '') + (o.instance != '') AS level,
            min(level) OVER (PARTITION BY cluster, contract, clause, span) AS coarsest,
            o.kind NOT IN ('', 'tumbling') AS other,
            (other, if(other, 0, o.window_end - o.window_start), o.window) AS definition,
            min(definition) OVER (PARTITION BY cluster, contract, clause, span, o.stage, o.service, o.instance, o.node) AS chosen
        FROM clauses AS c
        INNER JOIN observations AS o FINAL
            ON o._cluster = c.cluster AND o.app = c.app AND o.metric = c.metric
        WHERE o.final
            AND c.stage IN ('', o.stage)
            AND c.service IN ('', o.service)
            AND c.instance IN ('', o.instance)
            AND (c.valid_from IS NULL OR o.window_start >= c.valid_from)
            AND (c.valid_until IS NULL OR o.window_end <= c.valid_until)
    ),
    spans AS
    (
        SELECT
            cluster,
            contract,
            clause,
            span,
            any(operator) AS comparison,
            any(bound) AS promised,
            any(min_count) AS least,
            max(window_end) AS until,
            sum(events) AS total,
            multiIf(
                any(statistic) = 'count', total,
                any(statistic) = 'rate', total * 1000 / greatest(dateDiff('millisecond', min(window_start), max(window_end)), 1),
                any(statistic) = 'sum', sum(events * observed),
                any(statistic) = 'min', min(observed),
                any(statistic) = 'max', max(observed),
                sum(events * observed) / total) AS value
        FROM concerned
        WHERE level = coarsest AND definition = chosen
        GROUP BY cluster, contract, clause, span
    ),
    judged AS
    (
        SELECT
            cluster,
            contract,
            clause,
            count() AS judged,
            countIf(NOT multiIf(comparison = '<', value < promised, comparison = '<=', value <= promised, comparison = '>', value > promised, value >= promised)) AS broken,
            argMax(value, until) AS last_value,
            max(until) AS last_at
        FROM spans
        WHERE total >= greatest(least, 1)
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

-- Compliance of each clause over time, hour by hour: the share of what was told in the hour that was
-- ok, violated or unobserved, the windows of the clause's period that held, and the error budget at
-- the end of the hour and at its lowest. Standings are told when they change and once a minute;
-- each counts until the next one of its contract, at most three minutes, since then nobody judges.
CREATE OR REPLACE VIEW contract_budgets AS
WITH
    told AS
    (
        SELECT
            _cluster,
            contract,
            contract_version,
            app,
            consumer,
            clauses,
            evaluated_at,
            toUnixTimestamp64Milli(evaluated_at) AS begun,
            leadInFrame(begun, 1, begun + 180000) OVER
            (
                PARTITION BY _cluster, contract ORDER BY evaluated_at, _offset
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            ) AS next,
            least(next - begun, 180000) AS ms
        FROM standings FINAL
    )
SELECT
    t.contract AS contract,
    t.app AS app,
    t.consumer AS consumer,
    c.clause AS clause,
    toStartOfHour(t.evaluated_at) AS hour,
    max(t.contract_version) AS version,
    sumIf(t.ms, c.status = 'ok') / 1000 AS ok_s,
    sumIf(t.ms, c.status = 'violated') / 1000 AS violated_s,
    sumIf(t.ms, c.status = 'unobserved') / 1000 AS unobserved_s,
    if(ok_s + violated_s > 0, ok_s / (ok_s + violated_s), NULL) AS compliance,
    argMax(c.held, t.evaluated_at) AS held_of_period,
    argMax(c.judged, t.evaluated_at) AS judged_of_period,
    argMax(tuple(c.budget_left), t.evaluated_at).1 AS budget_left,
    min(c.budget_left) AS lowest_budget_left,
    argMax(c.status, t.evaluated_at) AS last_status,
    t._cluster AS cluster
FROM told AS t
ARRAY JOIN t.clauses AS c
GROUP BY contract, app, consumer, clause, hour, cluster
ORDER BY contract, clause, hour, cluster
COMMENT 'Each clause hour by hour: seconds ok, violated and unobserved, compliance, error budget left';

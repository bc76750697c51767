-- Why quality fell: a row per root cause of each diagnosis, the most plausible first, with what a
-- language model made of it. `newest` is 1 for the last diagnosis of a spell, the one that counts;
-- `ended_at` is null while the spell lasts.
CREATE OR REPLACE VIEW diagnoses AS
WITH
    told AS
    (
        SELECT
            *,
            max(if(verdict = 'degraded', evaluated_at, toDateTime64(0, 3, 'UTC'))) OVER spells AS last_at,
            maxIf(toNullable(evaluated_at), verdict = 'healthy') OVER spells AS ended_at
        FROM quality FINAL
        WHERE tier = 'diagnosis'
        WINDOW spells AS (PARTITION BY _cluster, app, spell)
    )
SELECT
    t.app AS app,
    t.spell AS spell,
    t.event_id AS diagnosis,
    t.since AS began_at,
    t.evaluated_at AS evaluated_at,
    t.evaluated_at = t.last_at AS newest,
    t.ended_at AS ended_at,
    t.severity AS severity,
    place AS rank,
    cause.kind AS kind,
    cause.name AS name,
    cause.score AS score,
    cause.since AS since,
    cause.why AS why,
    cause.evidence AS evidence,
    n.status AS narration,
    n.text AS prose,
    n.model AS model,
    t._cluster AS cluster
FROM told AS t
ARRAY JOIN t.root_causes AS cause, arrayEnumerate(t.root_causes) AS place
LEFT JOIN (SELECT * FROM narratives FINAL) AS n
    ON n._cluster = t._cluster AND n.diagnosis = t.event_id
WHERE t.verdict = 'degraded'
ORDER BY app, evaluated_at, diagnosis, rank, cluster
COMMENT 'Root causes of each diagnosis by rank, with evidence, how long the spell lasted, and its narration';

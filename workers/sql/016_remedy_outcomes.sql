-- What remedies asked for, and what came of it: one row per action that was done, recommended or
-- refused. `helped` is null while unknown, and where it was not verified; `carried_out` is false
-- where it was asked for and did not come to pass.
CREATE OR REPLACE VIEW remedy_outcomes AS
WITH
    told AS
    (
        SELECT
            _cluster, event_id, app, target, kind, status, policy, reason, helped, taken_at, causes,
            mapFromArrays(parameters.key, parameters.value) AS details
        FROM actions FINAL
        WHERE startsWith(kind, 'remedy.')
    ),
    judged AS
    (
        SELECT _cluster, details['deed'] AS deed, helped, status, reason, taken_at
        FROM told
        WHERE kind = 'remedy.verified'
    ),
    undone AS
    (
        SELECT _cluster, details['deed'] AS deed, argMax(status, taken_at) AS outcome, max(taken_at) AS at
        FROM told
        WHERE kind = 'remedy.undone'
        GROUP BY _cluster, deed
    )
SELECT
    t.taken_at AS asked_at,
    t.app AS app,
    t.policy AS remedy,
    substring(t.kind, length('remedy.') + 1) AS action,
    t.target AS target,
    t.status AS status,
    t.reason AS reason,
    t.details['finding'] AS finding,
    if(j.deed = '', NULL, j.status != 'failed') AS carried_out,
    if(j.deed = '', NULL, j.helped) AS helped,
    if(j.deed = '', NULL, j.taken_at) AS verified_at,
    j.reason AS verdict,
    if(u.outcome = 'done', u.at, NULL) AS undone_at,
    t.causes AS causes,
    t.event_id AS event_id,
    t._cluster AS cluster
FROM told AS t
LEFT JOIN judged AS j ON j._cluster = t._cluster AND j.deed = t.event_id
LEFT JOIN undone AS u ON u._cluster = t._cluster AND u.deed = t.event_id
WHERE t.kind NOT IN ('remedy.verified', 'remedy.undone', 'remedy.ended')
ORDER BY asked_at DESC, app, remedy
COMMENT 'What remedies asked for, whether it was carried out and helped, and whether it was undone';

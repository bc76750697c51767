-- From each decision back through its causes to the runs of raw events behind them. `depth` 0 is
-- the decision itself, `parent_id` the event that `event_id` helped to cause. An event with
-- several runs has a row for each, one with none a row with an empty topic.
CREATE OR REPLACE VIEW decision_lineage AS
WITH RECURSIVE
    walk AS
    (
        SELECT
            cluster,
            event_id AS decision_id,
            kind AS decision,
            subject AS decided_on,
            time AS decided_at,
            0 AS depth,
            '' AS parent_id,
            event_id AS reached,
            causes AS behind
        FROM provenance
        WHERE kind IN ('EnsembleSelected', 'PlacementDecided', 'ActionTaken')
        UNION ALL
        SELECT
            w.cluster,
            w.decision_id,
            w.decision,
            w.decided_on,
            w.decided_at,
            w.depth + 1,
            w.reached,
            p.event_id,
            p.causes
        FROM
        (
            SELECT DISTINCT cluster, decision_id, decision, decided_on, decided_at, depth, reached, arrayJoin(behind) AS cause
            FROM walk
            WHERE depth < 16
        ) AS w
        INNER JOIN provenance AS p ON p.cluster = w.cluster AND p.event_id = w.cause
    )
SELECT
    l.decision_id AS decision_id,
    l.decision AS decision,
    l.decided_on AS subject,
    l.decided_at AS decided_at,
    l.depth AS depth,
    p.kind AS kind,
    p.event_id AS event_id,
    l.parent_id AS parent_id,
    p.time AS time,
    p.summary AS summary,
    s.topic AS topic,
    s.partition AS partition,
    s.first AS first_offset,
    s.last AS last_offset,
    s.series AS series,
    l.cluster AS cluster
FROM (SELECT DISTINCT cluster, decision_id, decision, decided_on, decided_at, depth, parent_id, reached FROM walk) AS l
INNER JOIN provenance AS p ON p.cluster = l.cluster AND p.event_id = l.reached
LEFT ARRAY JOIN p.sources AS s
COMMENT 'Each decision (ensemble, placement, action) walked back through its causes to offsets of raw events';

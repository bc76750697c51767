-- Each refused message with what people have done about it. `state` is open, retried or discarded;
-- a message that several readers refused is one row, and counts as settled with the last deed.
CREATE OR REPLACE VIEW dead_letter_cases AS
SELECT
    l._cluster AS cluster,
    l.event_id AS id,
    l.topic AS topic,
    l.partition AS partition,
    l.offset AS offset,
    l.error AS error,
    l.field AS field,
    l.message AS message,
    l.length AS length,
    l.detected_at AS detected_at,
    multiIf(d.deeds = 0, 'open', d.last_kind = 'deadletter.retried', 'retried', 'discarded') AS state,
    d.deeds AS deeds,
    d.last_reason AS reason,
    if(d.deeds = 0, NULL, d.last_at) AS settled_at
FROM dead_letters AS l FINAL
LEFT JOIN
(
    SELECT
        _cluster,
        substring(target, length('deadletter/') + 1) AS letter,
        count() AS deeds,
        argMax(toString(kind), taken_at) AS last_kind,
        argMax(reason, taken_at) AS last_reason,
        max(taken_at) AS last_at
    FROM actions FINAL
    WHERE kind IN ('deadletter.retried', 'deadletter.discarded')
    GROUP BY _cluster, letter
) AS d ON d._cluster = l._cluster AND d.letter = l.event_id
ORDER BY detected_at DESC, topic, partition, offset
COMMENT 'Refused messages, and whether they are open, were retried or discarded, and why';

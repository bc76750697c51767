-- What was refused, where and why; several readers of a topic refuse a message once.
CREATE OR REPLACE VIEW dead_letter_summary AS
SELECT
    topic,
    error,
    field,
    count() AS count,
    arrayStringConcat(arraySort(groupUniqArray(toString(processor))), ', ') AS processors,
    argMax(message, detected_at) AS message,
    argMax(format('{}/{}/{}', topic, toString(partition), toString(offset)), detected_at) AS example_at,
    argMax(length, detected_at) AS example_length,
    min(timestamp) AS first_at,
    max(timestamp) AS last_at
FROM dead_letters FINAL
GROUP BY topic, error, field
ORDER BY count DESC, topic, error, field
COMMENT 'Messages that could not be processed, by topic, kind of error and field';

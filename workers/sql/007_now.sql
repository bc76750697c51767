-- The newest word of every instance and node, and whether it still counts.
CREATE OR REPLACE VIEW service_health AS
SELECT
    service,
    app,
    instance,
    node,
    worker,
    multiIf(health = 'stopped', 'stopped', expired, 'expired', toString(health)) AS state,
    health,
    expires_at < now64(3) AS expired,
    message,
    queued,
    queue_ms,
    model_version,
    heartbeat,
    expires_at,
    _cluster AS cluster
FROM
(
    SELECT *
    FROM instances FINAL
    ORDER BY _timestamp DESC, _offset DESC
    LIMIT 1 BY instance
)
WHERE NOT _deleted
ORDER BY app, service, node, instance
COMMENT 'Newest report of each instance; state is its health, or expired when its heartbeat is overdue';
CREATE OR REPLACE VIEW cluster_now AS
SELECT
    n.node AS node,
    n.zone AS zone,
    if(n.expired, 'unknown', toString(n.status)) AS state,
    n.status AS status,
    n.expired AS expired,
    n.message AS message,
    i.ready AS ready_instances,
    i.services AS services,
    n.cpu_milli AS cpu_milli,
    n.cpu_used_milli AS cpu_used_milli,
    n.memory_mib AS memory_mib,
    n.memory_used_mib AS memory_used_mib,
    length(n.gpus) AS gpus,
    n.speed AS speed,
    n.heartbeat AS heartbeat,
    n.expires_at AS expires_at,
    n._cluster AS cluster
FROM
(
    SELECT *, expires_at < now64(3) AS expired
    FROM nodes FINAL
    ORDER BY _timestamp DESC, _offset DESC
    LIMIT 1 BY node
) AS n
LEFT JOIN
(
    SELECT
        node,
        countIf(state = 'ready') AS ready,
        arrayStringConcat(arraySort(groupUniqArrayIf(toString(service), state = 'ready')), ', ') AS services
    FROM service_health
    GROUP BY node
) AS i ON i.node = n.node
WHERE NOT n._deleted
ORDER BY node
COMMENT 'Newest report of each node, with the services that are ready on it; expired nodes are unknown';

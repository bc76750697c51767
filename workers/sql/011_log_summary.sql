-- What applications log, by severity, with the newest line as an example.
CREATE OR REPLACE VIEW log_summary AS
SELECT
    app,
    service,
    severity,
    count() AS lines,
    sum(1 / sample_rate) AS estimated,
    uniqExactIf(trace_id, trace_id != '') AS traces,
    argMax(body, event_time) AS last_body,
    min(event_time) AS first_at,
    max(event_time) AS last_at,
    _cluster AS cluster
FROM logs FINAL
GROUP BY app, service, severity, _cluster
ORDER BY app, service, max(severity_number) DESC, cluster
COMMENT 'Logged lines per service and severity, weighed by their sample rates';

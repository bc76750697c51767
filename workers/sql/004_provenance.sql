-- Every derived event with what it was derived from: ids of events in `causes`, offsets of raw
-- events in `sources`. A decision without causes answers to the catalogue as it stood then.
CREATE OR REPLACE VIEW provenance AS
SELECT
    _cluster AS cluster,
    event_id,
    'Observation' AS kind,
    toString(app) AS app,
    arrayStringConcat(arrayFilter(p -> p != '', [stage, service, instance, node]), '/') AS subject,
    window_end AS time,
    format('{} of {} over {} events: mean {}, p95 {}', metric, if(subject = '', app, subject), toString(count), toString(round(mean, 4)), toString(round(p95, 4))) AS summary,
    CAST([], 'Array(String)') AS causes,
    sources
FROM observations FINAL
UNION ALL
SELECT
    _cluster,
    event_id,
    'DriftDetected',
    app,
    arrayStringConcat(arrayFilter(p -> p != '', [stage, service, instance, node]), '/'),
    detected_at,
    format('{} drift of {} of {} {} by {}: {} to {} since {}', kind, metric, coalesce(nullIf(arrayStringConcat(arrayFilter(p -> p != '', [stage, service, instance, node]), '/'), ''), app), status, detector, toString(round(before, 4)), toString(round(after, 4)), toString(since)),
    causes,
    sources
FROM drifts FINAL
UNION ALL
SELECT
    _cluster,
    event_id,
    'QualityEvaluated',
    app,
    arrayStringConcat(arrayFilter(p -> p != '', [stage, service, instance]), '/'),
    evaluated_at,
    format('{} {} by rule {}: {} {}', metric, verdict, rule, severity, toString(round(score, 4))),
    causes,
    []
FROM quality FINAL
UNION ALL
SELECT
    _cluster,
    event_id,
    'ContractViolated',
    app,
    format('{}/{}', contract, clause),
    evaluated_at,
    format('{} {}: {} is {}, promised {} {}', clause, status, metric, toString(round(observed, 4)), operator, toString(threshold)),
    causes,
    []
FROM violations FINAL
UNION ALL
SELECT
    _cluster,
    event_id,
    'EnsembleSelected',
    app,
    app,
    selected_at,
    format('generation {}: {}; {}', toString(generation), arrayStringConcat(arrayMap(m -> if(m.role = 'member', m.service, format('{} ({})', m.service, m.role)), members), ', '), reason),
    causes,
    if(empty(causes), catalogue, [])
FROM ensembles FINAL
WHERE NOT _deleted
UNION ALL
SELECT
    _cluster,
    event_id,
    'PlacementRequested',
    app,
    subject,
    requested_at,
    format('{} asks for {}: {}', kind, arrayStringConcat(arrayMap(s -> format('{} x {}', toString(s.replicas), s.service), demands), ', '), reason),
    causes,
    []
FROM placement_requests FINAL
UNION ALL
SELECT
    _cluster,
    event_id,
    'PlacementDecided',
    app,
    service,
    decided_at,
    format('generation {} {}: {}; {}', toString(generation), status, if(empty(assignments), 'nowhere', arrayStringConcat(arrayMap(a -> a.node, assignments), ', ')), reason),
    causes,
    if(empty(causes), catalogue, [])
FROM placements FINAL
WHERE NOT _deleted
UNION ALL
SELECT
    _cluster,
    event_id,
    'DeploymentObserved',
    app,
    service,
    observed_at,
    format('generation {} {}: {} of {} ready; {}', toString(generation), phase, toString(ready), toString(desired), message),
    causes,
    []
FROM deployments FINAL
WHERE NOT _deleted
UNION ALL
SELECT
    _cluster,
    event_id,
    'ActionTaken',
    '',
    target,
    taken_at,
    format('{} {} by {}: {}', kind, status, policy, reason),
    causes,
    []
FROM actions FINAL
COMMENT 'Every derived event with the events (causes) and the offsets (sources) it was derived from';

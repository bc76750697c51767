"""What the demonstration asks of SQL: nothing is known here that a user could not ask as well."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

Rows = list[dict[str, Any]]
Ask = Callable[[str, Mapping[str, Any]], Rows]
"""Runs a query with parameters and returns its rows by column name.

It adds the parameters `cluster` and `began`, ms: a database that is kept holds the runs of many,
and a cluster that is kept those before.
"""

_RUN = "_cluster = {cluster:String} AND _timestamp >= fromUnixTimestamp64Milli({began:Int64})"
_MINE = f"{_RUN} AND app = {{app:String}}"


def _query(text: str) -> str:
    return Template(text).substitute(mine=_MINE, run=_RUN)


ANSWERS = _query("""
SELECT toUnixTimestamp64Milli(r.created_at) AS at, r.generation AS generation, r.status AS status,
       r.latency_ms AS latency_ms, l.request_id != '' AS labelled,
       ifNull(r.label, '') = l.label AS right
FROM weir.responses AS r FINAL
LEFT JOIN (
    SELECT request_id, label FROM weir.labels FINAL WHERE $run
) AS l ON l.request_id = r.request_id
WHERE $mine ORDER BY at""")

ENSEMBLES = _query("""
SELECT toUnixTimestamp64Milli(selected_at) AS at, generation, reason,
       arraySort(arrayMap(m -> tupleElement(m, 'service'),
                 arrayFilter(m -> tupleElement(m, 'role') = 'member', members))) AS voters,
       arraySort(arrayMap(m -> tupleElement(m, 'service'),
                 arrayFilter(m -> tupleElement(m, 'role') = 'shadow', members))) AS shadows
FROM weir.ensembles FINAL WHERE $mine ORDER BY generation""")

DECISIONS = _query("""
SELECT toUnixTimestamp64Milli(at) AS at, kind, text FROM (
    SELECT detected_at AS at, 'drift' AS kind,
           concat(metric, ' of ', if(service = '', app, service), ' went from ',
                  toString(round(before, 2)), ' to ', toString(round(after, 2)),
                  ' (', d.kind, ')') AS text
    FROM weir.drifts AS d FINAL WHERE $mine AND status = 'confirmed'
    UNION ALL
    SELECT evaluated_at AS at, 'contract' AS kind,
           concat(clause, ' ', status, ': ', toString(round(observed, 3)), ', wanted ', operator,
                  ' ', toString(threshold)) AS text
    FROM weir.violations FINAL WHERE $mine
    UNION ALL
    SELECT selected_at AS at, 'ensemble' AS kind,
           concat('generation ', toString(generation), ': ', arrayStringConcat(arrayMap(
                  m -> concat(tupleElement(m, 'service'),
                              if(tupleElement(m, 'role') = 'shadow', ' (shadow)', '')),
                  members), ', '), ' because ', reason) AS text
    FROM weir.ensembles FINAL WHERE $mine
    UNION ALL
    SELECT decided_at AS at, 'placement' AS kind,
           concat(service, ' ', status, if(empty(assignments), '', concat(' on ',
                  arrayStringConcat(arrayMap(a -> tupleElement(a, 'node'), assignments), ', '))),
                  ': ', reason) AS text
    FROM weir.placements FINAL WHERE $mine
    UNION ALL
    SELECT taken_at AS at, 'action' AS kind, concat(a.kind, ' ', target, ': ', reason) AS text
    FROM weir.actions AS a FINAL WHERE $run
) ORDER BY at""")

SERVICES = _query("""
SELECT service, node, count() AS results, countIf(status != 'ok') AS not_ok,
       quantile(0.5)(queue_ms + execution_ms) AS p50,
       quantile(0.95)(queue_ms + execution_ms) AS p95,
       quantile(0.99)(queue_ms + execution_ms) AS p99,
       toUnixTimestamp64Milli(min(finished_at)) AS first,
       toUnixTimestamp64Milli(max(finished_at)) AS last
FROM weir.results FINAL WHERE $mine
GROUP BY service, node ORDER BY service, node""")

ACCURACIES = _query("""
SELECT service, argMax(mean, window_end) AS accuracy, max(window_end) AS at
FROM weir.observations FINAL
WHERE $mine AND metric = 'accuracy' GROUP BY service""")

COUNTS = _query("""
SELECT (SELECT count() FROM weir.requests FINAL WHERE $mine) AS requests,
       (SELECT uniqExact(request_id) FROM weir.responses FINAL WHERE $mine)
           AS responses,
       (SELECT count() FROM weir.drifts FINAL
        WHERE $mine AND status = 'confirmed') AS drifts,
       (SELECT count() FROM weir.violations FINAL
        WHERE $mine AND status = 'violated') AS violations,
       (SELECT count() FROM weir.ensembles FINAL WHERE $mine) AS ensembles,
       (SELECT count() FROM weir.placements FINAL WHERE $mine) AS placements,
       (SELECT count() FROM weir.dead_letters FINAL
        WHERE $run) AS deadletters""")

PROGRESS = _query("""
SELECT (SELECT count() FROM weir.requests FINAL WHERE $mine) AS requests,
       (SELECT uniqExact(request_id) FROM weir.responses FINAL WHERE $mine) AS responses,
       (SELECT count() FROM weir.observations FINAL WHERE $mine) AS observations,
       (SELECT toUnixTimestamp64Milli(max(window_end)) FROM weir.observations FINAL
        WHERE $mine AND metric = 'accuracy' AND service = '') AS judged_until""")

FIRST_DRIFT = _query("""
SELECT toUnixTimestamp64Milli(min(detected_at)) AS at FROM weir.drifts FINAL
WHERE $mine AND status = 'confirmed'
  AND toUnixTimestamp64Milli(detected_at) >= {since:Int64}""")


@dataclass(frozen=True, slots=True)
class Selection:
    """One ensemble: when it was selected (ms), its generation, members and shadows, and why."""

    at: int
    generation: int
    members: tuple[str, ...]
    shadows: tuple[str, ...]
    reason: str


def selections(ask: Ask, app: str) -> list[Selection]:
    """Return all ensembles of an application, oldest first."""
    return [
        Selection(
            at=row["at"],
            generation=row["generation"],
            members=tuple(row["voters"]),
            shadows=tuple(row["shadows"]),
            reason=row["reason"],
        )
        for row in ask(ENSEMBLES, {"app": app})
    ]

"""What SQL shows of a page of the ledger: tables FINAL, as a user asks them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from streams.bench.ledger import Found, Place, Window
from streams.bench.ledger_app import AGENT, NODE
from workers.clickhouse import Database

_OF_PAGE = """(
    startsWith(assumeNotNull(request_id), {page:String} || '/')
    OR request_id IN (
        SELECT request_id FROM requests
        WHERE _cluster = {cluster:String} AND startsWith(idempotency_key, {page:String} || '/')
    )
)"""
"""Calls over HTTP have ids that are made of their keys."""
_METRICS = """
SELECT assumeNotNull(request_id) AS id, count() AS times FROM metrics FINAL
WHERE _cluster = {cluster:String} AND instance = {page:String} AND request_id != '' GROUP BY id
"""
_RESPONSES = f"""
SELECT request_id AS id, count() AS times, max(toUnixTimestamp64Milli(answered_at)) AS answered
FROM responses FINAL
WHERE _cluster = {{cluster:String}} AND {_OF_PAGE} GROUP BY id
"""  # noqa: S608 - made of constants
_LATENCIES = f"""
SELECT assumeNotNull(request_id) AS id, count() AS times FROM metrics FINAL
WHERE _cluster = {{cluster:String}} AND metric = 'response_latency' AND {_OF_PAGE} GROUP BY id
"""  # noqa: S608 - made of constants
_WINDOWS = """
SELECT toString(metric) AS series, toUnixTimestamp64Milli(window_start) AS start,
    sum(count) AS events, sum(late_count) AS late
FROM observations FINAL
WHERE _cluster = {cluster:String} AND instance = {page:String} AND final GROUP BY series, start
"""
_TOLD = """
SELECT arrayFirst(p -> p.key = 'series', parameters).value AS series,
    sum(toInt64(arrayFirst(p -> p.key = 'count', parameters).value)) AS late
FROM actions FINAL
WHERE _cluster = {cluster:String} AND kind = 'metrics.late' AND position(series, {page:String}) > 0
GROUP BY series
"""
_LETTERS = """
SELECT toString(topic) AS name, partition, offset, count() AS times FROM dead_letters FINAL
WHERE _cluster = {cluster:String} GROUP BY name, partition, offset
"""
_STATUSES = f"""
SELECT toString(status) AS status, count() AS times FROM responses FINAL
WHERE _cluster = {{cluster:String}} AND {_OF_PAGE} GROUP BY status
"""  # noqa: S608 - made of constants
_NOTICES = """
SELECT arrayJoin(causes) AS id, groupArray(toUnixTimestamp64Milli(taken_at)) AS instants
FROM actions FINAL
WHERE _cluster = {cluster:String} AND kind = 'notify.sent' AND app = {page:String} GROUP BY id
"""
_NARRATIVES = """
SELECT diagnosis AS id, groupArray(toUnixTimestamp64Milli(narrated_at)) AS instants
FROM narratives FINAL
WHERE _cluster = {cluster:String} AND status = 'told' AND app = {page:String} GROUP BY id
"""
_READINGS = """
SELECT toString(metric) AS id, groupArray(toUnixTimestamp64Milli(event_time)) AS instants
FROM metrics FINAL WHERE _cluster = {cluster:String} AND instance = {agent:String} GROUP BY id
"""
_HEARTBEATS = """
SELECT groupArray(toUnixTimestamp64Milli(heartbeat)) AS instants FROM nodes FINAL
WHERE _cluster = {cluster:String} AND node = {node:String} AND status = 'ready'
"""
_NEWEST = """
SELECT uniqExact(metric) AS series FROM metrics
WHERE _cluster = {cluster:String} AND instance = {page:String}
    AND event_time >= fromUnixTimestamp64Milli({since:Int64})
"""
_NEW_WINDOWS = """
SELECT uniqExact(metric) AS series FROM observations
WHERE _cluster = {cluster:String} AND instance = {page:String}
    AND window_start >= fromUnixTimestamp64Milli({since:Int64})
"""


class Books:
    """The tables of a cluster's events; its methods raise as `Database.query` does."""

    def __init__(self, database: Database, cluster: str) -> None:
        self._database = database
        self._cluster = cluster

    def found(self, page: str, repeated: Mapping[str, int]) -> Found:
        """Return what there is of a page; `repeated` is what Kafka itself shows twice."""
        windows: dict[Window, int] = {}
        late: Counter[str] = Counter()
        for row in self._rows(_WINDOWS, page):
            windows[row["series"], row["start"]] = row["events"]
            late[row["series"]] += row["late"]
        for row in self._rows(_TOLD, page):
            late[row["series"].rpartition("/")[2]] += row["late"]
        responses = self._rows(_RESPONSES, page)
        (heartbeats,) = self._rows(_HEARTBEATS, page, node=NODE)
        return Found(
            metrics=self._times(_METRICS, page),
            responses={row["id"]: row["times"] for row in responses},
            latencies=self._times(_LATENCIES, page),
            windows=windows,
            late=late,
            letters=self._letters(page),
            repeated=repeated,
            answered={row["id"]: row["answered"] for row in responses},
            outcomes=self._instants(_NOTICES, page) | self._instants(_NARRATIVES, page),
            readings=self._instants(_READINGS, page, agent=AGENT),
            ready=heartbeats["instants"],
        )

    def statuses(self, page: str) -> dict[str, int]:
        """Return how many requests of a page were answered with each status."""
        return {row["status"]: row["times"] for row in self._rows(_STATUSES, page)}

    def series_since(self, page: str, since_ms: int) -> int:
        """Return of how many series there are metrics of that instant (ms) or later."""
        return self._series(_NEWEST, page, since_ms)

    def windows_since(self, page: str, since_ms: int) -> int:
        """Return of how many series there are windows that began at that instant (ms) or later."""
        return self._series(_NEW_WINDOWS, page, since_ms)

    def _series(self, sql: str, page: str, since_ms: int) -> int:
        (row,) = self._rows(sql, page, since=since_ms)
        return int(row["series"])

    def _times(self, sql: str, page: str) -> dict[str, int]:
        return {row["id"]: row["times"] for row in self._rows(sql, page)}

    def _instants(self, sql: str, page: str, **more: str) -> dict[str, list[int]]:
        return {row["id"]: row["instants"] for row in self._rows(sql, page, **more)}

    def _letters(self, page: str) -> dict[Place, int]:
        rows: Iterable[dict[str, Any]] = self._rows(_LETTERS, page)
        return {(row["name"], row["partition"], row["offset"]): row["times"] for row in rows}

    def _rows(self, sql: str, page: str, **more: Any) -> list[dict[str, Any]]:
        told = {"cluster": self._cluster, "page": page, **more}
        return self._database.query(sql, told).records()

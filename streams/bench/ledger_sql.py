"""What SQL shows of a page of the ledger: tables FINAL, as a user asks them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from streams.bench.ledger import Found, Place, Window
from workers.clickhouse import Database

_METRICS = """
SELECT assumeNotNull(request_id) AS id, count() AS times FROM metrics FINAL
WHERE _cluster = {cluster:String} AND instance = {page:String} AND request_id != '' GROUP BY id
"""
_RESPONSES = """
SELECT request_id AS id, count() AS times FROM responses FINAL
WHERE _cluster = {cluster:String} AND startsWith(request_id, {page:String} || '/') GROUP BY id
"""
_LATENCIES = """
SELECT assumeNotNull(request_id) AS id, count() AS times FROM metrics FINAL
WHERE _cluster = {cluster:String} AND metric = 'response_latency'
    AND startsWith(assumeNotNull(request_id), {page:String} || '/')
GROUP BY id
"""
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
_STATUSES = """
SELECT toString(status) AS status, count() AS times FROM responses FINAL
WHERE _cluster = {cluster:String} AND startsWith(request_id, {page:String} || '/') GROUP BY status
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
        return Found(
            metrics=self._times(_METRICS, page),
            responses=self._times(_RESPONSES, page),
            latencies=self._times(_LATENCIES, page),
            windows=windows,
            late=late,
            letters=self._letters(page),
            repeated=repeated,
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

    def _letters(self, page: str) -> dict[Place, int]:
        rows: Iterable[dict[str, Any]] = self._rows(_LETTERS, page)
        return {(row["name"], row["partition"], row["offset"]): row["times"] for row in rows}

    def _rows(self, sql: str, page: str, **more: Any) -> list[dict[str, Any]]:
        told = {"cluster": self._cluster, "page": page, **more}
        return self._database.query(sql, told).records()

"""What ClickHouse tells of how services perform, batch size by batch size."""

from typing import Any

from workers.clickhouse import Database

_BATCHES = """
SELECT service, instance, node, variant, runtime, provider, batch_size AS batch, count AS results,
       p50 AS p50_ms, p95 AS p95_ms, p99 AS p99_ms, mean AS mean_ms, mean_error AS mean_error_ms,
       mean_queue AS mean_queue_ms
FROM latency_by_batch
WHERE app = {app:String} AND {cluster:String} IN ('', cluster)
ORDER BY service, node, instance, variant, runtime, provider, batch
"""


def batches(database: Database, cluster: str, app: str) -> list[dict[str, Any]]:
    """Return how long the services of an application take to execute, ms: exact quantiles.

    One row for each instance, variant, runtime and batch size; the standard error of the mean is
    None for a single result.
    """
    return database.query(_BATCHES, {"app": app, "cluster": cluster}).records()

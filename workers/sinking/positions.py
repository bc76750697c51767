"""Where the sink goes on: after the highest offset of each partition that ClickHouse holds."""

from schemas.topics import TASKS_PREFIX, TOPICS, home_of
from workers.clickhouse import Database
from workers.sinking.tables import tables

Place = tuple[str, int]
"""A topic and a partition of it."""
_NOT_STORED = frozenset({"weir.snapshots"})


def is_stored(topic: str) -> bool:
    """Tell whether the events of a topic are kept."""
    return (topic in TOPICS and topic not in _NOT_STORED) or topic.startswith(TASKS_PREFIX)


def positions(database: Database, cluster: str) -> dict[Place, int]:
    """Return the next offset to store per partition of a cluster; absent ones begin at 0.

    Topics whose events stand in several tables always begin at 0: one table's highest offset says
    nothing about another's, they are small, and repeats are one row. Raises ClickHouseRefused,
    ClickHouseUnavailable.
    """
    alone = [t.name for event, t in tables().items() if len(home_of(event).events) == 1]
    highest = "SELECT toString(_topic), _partition, max(_offset) + 1"
    where = "WHERE _cluster = {cluster:String} GROUP BY _topic, _partition"
    parts = (f"{highest} FROM `{name}` {where}" for name in alone)
    found = database.query(" UNION ALL ".join(parts), {"cluster": cluster})
    return {(topic, partition): following for topic, partition, following in found.rows}

"""Which offsets a table holds, as runs without a gap, so that only what is missing is inserted.

Offsets are asked for in windows: a table of many millions is never held here at once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workers.clickhouse import Database
from workers.sinking.tables import PLACE, Table

WINDOW = 1_000_000
_RUNS = """
SELECT min(o), max(o) FROM (
  SELECT o, o - row_number() OVER (ORDER BY o) AS run FROM (
    SELECT DISTINCT _offset AS o FROM `{table}`
    WHERE _cluster = {{cluster:String}} AND _topic = {{topic:String}}
      AND _partition = {{partition:Int32}} AND _offset >= {{low:Int64}} AND _offset < {{high:Int64}}
  )
) GROUP BY run ORDER BY 1
"""
_EVENTS = """
SELECT event_id, max({version}) FROM `{table}`
WHERE _cluster = {{cluster:String}} AND event_id IN {{ids:Array(String)}}
GROUP BY event_id
"""


@dataclass(frozen=True, slots=True)
class _Runs:
    """The offsets held from `low` on, up to `low` + WINDOW: the first and last of each run."""

    low: int
    firsts: NDArray[Any]
    lasts: NDArray[Any]

    def hold(self, offsets: NDArray[Any]) -> NDArray[Any]:
        at = np.searchsorted(self.firsts, offsets, side="right") - 1
        held: NDArray[Any] = (
            (at >= 0) & (self.lasts[at] >= offsets) if self.firsts.size else at >= 0
        )
        return held


class Held:
    """What the tables hold of one cluster."""

    def __init__(self, database: Database, cluster: str) -> None:
        self._database = database
        self._cluster = cluster
        self._known: dict[tuple[str, str, int], _Runs] = {}

    def missing(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that a table does not hold, by their place and, if derived, their id.

        A derived event may stand on a topic twice, and its table keeps it once. Raises
        ClickHouseRefused, ClickHouseUnavailable.
        """
        parts = [
            part.filter(~self._holds(table, str(topic), int(partition), part["_offset"]))
            for (topic, partition), part in frame.group_by(
                "_topic", "_partition", maintain_order=True
            )
        ]
        found = pl.concat(parts) if parts else frame
        if table.order[-1] in PLACE or not found.height:
            return found
        return self._unknown(table, found)

    def _unknown(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose event the table does not hold, in this revision or a later one."""
        version = table.version or "0"
        sql = _EVENTS.format(table=table.name, version=version)
        given = {"cluster": self._cluster, "ids": frame["event_id"].unique().to_list()}
        newest = {str(name): int(held) for name, held in self._database.query(sql, given).rows}
        revisions = frame[version].to_list() if table.version else [0] * frame.height
        pairs = zip(frame["event_id"].to_list(), revisions, strict=True)
        return frame.filter([newest.get(name, -1) < revision for name, revision in pairs])

    def _holds(self, table: Table, topic: str, partition: int, offsets: pl.Series) -> pl.Series:
        held = np.zeros(len(offsets), dtype=bool)
        numbers = offsets.to_numpy()
        lows = numbers // WINDOW * WINDOW
        for low in np.unique(lows):
            mine = lows == low
            held[mine] = self._runs(table, topic, partition, int(low)).hold(numbers[mine])
        return pl.Series(held)

    def _runs(self, table: Table, topic: str, partition: int, low: int) -> _Runs:
        key = (table.name, topic, partition)
        known = self._known.get(key)
        if known is None or known.low != low:
            given = {
                "cluster": self._cluster,
                "topic": topic,
                "partition": partition,
                "low": low,
                "high": low + WINDOW,
            }
            rows = self._database.query(_RUNS.format(table=table.name), given).rows
            pairs = np.array(rows, dtype=np.int64).reshape(-1, 2)
            known = self._known[key] = _Runs(low, pairs[:, 0], pairs[:, 1])
        return known

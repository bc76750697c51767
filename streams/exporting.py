"""Observations from ClickHouse into a file, page by page: memory is bounded by a page.

A page is what follows the last row of the page before, in the order of window end and event id, so
that nothing is told twice or left out while the sink writes on behind.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from streams.errors import StreamsError
from workers.clickhouse import Database

PAGE = 20_000
_TEXT = ("app", "stage", "service", "instance", "node", "metric", "unit", "window", "kind")
_NUMBERS = ("count", "mean", "std", "min", "max", "p50", "p90", "p95", "p99", "rate")
_MORE = ("first", "last", "distinct", "late_count", "revision", "emitted_at", "event_id")
COLUMNS = (*_TEXT, "window_start", "window_end", *_NUMBERS, *_MORE)


class NotExported(StreamsError):
    """A file that cannot be written, or of a sort that is unknown; the message says which."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which observations: empty names mean any; window ends within [since, until), ms."""

    app: str
    metric: str = ""
    service: str = ""
    window: str = ""
    since_ms: int = 0
    until_ms: int = 1 << 52

    @property
    def narrow(self) -> dict[str, str]:
        """The columns that must have a value, and which."""
        given = {"app": self.app, "metric": self.metric, "service": self.service}
        return {name: value for name, value in (given | {"window": self.window}).items() if value}


def export(database: Database, wanted: Wanted, output: Path, page: int = PAGE) -> int:
    """Write the final observations to a .csv or .parquet file, and return how many.

    The file is complete or not there. Raises NotExported, ClickHouseRefused,
    ClickHouseUnavailable.
    """
    if output.suffix not in (".csv", ".parquet"):
        raise NotExported(f"{output}: name a file that ends with .csv or .parquet")
    part = output.with_name(f".{output.name}.part")
    try:
        rows = _write(database, wanted, part, output.suffix, page)
        os.replace(part, output)
    except OSError as error:
        raise NotExported(f"{output}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # what is wrong with the folder has been told
            part.unlink()
    return rows


def _write(database: Database, wanted: Wanted, part: Path, suffix: str, page: int) -> int:
    rows = 0
    writer: Any = None
    try:
        for table in pages(database, wanted, page):
            if writer is None:
                writer = _writer(part, suffix, table.schema)
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _writer(part: Path, suffix: str, schema: pa.Schema) -> Any:
    if suffix == ".csv":
        return pyarrow.csv.CSVWriter(part, schema)
    return pyarrow.parquet.ParquetWriter(part, schema, compression="zstd")


def pages(database: Database, wanted: Wanted, page: int = PAGE) -> Iterator[pa.Table]:
    """Yield tables of at most `page` rows; one at least, so that a file has its columns."""
    after: tuple[int, str] | None = None
    while True:
        table = _page(database, wanted, after, page)
        if table.num_rows or after is None:
            yield table.drop_columns(["_end_ms"])
        if table.num_rows < page:
            return
        after = (table["_end_ms"][-1].as_py(), table["event_id"][-1].as_py())


def _page(database: Database, wanted: Wanted, after: tuple[int, str] | None, page: int) -> pa.Table:
    shown = ", ".join(f"toString(`{c}`) AS `{c}`" if c in _TEXT else f"`{c}`" for c in COLUMNS)
    end = "toUnixTimestamp64Milli(o.window_end)"
    given: dict[str, Any] = {"since": wanted.since_ms, "until": wanted.until_ms}
    conditions = ["o.final", f"{end} >= {{since:Int64}}", f"{end} < {{until:Int64}}"]
    for name, value in wanted.narrow.items():
        given[name] = value
        conditions.append(f"o.{name} = {{{name}:String}}")
    if after is not None:
        given |= {"end": after[0], "id": after[1]}
        conditions.append(f"({end}, o.event_id) > ({{end:Int64}}, {{id:String}})")
    sql = (
        f"SELECT {shown}, {end} AS _end_ms FROM observations AS o FINAL "  # noqa: S608 - names of our own; values are parameters
        f"WHERE {' AND '.join(conditions)} ORDER BY {end}, o.event_id LIMIT {page}"
    )
    return pyarrow.ipc.open_stream(database.text(sql, "ArrowStream", given)).read_all()

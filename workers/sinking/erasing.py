"""Rows that must go: what is kept of a person, and what is older than it may get.

Requests name the person; everything that came of them is found by their ids, in every table that
has any, and deleted. The rows of the requests stay, without person and inputs, under the name of
the erasure: so what comes later, or is read again, is found too. What Kafka holds ends by the
retention of its topics; what is filled in from there is erased again.
"""

import time
from collections.abc import Sequence

import polars as pl

from schemas.inference import InferenceRequest
from schemas.registrations import ErasureRequested
from workers.clickhouse import Database
from workers.payloads.errors import PayloadRefused
from workers.payloads.store import PayloadStore
from workers.settings_outside import PrivacySettings
from workers.sinking.tables import Table, literal, tables
from workers.telemetry import logger

DAY_MS = 86_400_000
EXPIRE_S = 3600.0
AGAIN_S = 30.0
"""After so long it looks once more: a sink that starts reads a little of the log again."""
_ID = "request_id"
_REQUESTS = "requests"
_log = logger(__name__)


class Erasing:
    """Carries erasures out in ClickHouse and in the payload store, and ends what is too old."""

    def __init__(
        self, database: Database, payloads: PayloadStore, privacy: PrivacySettings
    ) -> None:
        self._database, self._payloads, self._privacy = database, payloads, privacy
        self._next_look = time.monotonic() + AGAIN_S
        self._refused = False

    def all(self) -> None:
        """Carry out every erasure that is known: after a start, and after rows were filled in."""
        columns = "event_id, user, app, toUnixTimestamp64Milli(before) AS instant"
        sql = f"SELECT {columns} FROM `{tables()[ErasureRequested].name}` FINAL"  # noqa: S608 - our own names
        for row in self._database.query(sql).rows:
            self._erase(*row)

    def stored(self, frame: pl.DataFrame) -> None:
        """Carry out the erasures of a block that was stored."""
        columns = ("event_id", "user", "app", pl.col("before").dt.epoch("ms"))
        for row in frame.select(*columns).iter_rows():
            self._erase(*row)

    def tend(self, now_ms: int) -> None:
        """Now and then look again for what must go, and end what is older than may be."""
        if time.monotonic() < self._next_look:
            return
        self._refused = False
        self.all()
        if self._privacy.retention_days:
            before = now_ms - self._privacy.retention_days * DAY_MS
            old = f"created_at < fromUnixTimestamp64Milli({before})"
            self._delete(old)
            self._database.execute(f"DELETE FROM `{_REQUESTS}` WHERE {old}")  # noqa: S608 - a number
        self._next_look = time.monotonic() + (AGAIN_S if self._refused else EXPIRE_S)

    def _erase(self, event_id: str, user: str, app: str, before: int) -> None:
        name = literal(f"erased:{event_id}")
        whose = f"user = {literal(user)}" + (f" AND app = {literal(app)}" if app else "")
        whose += f" AND created_at < fromUnixTimestamp64Milli({before})"
        self._delete(f"({whose}) OR user = {name}")
        self._database.execute(
            f"ALTER TABLE `{_REQUESTS}` UPDATE user = {name}, inputs = [], idempotency_key = '', "
            f"conditions = [] WHERE {whose} SETTINGS mutations_sync = 1"
        )
        gone = 0 if app else self._without_payloads(event_id, user, before)
        _log.info("sink.erased", erasure=event_id, app=app or "*", payloads=gone)

    def _without_payloads(self, event_id: str, user: str, before: int) -> int:
        """Remove a person's payloads; a store that refuses is asked again at the next look."""
        try:
            return self._payloads.erase(user, before / 1000)
        except PayloadRefused as error:
            self._refused = True
            self._next_look = time.monotonic() + AGAIN_S
            _log.warning("sink.payloads-stay", erasure=event_id, why=str(error))
            return 0

    def _delete(self, where: str) -> None:
        """Delete what came of requests, but not the requests."""
        ids = f"SELECT {_ID} FROM `{_REQUESTS}` WHERE {where}"  # noqa: S608 - texts are literals
        for table, column in _naming():
            self._database.execute(f"DELETE FROM `{table}` WHERE {column} IN ({ids})")  # noqa: S608 - as above


def redacted(table: Table, frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return rows with the columns empty that settings name as `table.column`."""
    names = [name.partition(".")[2] for name in columns if name.startswith(f"{table.name}.")]
    known = {column.name: column.type for column in table.columns}
    empty = [_empty(name, known[name], frame) for name in names if name in frame.columns]
    return frame.with_columns(empty) if empty else frame


def _naming() -> list[tuple[str, str]]:
    """Return the tables that name requests, but that of requests, and the column that does."""
    found = [
        (table.name, _ID)
        for event, table in tables().items()
        if event is not InferenceRequest and any(c.name == _ID for c in table.columns)
    ]
    return [*found, ("dead_letters", "key")]


def _empty(name: str, kind: str, frame: pl.DataFrame) -> pl.Expr:
    dtype = frame.schema[name]
    if "Nullable" in kind and not kind.startswith("Array"):
        return pl.lit(None, dtype=dtype).alias(name)
    nothing = pl.Series(name, [[]] if isinstance(dtype, pl.List) else [""], dtype=dtype)
    return pl.lit(nothing).first().alias(name)

"""The door to ClickHouse: a server, or the engine behind the embedded one, over HTTP."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import clickhouse_connect
import polars as pl
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    Error,
    OperationalError,
    scrub_error_details,
)

from workers.errors import (
    ClickHouseRefused,
    ClickHouseUnavailable,
    DiskTrouble,
    RowsRefused,
    WorkerError,
)
from workers.settings import ClickHouseSettings

CONNECT_S = 5
ANSWER_S = 300
_BUSY = frozenset(
    (
        *(75, 76, 159, 172, 173, 198, 202, 204, 209, 210, 216, 225, 236, 241, 242, 243, 252, 279),
        *(285, 286, 319, 394, 425, 439, 999),
    )
)
"""Timeouts, too many queries or parts, no memory, disk full, read-only or stopping for now, its
keeper away: worth another try."""
_SPOILED = frozenset({33, 40, 107, 228, 246})
"""A part that cannot be read, as after a full disk: a server that starts again sets it aside."""
_FULL = frozenset({75, 76, 243})
"""A file that cannot be written or opened, no space."""
_ROWS = frozenset({6, 26, 27, 38, 41, 69, 70, 72, 117, 128, 131, 321, 349, 407, 469, 691})
"""What single rows are refused for: values out of range, texts too long, broken constraints."""
_NO_SPACE = "No space left on device"
_ERRNO = re.compile(r"\[Errno \d+\] [^'\")]+|timed out")
_EXCEPTION = re.compile(r"DB::Exception: (.*)", re.DOTALL)
_URL = re.compile(r"\s*\(for url [^)]*\)$")
for _talker in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_talker).setLevel(logging.CRITICAL)  # they log what they raise, or try again


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave: names and ClickHouse types of its columns, and its rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Database:
    """A connection, used by one thread at a time; names without a database mean `name`."""

    def __init__(self, client: Client, name: str, where: str) -> None:
        self._client = client
        self._where = where
        self.name = name
        client.database = name

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Return what a query gives; `{name:Type}` in it stands for a parameter.

        Raises ClickHouseRefused, ClickHouseUnavailable.
        """
        try:
            found = self._client.query(sql, parameters=dict(parameters or {}))
        except (ClickHouseError, OSError) as error:
            raise self._error(error) from error
        types = tuple(kind.name for kind in found.column_types)
        return Answer(tuple(found.column_names), types, tuple(tuple(r) for r in found.result_rows))

    def text(self, sql: str, fmt: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """Return what a query gives in one of ClickHouse's output formats, such as CSVWithNames.

        `{name:Type}` in it stands for a parameter. Raises ClickHouseRefused, ClickHouseUnavailable.
        """
        try:
            return self._client.raw_query(sql, parameters=dict(parameters or {}), fmt=fmt)
        except (ClickHouseError, OSError) as error:
            raise self._error(error) from error

    def execute(self, sql: str) -> None:
        """Run a statement that gives nothing.

        Raises ClickHouseRefused, ClickHouseUnavailable.
        """
        try:
            self._client.command(sql)
        except (ClickHouseError, OSError) as error:
            raise self._error(error) from error

    def only_read(self) -> None:
        """Have the server refuse whatever changes something, from now on.

        Raises ClickHouseRefused, ClickHouseUnavailable.
        """
        if self.query("SELECT toString(getSetting('readonly'))").rows == (("0",),):
            self._client.set_client_setting("readonly", "2")

    def create(self) -> None:
        """Create the database `name` unless it exists.

        Raises ClickHouseRefused, ClickHouseUnavailable.
        """
        try:
            self._client.command(f"CREATE DATABASE IF NOT EXISTS `{self.name}`", use_database=False)
        except (ClickHouseError, OSError) as error:
            raise self._error(error) from error

    def insert(self, table: str, frame: pl.DataFrame) -> None:
        """Append a frame, whose columns are columns of the table, as one block: whole or not.

        Raises RowsRefused for what rows hold, ClickHouseRefused, ClickHouseUnavailable.
        """
        arrow = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        try:
            self._client.insert_arrow(table, arrow)
        except (ClickHouseError, OSError) as error:
            raise self._error(error) from error

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _error(self, error: Exception) -> WorkerError:
        return _translated(error, self._where)


def connect(settings: ClickHouseSettings, answer_s: float = ANSWER_S) -> Database:
    """Connect to a server; the database itself need not exist yet. An answer may take `answer_s`.

    Raises ClickHouseUnavailable when nothing answers, ClickHouseRefused when it refuses us.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        client = clickhouse_connect.get_client(
            host=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password.get_secret_value(),
            secure=settings.secure,
            compress=False,
            connect_timeout=CONNECT_S,
            send_receive_timeout=answer_s,
            query_limit=0,
            autogenerate_session_id=False,
        )
    except (ClickHouseError, OSError) as error:
        raise _translated(error, where) from error
    return Database(client, settings.database, where)


def _translated(error: Exception, where: str) -> WorkerError:
    code = error.code if isinstance(error, Error) else None
    text = scrub_error_details(str(error))
    said = _EXCEPTION.search(text)
    plain = _URL.sub("", said[1] if said else text)
    if code in _SPOILED:
        return DiskTrouble(
            f"ClickHouse at {where} cannot read a part of its data: {plain}; the embedded one "
            "starts again by itself, another one has to be restarted"
        )
    if _is_passing(error, code, text):
        cause = _ERRNO.search(text) or said
        full = code in _FULL or _NO_SPACE in text
        return (DiskTrouble if full else ClickHouseUnavailable)(
            f"ClickHouse at {where} does not answer: {cause[0] if cause else text}; start it "
            "(`weir up`) or set WEIR_CLICKHOUSE__HOST and WEIR_CLICKHOUSE__PORT"
        )
    kind = RowsRefused if code in _ROWS else ClickHouseRefused
    return kind(plain, code)


def _is_passing(error: Exception, code: int | None, text: str) -> bool:
    """Tell whether another try may go better: nothing is wrong with what was asked."""
    if code is None:
        return isinstance(error, OperationalError | OSError) or "HTTP status 5" in text
    return code in _BUSY or _NO_SPACE in text

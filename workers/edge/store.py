"""A worker's file on disk, and the door to SQLite: what must outlast its process.

SQLite in WAL mode: what a transaction wrote outlasts the process (kill -9) as soon as it returns,
and a power cut but for the time since the last `sync`, which a thread calls every second. A torn
end of the file is cut off when it is opened. Several processes of one node may share it, as they
do while one succeeds another.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workers.edge.errors import StoreTrouble
from workers.telemetry import logger

Connection = sqlite3.Connection
"""What a transaction reads and writes by."""
BUSY_S: Final = 5.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS spool (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  record TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL, checked INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS size (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL);
INSERT OR IGNORE INTO size VALUES (1, 0);
CREATE TABLE IF NOT EXISTS lost (
  record TEXT NOT NULL, reason TEXT NOT NULL, number INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (record, reason)
);
CREATE TABLE IF NOT EXISTS placed (
  record TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL, checked INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS placed_by (
  one INTEGER PRIMARY KEY CHECK (one = 1), cluster TEXT NOT NULL
);
"""
log = logger(__name__)


class Store:
    """One SQLite file, or memory alone where no file can be had; belongs to one thread.

    A file that is no database is set aside, never thrown away.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection = self._opened()
        self._synced = self._connection.total_changes

    @classmethod
    def at(cls, path: Path) -> "Store":
        """Return the store of a file; in memory, and said so, where it cannot be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return cls(path)
        except (StoreTrouble, OSError) as error:
            log.warning("store.only_in_memory", path=str(path), error=str(error))
            return cls(None)

    @property
    def path(self) -> Path | None:
        """Return the file; None when there is none."""
        return self._path

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Let the block read and write; all of it is kept when it ends, nothing when it fails.

        Raises StoreTrouble.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def sync(self) -> None:
        """Have what was written outlast a power cut; any thread may call it."""
        changes = self._connection.total_changes
        if self._path is None or changes == self._synced:
            return
        self._synced = changes
        with contextlib.suppress(OSError):  # the log is away between two of its lives
            descriptor = os.open(f"{self._path}-wal", os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.OperationalError as error:
            raise self._trouble(error) from error
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
        try:
            return self._connected()
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path or ":memory:", timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLES)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _set_aside(self, error: sqlite3.Error) -> None:
        path = self._path
        if path is None:
            raise self._trouble(error) from error
        for end in ("-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        aside = next(
            there for n in range(1, 10_000) if not (there := Path(f"{path}.damaged{n}")).exists()
        )
        path.rename(aside)
        log.warning("store.damaged", set_aside=str(aside), error=str(error))

    def _trouble(self, error: sqlite3.Error) -> StoreTrouble:
        return StoreTrouble(f"{self._path or 'the store in memory'}: {error}")

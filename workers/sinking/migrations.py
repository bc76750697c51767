"""Brings a database to the shape that this version expects: tables first, then numbered files.

Tables follow the Avro schemas: what a schema gained becomes a column, nothing is ever dropped.
The files of `workers/sql`, in order of their numbers, make what is built on tables; each must be
repeatable (CREATE OR REPLACE), because a file whose text has changed is applied again.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import polars as pl

from workers.clickhouse import Database
from workers.sinking.tables import Table, tables

_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations (
  `name` String COMMENT 'file in workers/sql, or the table that was made or changed',
  `sha256` String COMMENT 'digest of what was applied',
  `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree ORDER BY (name, applied_at)
COMMENT 'What brought this database to its shape'
"""

_VIEW = re.compile(r"CREATE OR REPLACE VIEW (\w+)")
Columns = Mapping[str, Mapping[str, str]]
"""Types of columns, without blanks and quotes, by table and name."""


@dataclass(frozen=True, slots=True)
class Script:
    """A numbered file, its statements, and the views that they make."""

    name: str
    sha256: str
    statements: tuple[str, ...]
    views: frozenset[str]


def scripts() -> tuple[Script, ...]:
    """Return the numbered files in order."""
    found = [f for f in (files("workers") / "sql").iterdir() if f.name.endswith(".sql")]
    return tuple(_script(f.name, f.read_text("utf-8")) for f in sorted(found, key=lambda f: f.name))


def _script(name: str, text: str) -> Script:
    parts = (part.strip() for part in re.split(r";[ \t]*$", text, flags=re.MULTILINE))
    statements = tuple(part for part in parts if _code(part))
    found = (_VIEW.match(_code(statement)) for statement in statements)
    views = frozenset(view[1] for view in found if view)
    return Script(name, hashlib.sha256(text.encode()).hexdigest(), statements, views)


def _code(part: str) -> str:
    return "".join(line for line in part.splitlines() if not line.startswith("--")).strip()


def migrate(database: Database) -> list[str]:
    """Create the database, its tables and its views, or bring them up to date.

    Returns the names of what was changed, none when all was in order. Raises ClickHouseRefused,
    ClickHouseUnavailable.
    """
    database.create()
    database.execute(_LEDGER)
    applied, there = _applied(database), _columns(database)
    changed = {}
    for table in tables().values():
        if not _is_current(table, applied, there):
            _bring_up(database, table, there)
            changed[table.name] = _digest(table)
    for script in scripts():
        if applied.get(script.name) != script.sha256:
            for statement in script.statements:
                database.execute(statement)
            changed[script.name] = script.sha256
    if changed:
        _record(database, changed)
    return list(changed)


def outdated(database: Database) -> list[str]:
    """Return the tables, views and files that differ from what `migrate` would make.

    Nothing is changed. Raises ClickHouseRefused (code 81 or 60 when nothing was ever migrated),
    ClickHouseUnavailable.
    """
    applied, there = _applied(database), _columns(database)
    found = [t.name for t in tables().values() if not _is_current(t, applied, there)]
    old = (script.name for script in scripts() if applied.get(script.name) != script.sha256)
    return [*found, *old]


def _is_current(table: Table, applied: Mapping[str, str], there: Columns) -> bool:
    columns = there.get(table.name)
    current = applied.get(table.name) == _digest(table)
    return current and columns is not None and not _alterations(table, columns)


def _digest(table: Table) -> str:
    return hashlib.sha256(table.ddl().encode()).hexdigest()


def _applied(database: Database) -> dict[str, str]:
    """Return the digest last applied by name, without tables and views that somebody dropped."""
    found = database.query("SELECT name, argMax(sha256, applied_at) FROM migrations GROUP BY name")
    names = database.query(
        "SELECT name FROM system.tables WHERE database = {base:String}", {"base": database.name}
    )
    there = {name for (name,) in names.rows}
    made = {script.name: script.views for script in scripts()}
    return {name: sha for name, sha in found.rows if made.get(name, {name}) <= there}


def _columns(database: Database) -> Columns:
    """Return what is there: the type of each column of each table, in one question."""
    found: dict[str, dict[str, str]] = {}
    every = "SELECT table, name, type FROM system.columns WHERE database = {base:String}"
    for table, name, kind in database.query(every, {"base": database.name}).rows:
        found.setdefault(table, {})[name] = _squeezed(kind)
    return found


def _bring_up(database: Database, table: Table, there: Columns) -> None:
    columns = there.get(table.name)
    for statement in [table.ddl()] if columns is None else _alterations(table, columns):
        database.execute(statement)


def _alterations(table: Table, there: Mapping[str, str]) -> list[str]:
    head = f"ALTER TABLE `{table.name}`"
    missing = [c for c in table.columns if c.name not in there]
    wider = [c for c in table.columns if there.get(c.name, s := _squeezed(c.type)) != s]
    return [
        *(f"{head} ADD COLUMN IF NOT EXISTS {column.ddl()}" for column in missing),
        *(f"{head} MODIFY COLUMN {column.ddl()}" for column in wider),
    ]


def _squeezed(kind: str) -> str:
    return re.sub(r"[\s`]", "", kind)


def _record(database: Database, changed: Mapping[str, str]) -> None:
    """Note it at the end, in one part: what a failure left unnoted is repeatable."""
    database.insert("migrations", pl.DataFrame({"name": [*changed], "sha256": [*changed.values()]}))

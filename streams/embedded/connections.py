"""What is done on a connection of chDB around a statement, and put right again behind it.

Everything here raises QueryRefused with the engine's code and message.
"""

import os
import re
from io import FileIO
from typing import Any

from streams.embedded import refusals
from streams.embedded.questions import External, Question
from streams.embedded.refusals import QueryRefused, refusal_of, refused
from streams.embedded.sessions import Session
from streams.embedded.statements import READING, Statement

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_INSERTS = re.compile(rb"\bINSERT\s+INTO\b", re.IGNORECASE)


def shape(connection: Any, question: Question) -> None:
    """Give a connection database, settings and parameters of a question."""
    if question.database:
        run(connection, f"USE {_identifier(question.database)}")
    values = dict(question.settings)
    values |= {f"param_{name}": value for name, value in question.parameters.items()}
    if question.readonly and question.session:
        _refuse_writing(question.statement)
    elif question.readonly and values.get("readonly", "0") == "0":
        values["readonly"] = "2"
    if question.mark and "log_comment" not in values:
        _mark(connection, question.mark)
    if values:
        pairs = (f"{_setting(name)}={literal(value)}" for name, value in values.items())
        run(connection, f"SET {', '.join(pairs)}")


def _mark(connection: Any, mark: str) -> None:
    """Name what follows, so that it can be ended; a read-only session goes without."""
    try:
        run(connection, f"SET log_comment={literal(mark)}")
    except QueryRefused as refusal:
        if refusal.code != refusals.READONLY[0]:
            raise


def _refuse_writing(statement: Statement) -> None:
    """Refuse what changes something; a session cannot be made read-only for a while only."""
    if statement.verb and (statement.verb not in READING or _INSERTS.search(statement.text)):
        raise refused(
            refusals.READONLY,
            f"Cannot execute {statement.verb} query in readonly mode; send it with POST",
        )


def lend(connection: Any, tables: tuple[External, ...]) -> None:
    """Make the external data of a question temporary tables."""
    for table in tables:
        name = _identifier(table.name)
        run(connection, f"CREATE TEMPORARY TABLE {name} ({table.structure})")
        insert(
            connection,
            Statement("INSERT", f"INSERT INTO {name}".encode(), table.format, table.data),
        )


def withdraw(connection: Any, tables: tuple[External, ...]) -> None:
    """Drop the tables of external data, from a connection that goes on."""
    for table in tables:
        run(connection, f"DROP TEMPORARY TABLE IF EXISTS {_identifier(table.name)}")


def restore(session: Session, question: Question) -> None:
    """Take a request's own settings from its session's connection again."""
    names = [_setting(name) for name in question.settings if _NAME.fullmatch(name)]
    for name in names:
        try:
            run(session.connection, f"SET {name}=DEFAULT")
        except QueryRefused as refusal:
            if refusal.code not in (refusals.UNKNOWN_SETTING[0], refusals.READONLY[0]):
                raise
    for statement in session.shaped_by if names else ():
        run(session.connection, statement)


def insert(connection: Any, statement: Statement) -> Any:
    """Insert the data of a statement; return chDB's result, which knows rows and bytes.

    The engine reads them as a file, which stands in memory alone. chDB's own `send_insert` must
    not be used: it tells of no error behind the parser, so that an insert would be acknowledged
    that a full disk or a constraint had refused.
    """
    with os.fdopen(os.memfd_create("insert"), "wb", buffering=0) as file:
        _write(file, statement.data)
        path = f"/proc/self/fd/{file.fileno()}"
        try:
            return run(connection, text_of(statement.reading(path)))
        except QueryRefused as refusal:
            told = str(refusal).replace(f"file/uri {path}", "the request")
            raise QueryRefused(refusal.code, told) from refusal


def _write(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        raise refused(refusals.NO_SPACE, f"Cannot hold the rows: {error.strerror}") from error


def run(connection: Any, text: str, format_: str = "TabSeparated") -> Any:
    """Run a statement; return chDB's result, whole."""
    try:
        return connection.query(text, format_)
    except RuntimeError as error:
        raise refusal_of(error) from error


def text_of(raw: bytes) -> str:
    """Return a statement as text."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refused(refusals.SYNTAX_ERROR, f"the statement is no UTF-8: {error}") from error


def _setting(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise refused(refusals.UNKNOWN_SETTING, f"Unknown setting {name!r}")
    return name


def literal(value: str) -> str:
    """Return a text as an SQL string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"

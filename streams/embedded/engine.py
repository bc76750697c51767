"""The ClickHouse engine in this process: chDB, asked the way an HTTP request asks a server.

Every question gets a connection of its own (about 0.8 ms), so that settings and databases of one
are not those of another and they run side by side; a session keeps its connection.
"""

import importlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.embedded.statements import Statement
from streams.errors import StackError

MAX_SESSIONS = 256
SESSION_S = 60.0
UNKNOWN_SETTING, SESSION_NOT_FOUND, SESSION_IS_LOCKED = 115, 372, 373
_CODE = re.compile(r"Code: (\d+)\. ")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class QueryRefused(StackError):
    """A statement that the engine refused: ClickHouse's own code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Question:
    """A statement and the circumstances it shall run under."""

    statement: Statement
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"
    session: str = ""
    session_s: float = SESSION_S
    session_must_exist: bool = False
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Result bytes in a format, and what it took."""

    body: bytes = b""
    format: str = "TabSeparated"
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_s: float = 0.0


class _Session:
    """A connection that outlives a request, and the statements that shaped it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self.expires = 0.0
        self.shaped_by: list[str] = []


class Engine:
    """One engine on one folder; safe to ask from several threads."""

    def __init__(self, path: Path) -> None:
        try:
            self._chdb = importlib.import_module("chdb")
        except ImportError as error:
            raise StackError(
                "the embedded ClickHouse needs `pip install weir[embedded]`"
            ) from error
        path.mkdir(parents=True, exist_ok=True)
        self._path = str(path)
        self._sessions: dict[str, _Session] = {}
        self._guard = threading.Lock()
        self._base = self._open()
        self.timezone = _run(self._base, "SELECT timezone()", "TSVRaw").bytes().decode().strip()

    def ask(self, question: Question) -> Answer:
        """Run a statement and return what it gave.

        Raises QueryRefused with the engine's code and message.
        """
        with self._connection(question) as connection:
            self._shape(connection, question)
            if question.statement.insert_format is not None:
                return _insert(connection, question.statement)
            format_ = question.statement.output_format or question.default_format
            started = time.perf_counter()
            result = _run(connection, _text(question.statement.text), format_)
            return Answer(
                body=bytes(result.bytes()),
                format=format_,
                read_rows=result.storage_rows_read(),
                read_bytes=result.storage_bytes_read(),
                written_rows=result.rows_written(),
                written_bytes=result.bytes_written(),
                elapsed_s=time.perf_counter() - started,
            )

    def close(self) -> None:
        """Close every connection; the engine writes out what it holds."""
        with self._guard:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()
        self._base.close()

    def _open(self) -> Any:
        try:
            return self._chdb.connect(self._path)
        except RuntimeError as error:
            raise StackError(f"ClickHouse data in {self._path}: {error}") from error

    def _shape(self, connection: Any, question: Question) -> None:
        if question.database:
            _run(connection, f"USE {_identifier(question.database)}")
        values = dict(question.settings)
        values |= {f"param_{name}": value for name, value in question.parameters.items()}
        if question.readonly:
            values["readonly"] = "2"
        if values:
            pairs = (f"{_setting(name)}={_literal(value)}" for name, value in values.items())
            _run(connection, f"SET {', '.join(pairs)}")

    @contextmanager
    def _connection(self, question: Question) -> Iterator[Any]:
        if not question.session:
            connection = self._open()
            try:
                yield connection
            finally:
                connection.close()
            return
        session = self._session(question)
        try:
            yield session.connection
            if question.statement.verb in ("SET", "USE"):
                session.shaped_by.append(_text(question.statement.text))
        finally:
            _restore(session, question)
            session.expires = time.monotonic() + question.session_s
            session.lock.release()

    def _session(self, question: Question) -> _Session:
        """Return the session of a question, locked."""
        with self._guard:
            self._expire()
            session = self._sessions.get(question.session)
            if session is None and question.session_must_exist:
                raise QueryRefused(SESSION_NOT_FOUND, f"Session {question.session} not found")
            if session is None:
                session = self._sessions[question.session] = _Session(self._open())
            if not session.lock.acquire(blocking=False):
                raise QueryRefused(
                    SESSION_IS_LOCKED, f"Session {question.session} is locked by another query"
                )
            return session

    def _expire(self) -> None:
        now = time.monotonic()
        by_age = sorted(self._sessions.items(), key=lambda item: item[1].expires)
        spare = len(by_age) - MAX_SESSIONS + 1
        for position, (name, session) in enumerate(by_age):
            if session.lock.locked() or (session.expires > now and position >= spare):
                continue
            self._sessions.pop(name).connection.close()


def _restore(session: _Session, question: Question) -> None:
    """Take a request's own settings from its session's connection again."""
    names = [_setting(name) for name in question.settings if _NAME.fullmatch(name)]
    names += ["readonly"] if question.readonly else []
    for name in names:
        try:
            _run(session.connection, f"SET {name}=DEFAULT")
        except QueryRefused as refused:
            if refused.code != UNKNOWN_SETTING:
                raise
    for statement in session.shaped_by if names else ():
        _run(session.connection, statement)


def _insert(connection: Any, statement: Statement) -> Answer:
    try:
        stream = connection.send_insert(_text(statement.text), statement.insert_format)
        try:
            if statement.data:
                stream.append(statement.data)
            done = stream.finish()
        finally:
            stream.close()
    except RuntimeError as error:
        raise _refusal(error) from error
    return Answer(
        written_rows=done.rows_written, written_bytes=done.bytes_written, elapsed_s=done.elapsed
    )


def _run(connection: Any, text: str, format_: str = "TabSeparated") -> Any:
    try:
        return connection.query(text, format_)
    except RuntimeError as error:
        raise _refusal(error) from error


def _refusal(error: RuntimeError) -> QueryRefused:
    text = str(error)
    code = _CODE.search(text)
    return QueryRefused(int(code[1]), text[code.start() :]) if code else QueryRefused(1002, text)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise QueryRefused(62, f"Code: 62. the statement is no UTF-8: {error}") from error


def _setting(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise QueryRefused(UNKNOWN_SETTING, f"Code: 115. Unknown setting {name!r}")
    return name


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"

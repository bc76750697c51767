"""The ClickHouse engine in this process: chDB, asked the way an HTTP request asks a server.

Every question gets a connection of its own (about 0.8 ms), so that settings and databases of one
are not those of another and they run side by side; a session keeps its connection.
"""

import importlib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.embedded import refusals
from streams.embedded.connections import (
    insert,
    lend,
    literal,
    restore,
    run,
    shape,
    text_of,
    withdraw,
)
from streams.embedded.documents import Joiner, has_head, streams
from streams.embedded.questions import Question
from streams.embedded.refusals import refusal_of, refused
from streams.embedded.sessions import Session, Sessions
from streams.errors import StackError

MAX_QUESTIONS = 100
"""Most questions at a time, a server's default; more are refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Result bytes in a format, whole or in parts, and what it took."""

    body: "bytes | Parts" = b""
    format: str = "TabSeparated"
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_s: float = 0.0


class Parts:
    """The bytes of an answer while they are made; whoever asked closes it.

    Reading it raises QueryRefused when the statement fails on the way.
    """

    def __init__(
        self, stream: Any, joiner: Joiner, ready: tuple[bytes, ...], held: ExitStack
    ) -> None:
        self._stream = stream
        self._joiner = joiner
        self._ready = ready
        self._held = held

    def __iter__(self) -> Iterator[bytes]:
        for document in self._ready:
            yield self._joiner.add(document)
        while (chunk := _fetch(self._stream)) is not None:
            yield self._joiner.add(bytes(chunk.bytes()))
        yield self._joiner.end()

    def close(self) -> None:
        """End the statement and give its connection back."""
        with self._held:
            self._stream.close()


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
        self._sessions = Sessions(self._open)
        self._room = threading.BoundedSemaphore(MAX_QUESTIONS)
        self._guard = threading.Lock()
        self._base = self._open()
        self.timezone = run(self._base, "SELECT timezone()", "TSVRaw").bytes().decode().strip()
        formats = run(self._base, "SELECT lower(name) FROM system.formats", "TSVRaw").bytes()
        self._formats = frozenset(formats.decode().split())

    def ask(self, question: Question) -> Answer:
        """Run a statement and return what it gave; an answer in parts must be closed.

        Raises QueryRefused with the engine's code and message.
        """
        if not self._room.acquire(blocking=False):
            raise refused(refusals.TOO_MANY, f"more than {MAX_QUESTIONS} queries run at a time")
        with ExitStack() as held:
            held.callback(self._room.release)
            connection, session = self._connected(question, held)
            lend(connection, question.external)
            if session is not None:
                held.callback(withdraw, connection, question.external)
                held.callback(restore, session, question)
            shape(connection, question)
            answer = self._answer(connection, question, held)
            if session is not None and question.statement.verb in ("SET", "USE"):
                session.shaped_by.append(text_of(question.statement.text))
            return answer

    def kill(self, mark: str) -> None:
        """End the statement of a question that still runs."""
        with self._guard:
            run(
                self._base,
                f"KILL QUERY WHERE Settings['log_comment'] = {literal(mark)} ASYNC",
            )

    def close(self) -> None:
        """Close every connection; the engine writes out what it holds."""
        self._sessions.close()
        self._base.close()

    def _open(self) -> Any:
        try:
            return self._chdb.connect(self._path)
        except RuntimeError as error:
            raise StackError(
                f"ClickHouse cannot open its data in {self._path}; another process may use this "
                f"folder: {error}"
            ) from error

    def _connected(self, question: Question, held: ExitStack) -> tuple[Any, Session | None]:
        """Return the connection of a question, and its session if it has one."""
        if not question.session:
            connection = self._open()
            held.callback(connection.close)
            return connection, None
        session = self._sessions.take(question.session, must_exist=question.session_must_exist)
        held.callback(session.release, question.session_s)
        return session.connection, session

    def _answer(self, connection: Any, question: Question, held: ExitStack) -> Answer:
        statement, started = question.statement, time.perf_counter()
        if statement.beyond:
            raise refused(refusals.NOT_IMPLEMENTED, statement.beyond)
        if statement.insert_format is not None:
            return _account(insert(connection, statement), "TabSeparated", started)
        named = statement.output_format
        format_ = named if named and named.lower() in self._formats else question.default_format
        text = text_of(statement.text)
        if (
            question.streamed
            and statement.verb in ("SELECT", "WITH")
            and streams(format_, statement.text)
        ):
            answer = _begun(connection, text, format_, held)
            if answer is not None:
                return answer
        return _account(run(connection, text, format_), format_, started)


def _begun(connection: Any, text: str, format_: str, held: ExitStack) -> Answer | None:
    """Return an answer in parts, or whole if it is short; None for what must be asked as a whole.

    That is what gives no rows in a format that says something all the same.
    """
    try:
        stream = connection.send_query(text, format_)
    except RuntimeError as error:
        if "Streaming query is not supported" in str(error):
            return None
        raise refusal_of(error) from error
    first = _fetch(stream)
    if first is None:
        return None if has_head(format_) else Answer(format=format_)
    second = _fetch(stream)
    if second is None:
        return Answer(
            body=bytes(first.bytes()),
            format=format_,
            read_rows=first.storage_rows_read(),
            read_bytes=first.storage_bytes_read(),
        )
    ready = (bytes(first.bytes()), bytes(second.bytes()))
    return Answer(body=Parts(stream, Joiner(format_), ready, held.pop_all()), format=format_)


def _fetch(stream: Any) -> Any:
    try:
        return stream.fetch()
    except RuntimeError as error:
        raise refusal_of(error) from error


def _account(result: Any, format_: str, started: float) -> Answer:
    return Answer(
        body=bytes(result.bytes()),
        format=format_,
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        elapsed_s=time.perf_counter() - started,
    )

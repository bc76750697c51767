"""ClickHouse's HTTP interface over chDB, for clickhouse-connect, curl, Grafana and browsers.

Run it as a process: `python -m streams.embedded.clickhouse --port 8123 --path data`. GET is
read-only as in ClickHouse. One user with one password; everybody may do everything. It ends with
1 when a full disk has spoiled a part that the next start can replace.
"""

import argparse
import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from streams.embedded.engine import Answer, Engine, Parts
from streams.embedded.http_questions import Login, authenticate, question_of
from streams.embedded.packing import chosen, packed
from streams.embedded.processes import LOOPBACK
from streams.embedded.questions import Question
from streams.embedded.refusals import QueryRefused, status_of
from streams.embedded.running_queries import Watch
from streams.embedded.serving import Cut, Request, Response, serve
from streams.embedded.spoiled import spoiled_part
from streams.errors import StackError

_LOG = logging.getLogger(__name__)
USER_VARIABLE = "WEIR_CLICKHOUSE__USERNAME"
PASSWORD_VARIABLE = "WEIR_CLICKHOUSE__PASSWORD"  # noqa: S105 - the name of a variable
_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "Pretty": "text/plain; charset=UTF-8",
    "HTML": "text/html; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "Parquet": "application/octet-stream",
}
_NO_HANDLE = (
    b"There is no handle %b. Use / or /ping for health checks, or /replicas_status. Send queries "
    b"with POST or GET /?query=...\n"
)


class Interface:
    """Answers requests as ClickHouse's HTTP interface does."""

    def __init__(self, engine: Engine, login: Login | None = None) -> None:
        self._engine = engine
        self._login = login or Login()
        self._watch = Watch(engine.kill)
        self._started = time.time()
        self.ended = threading.Event()
        self.spoiled = False
        """Whether a part was met that cannot be read and that the next start would replace."""

    def __call__(self, request: Request) -> Response:
        """Return the response to a request."""
        if request.path in ("/ping", "/replicas_status"):
            return Response(200, b"Ok.\n")
        if request.path not in ("", "/"):
            return Response(404, _NO_HANDLE % request.path.encode())
        query_id = ""
        try:
            authenticate(request, self._login)
            question = question_of(request)
            query_id = question.mark
            if not question.statement.verb and not question.statement.text.strip():
                return Response(200, b"Ok.\n")
            with self._watch.following(question, request.gone):
                answer = self._engine.ask(question)
            return self._success(request, answer, question)
        except QueryRefused as refused:
            self._look(refused)
            return _failure(refused, query_id)

    def _look(self, refused: QueryRefused) -> None:
        part = spoiled_part(refused, self._started)
        if part is not None and not self.spoiled:
            _LOG.error("%s was spoiled, as by a full disk: this server ends, to load it anew", part)
            self.spoiled = True
            self.ended.set()

    def _success(self, request: Request, answer: Answer, question: Question) -> Response:
        summary = {
            "read_rows": answer.read_rows,
            "read_bytes": answer.read_bytes,
            "written_rows": answer.written_rows,
            "written_bytes": answer.written_bytes,
            "result_bytes": len(answer.body) if isinstance(answer.body, bytes) else 0,
            "elapsed_ns": int(answer.elapsed_s * 1e9),
        }
        tag = secrets.token_hex(8)
        headers = {
            "X-ClickHouse-Query-Id": question.mark,
            "X-ClickHouse-Format": answer.format,
            "X-ClickHouse-Timezone": question.settings.get(
                "session_timezone", self._engine.timezone
            ),
            "X-ClickHouse-Summary": json.dumps({k: str(v) for k, v in summary.items()}),
            "X-ClickHouse-Exception-Tag": tag,
        }
        kind = _content_type(answer.format)
        body = (
            _Body(answer.body, tag, self._look) if isinstance(answer.body, Parts) else answer.body
        )
        encoding = _encoding(request, question) if body else None
        if encoding is None:
            return Response(200, body, kind, headers)
        headers["Content-Encoding"] = encoding
        if isinstance(body, bytes):
            return Response(200, b"".join(packed([body], encoding)), kind, headers)
        body.encoding = encoding
        return Response(200, body, kind, headers)


class _Body:
    """An answer in parts: packed if asked for, and with its error at its end if it fails."""

    def __init__(self, parts: Parts, tag: str, look: Callable[[QueryRefused], None]) -> None:
        self._parts = parts
        self._look = look
        self._tag = tag.encode()
        self._failed = False
        self.encoding: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        parts = self._marked()
        yield from packed(parts, self.encoding) if self.encoding else parts
        if self._failed:
            raise Cut

    def close(self) -> None:
        """End the statement."""
        self._parts.close()

    def _marked(self) -> Iterator[bytes]:
        """Yield the parts; an error comes behind them between marks that only this answer has."""
        try:
            yield from self._parts
        except QueryRefused as refused:
            self._failed = True
            self._look(refused)
            said = f"{refused}\n".encode()
            frame = b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n"
            yield frame % (self._tag, said, len(said), self._tag)


def _encoding(request: Request, question: Question) -> str | None:
    wanted = question.compressed and request.headers.get("Accept-Encoding")
    return chosen(wanted) if wanted else None


def _failure(refused: QueryRefused, query_id: str) -> Response:
    headers = {
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Exception-Code": str(refused.code),
        "X-ClickHouse-Format": "TabSeparated",
    }
    return Response(status_of(refused.code), f"{refused}\n".encode(), headers=headers)


def _content_type(format_: str) -> str:
    for prefix, found in _TYPES.items():
        if format_.startswith(prefix):
            return found
    return "text/plain; charset=UTF-8"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m streams.embedded.clickhouse")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", type=Path, required=True, help="folder of the data")
    parser.add_argument("--host", default=LOOPBACK)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    try:
        engine = Engine(options.path)
        login = Login(
            os.environ.get(USER_VARIABLE, "default"), os.environ.get(PASSWORD_VARIABLE, "")
        )
        interface = Interface(engine, login)
        serve(interface, options.port, options.host, interface.ended)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    engine.close()
    return 1 if interface.spoiled else 0


if __name__ == "__main__":
    sys.exit(main())

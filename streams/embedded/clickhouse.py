"""ClickHouse's HTTP interface over chDB, for clickhouse-connect, curl and browsers.

Run it as a process: `python -m streams.embedded.clickhouse --port 8123 --path data`. Answers are
not compressed (this is loopback), results are held in memory, GET is read-only as in ClickHouse.
"""

import argparse
import hmac
import json
import logging
import os
import sys
import uuid
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

from streams.embedded.engine import Answer, Engine, QueryRefused, Question
from streams.embedded.processes import LOOPBACK
from streams.embedded.serving import Request, Response, serve
from streams.embedded.statements import parse
from streams.errors import StackError

PASSWORD_VARIABLE = "WEIR_CLICKHOUSE__PASSWORD"  # noqa: S105 - the name of a variable
_RESERVED = frozenset(
    (
        *("query", "query_id", "database", "default_format", "user", "password", "quota_key"),
        *("session_id", "session_timeout", "session_check", "close_session", "role"),
        *("compress", "decompress", "enable_http_compression", "buffer_size"),
        *("wait_end_of_query", "client_protocol_version", "stacktrace"),
    )
)
"""Parameters of a URL that are no settings of the engine."""
_NOT_FOUND = frozenset({46, 47, 50, 60, 63, 73, 81, 115, 372})
_BAD = frozenset({6, 26, 27, 33, 36, 41, 43, 53, 62, 117, 130, 373, 456, 457})
_FORBIDDEN = frozenset({164, 192, 193, 291, 497, 516})
_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "Pretty": "text/plain; charset=UTF-8",
    "HTML": "text/html; charset=UTF-8",
}


class Interface:
    """Answers requests as ClickHouse's HTTP interface does."""

    def __init__(self, engine: Engine, password: str = "") -> None:
        self._engine = engine
        self._password = password

    def __call__(self, request: Request) -> Response:
        """Return the response to a request."""
        if request.path in ("/ping", "/replicas_status"):
            return Response(200, b"Ok.\n")
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        try:
            self._authenticate(request)
            question = _question(request)
            if not question.statement.verb and not question.statement.text.strip():
                return Response(200, b"Ok.\n")
            return self._success(self._engine.ask(question), question, query_id)
        except QueryRefused as refused:
            return _failure(refused, query_id)

    def _authenticate(self, request: Request) -> None:
        if self._password and not hmac.compare_digest(
            _password_of(request).encode(), self._password.encode()
        ):
            raise QueryRefused(516, "Code: 516. DB::Exception: password is incorrect")

    def _success(self, answer: Answer, question: Question, query_id: str) -> Response:
        summary = {
            "read_rows": answer.read_rows,
            "read_bytes": answer.read_bytes,
            "written_rows": answer.written_rows,
            "written_bytes": answer.written_bytes,
            "result_bytes": len(answer.body),
            "elapsed_ns": int(answer.elapsed_s * 1e9),
        }
        headers = {
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Format": answer.format,
            "X-ClickHouse-Timezone": question.settings.get(
                "session_timezone", self._engine.timezone
            ),
            "X-ClickHouse-Summary": json.dumps({k: str(v) for k, v in summary.items()}),
        }
        return Response(200, answer.body, _content_type(answer.format), headers)


def _question(request: Request) -> Question:
    query = request.query
    text = query.get("query", "").encode()
    both = text + b"\n" + request.body if text and request.body else text or request.body
    header = request.headers.get
    return Question(
        statement=parse(both),
        database=query.get("database") or header("X-ClickHouse-Database") or "",
        settings={
            name: value
            for name, value in query.items()
            if name not in _RESERVED and not name.startswith("param_")
        },
        parameters={
            name.removeprefix("param_"): value
            for name, value in query.items()
            if name.startswith("param_")
        },
        default_format=query.get("default_format")
        or header("X-ClickHouse-Format")
        or "TabSeparated",
        session=query.get("session_id", ""),
        session_s=_seconds(query.get("session_timeout", "60")),
        session_must_exist=query.get("session_check") == "1",
        readonly=request.method in ("GET", "HEAD"),
    )


def _seconds(text: str) -> float:
    if not text.isdecimal() or int(text) > 3600:
        raise QueryRefused(374, f"Code: 374. Invalid session timeout {text!r}; 0 to 3600 s")
    return float(text)


def _password_of(request: Request) -> str:
    authorization = request.headers.get("Authorization") or ""
    if authorization.startswith("Basic "):
        try:
            return b64decode(authorization[6:]).decode().partition(":")[2]
        except ValueError:
            return ""
    return request.headers.get("X-ClickHouse-Key") or request.query.get("password", "")


def _failure(refused: QueryRefused, query_id: str) -> Response:
    status = 500
    for codes, found in ((_BAD, 400), (_NOT_FOUND, 404), (_FORBIDDEN, 403)):
        status = found if refused.code in codes else status
    headers = {
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Exception-Code": str(refused.code),
        "X-ClickHouse-Format": "TabSeparated",
    }
    return Response(status, f"{refused}\n".encode(), headers=headers)


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
        serve(Interface(engine, os.environ.get(PASSWORD_VARIABLE, "")), options.port, options.host)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

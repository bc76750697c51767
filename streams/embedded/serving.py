"""Plain HTTP servers on a loopback port: a function from requests to responses, served.

On loopback only local names are accepted as Host and no foreign Origin, so that a page in a
browser cannot reach a server here by a name that it controls.
"""

import importlib
import logging
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from streams.embedded.processes import LOOPBACK
from streams.errors import StackError

MAX_BODY = 512 * 1_048_576
LOCAL_NAMES = frozenset({LOOPBACK, "localhost", "[::1]"})
DRAIN_S = 5.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked; header names are case-insensitive, the body is decompressed."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes
    pairs: Sequence[tuple[str, str]] = ()
    """The query, for names that are given more than once."""


@dataclass(frozen=True, slots=True)
class Response:
    """What it gets."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Application = Callable[[Request], Response]


class _Unreadable(Exception):
    """A request that cannot be read; the connection is closed after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def serve(application: Application, port: int, host: str = LOOPBACK) -> None:
    """Serve until SIGTERM or SIGINT; requests that run then get a few seconds to finish.

    Call it from the main thread. Raises StackError when the port cannot be had.
    """
    busy = _Busy()
    try:
        server = _Server((host, port), partial(_Handler, application, busy))
    except OSError as error:
        raise StackError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    ended.wait()
    server.shutdown()
    server.server_close()
    busy.drain(DRAIN_S)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - base
        """Log what went wrong with a connection; that a client went away is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            _LOG.error("connection of %s failed", client_address, exc_info=True)


class _Busy:
    """Counts the requests that run."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def drain(self, seconds: float) -> None:
        """Return when nothing runs any more, or after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0, seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "weir"
    sys_version = ""
    wbufsize = 65_536
    disable_nagle_algorithm = True

    def __init__(self, application: Application, busy: _Busy, *arguments: Any) -> None:
        self._application = application
        self._busy = busy
        super().__init__(*arguments)

    def _answer(self) -> None:
        with self._busy:
            self._send(self._response())

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - http.server's names

    def _response(self) -> Response:
        try:
            self._refuse_foreign()
            split = urlsplit(self.path)
            pairs = parse_qsl(split.query, keep_blank_values=True)
            query = dict(pairs)
            body = self._body()
            return self._application(
                Request(self.command, split.path, query, self.headers, body, pairs)
            )
        except _Unreadable as error:
            self.close_connection = True
            return Response(error.status, f"{error}\n".encode())
        except Exception:  # noqa: BLE001 - one request that fails must not cost the others' server
            _LOG.exception("request failed: %s %s", self.command, self.path)
            return Response(500, b"internal error; see the server's log\n")

    def _refuse_foreign(self) -> None:
        given = self.headers.get("Host", LOOPBACK)
        origin = self.headers.get("Origin")
        address = str(self.connection.getsockname()[0])
        if address == LOOPBACK and given.rsplit(":", 1)[0] not in LOCAL_NAMES:
            raise _Unreadable(403, f"{given!r} is not a name of this machine")
        if origin is not None and urlsplit(origin).netloc != given:
            raise _Unreadable(403, f"requests from pages of {origin!r} are not served")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raw = b"".join(self._chunks())
        else:
            length = self.headers.get("Content-Length", "0")
            if not length.isdecimal():
                raise _Unreadable(400, f"Content-Length is {length!r}")
            raw = self._read(int(length), 0)
        return decompress(raw, self.headers.get("Content-Encoding", "identity").lower())

    def _chunks(self) -> Iterator[bytes]:
        total = 0
        while True:
            line = self.rfile.readline(64).split(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError as error:
                raise _Unreadable(400, f"{line!r} is no chunk size") from error
            if size == 0:
                break
            yield self._read(size, total)
            total += size
            self.rfile.readline(8)
        while self.rfile.readline(65_536).strip():
            pass

    def _read(self, size: int, before: int) -> bytes:
        if size < 0 or size + before > MAX_BODY:
            raise _Unreadable(413, f"the body is larger than {MAX_BODY} bytes")
        data = self.rfile.read(size)
        if len(data) != size:
            raise _Unreadable(400, f"the body ended after {len(data)} of {size} bytes")
        return data

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value.replace("\r", " ").replace("\n", " "))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        _LOG.debug(format, *args)


def decompress(data: bytes, encoding: str) -> bytes:
    """Return a body without its content encoding: gzip, deflate, zstd or lz4."""
    if encoding == "identity":
        return data
    make, invalid = _decompressor(encoding)
    try:
        return _frames(make, data)
    except (invalid, EOFError, ValueError) as error:
        raise _Unreadable(400, f"the body is no valid {encoding}: {error}") from error


def _decompressor(encoding: str) -> tuple[Callable[[], Any], type[Exception]]:
    """Return what makes a decompressor, and the error that it raises for bad data."""
    try:
        if encoding in ("gzip", "deflate"):
            return lambda: zlib.decompressobj(47), zlib.error
        if encoding == "lz4":
            return importlib.import_module("lz4.frame").LZ4FrameDecompressor, RuntimeError
        if encoding == "zstd":
            zstd = importlib.import_module("backports.zstd")
            return zstd.ZstdDecompressor, zstd.ZstdError
    except ImportError as error:
        raise _Unreadable(415, f"{encoding} is not installed here; send gzip") from error
    raise _Unreadable(415, f"unknown Content-Encoding {encoding!r}")


def _frames(make: Callable[[], Any], data: bytes) -> bytes:
    """Decompress frames that follow each other; clients send one for each block."""
    parts: list[bytes] = []
    room = MAX_BODY
    while data:
        frame = make()
        part = _bounded(frame, data, room)
        parts.append(part)
        room -= len(part)
        data = frame.unused_data or b""
    return b"".join(parts)


def _bounded(decompressor: Any, data: bytes, room: int = MAX_BODY) -> bytes:
    plain: bytes = decompressor.decompress(data, room)
    if len(plain) >= room:
        raise _Unreadable(413, f"the body is larger than {MAX_BODY} bytes when unpacked")
    if not decompressor.eof:
        raise EOFError("it ends too early")
    return plain

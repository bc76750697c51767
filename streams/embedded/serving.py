"""Plain HTTP servers on a loopback port: a function from requests to responses, served.

On loopback only local names are accepted as Host and no foreign Origin, so that a page in a
browser cannot reach a server here by a name that it controls.
"""

import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from streams.embedded.packing import MAX_BODY, Unreadable, decompress
from streams.embedded.processes import LOOPBACK
from streams.errors import StackError

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
    gone: Callable[[], bool] = bool
    """Tells whether the client has closed its connection."""
    pairs: Sequence[tuple[str, str]] = ()
    """The query, for names that are given more than once."""


class Cut(Exception):
    """Raised by the parts of an answer that must end unfinished, so that its reader notices."""


@dataclass(frozen=True, slots=True)
class Response:
    """What it gets; a body in parts is sent in chunks, and closed when it has a `close`."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    content_type: str = "text/plain; charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Application = Callable[[Request], Response]


def serve(
    application: Application,
    port: int,
    host: str = LOOPBACK,
    ended: threading.Event | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or `ended`; requests that run then get a few seconds to finish.

    Call it from the main thread. Raises StackError when the port cannot be had.
    """
    busy = _Busy()
    try:
        server = _Server((host, port), partial(_Handler, application, busy))
    except OSError as error:
        raise StackError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    ended = ended or threading.Event()
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
            response = self._response()
            try:
                self._send(response)
            finally:
                getattr(response.body, "close", lambda: None)()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - http.server's names

    def _response(self) -> Response:
        try:
            self._refuse_foreign()
            split = urlsplit(self.path)
            pairs = parse_qsl(split.query, keep_blank_values=True)
            query = dict(pairs)
            body = self._body()
            return self._application(
                Request(self.command, split.path, query, self.headers, body, self._gone, pairs)
            )
        except Unreadable as error:
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
            raise Unreadable(403, f"{given!r} is not a name of this machine")
        if origin is not None and urlsplit(origin).netloc != given:
            raise Unreadable(403, f"requests from pages of {origin!r} are not served")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raw = b"".join(self._chunks())
        else:
            length = self.headers.get("Content-Length", "0")
            if not length.isdecimal():
                raise Unreadable(400, f"Content-Length is {length!r}")
            raw = self._read(int(length), 0)
        return decompress(raw, self.headers.get("Content-Encoding", "identity").lower())

    def _chunks(self) -> Iterator[bytes]:
        total = 0
        while True:
            line = self.rfile.readline(64).split(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError as error:
                raise Unreadable(400, f"{line!r} is no chunk size") from error
            if size == 0:
                break
            yield self._read(size, total)
            total += size
            self.rfile.readline(8)
        while self.rfile.readline(65_536).strip():
            pass

    def _read(self, size: int, before: int) -> bytes:
        if size < 0 or size + before > MAX_BODY:
            raise Unreadable(413, f"the body is larger than {MAX_BODY} bytes")
        data = self.rfile.read(size)
        if len(data) != size:
            raise Unreadable(400, f"the body ended after {len(data)} of {size} bytes")
        return data

    def _gone(self) -> bool:
        try:
            waiting: bytes = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return waiting == b""

    def _send(self, response: Response) -> None:
        body = response.body
        whole = isinstance(body, bytes)
        chunked = not whole and self.request_version != "HTTP/1.0"
        self.close_connection = self.close_connection or not (whole or chunked)
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        if isinstance(body, bytes):
            self.send_header("Content-Length", str(len(body)))
        elif chunked:
            self.send_header("Transfer-Encoding", "chunked")
        for name, value in response.headers.items():
            self.send_header(name, value.replace("\r", " ").replace("\n", " "))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body) if isinstance(body, bytes) else self._send_parts(body, chunked)

    def _send_parts(self, parts: Iterable[bytes], chunked: bool) -> None:
        try:
            for part in parts:
                if part:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                    self.wfile.flush()
        except Cut:
            self.close_connection = True
            return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        _LOG.debug(format, *args)

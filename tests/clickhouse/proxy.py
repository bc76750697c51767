"""An HTTP proxy before ClickHouse that does it harm on demand."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FULL = "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"
BROKEN = "Code: 469. DB::Exception: Constraint `no_poison` is violated. (VIOLATED_CONSTRAINT)"
POISON = b"poison"
KEPT = ("Content-Type", "Content-Encoding", "Authorization", "User-Agent")


class Harm(Enum):
    """What becomes of requests, or of inserts alone where it says so."""

    NONE = "passed on"
    FULL = "inserts are refused for lack of disk space"
    SILENT = "nobody answers until the harm is over; then the connection ends"
    PICKY = "inserts that hold a certain word are refused for it, dead letters apart"
    SPOILED = "inserts are acknowledged and not carried out, as when a disk fills up meanwhile"
    LOST = "inserts are carried out, and their answers lost"


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a port of this machine; `harm` may be changed at any time."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.harm = Harm.NONE
        self.harmed = 0
        self.over = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Say nothing: connections end as a test wants."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def set(self, harm: Harm) -> None:
        """Do this harm from now on."""
        self.over.set()
        self.over = threading.Event()
        self.harm = harm


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or -1)
        body = self.rfile.read(length) if length >= 0 else self._chunks()
        insert = b"INSERT INTO" in body[:200] or "INSERT+INTO" in self.path
        letters = b"dead_letters" in self.path.encode() + body[:200]
        harm = self.server.harm
        if harm is Harm.SILENT:
            self.server.harmed += 1
            self.server.over.wait()
            self.close_connection = True
        elif harm is Harm.FULL and insert:
            self._refuse(243, FULL)
        elif harm is Harm.SPOILED and insert:
            self.server.harmed += 1
            self._send(200, b"", {})
        elif harm is Harm.PICKY and insert and POISON in body and not letters:
            self._refuse(469, BROKEN)
        else:
            status, answer, headers = self._ask(body)
            if harm is Harm.LOST and insert:
                self.server.harmed += 1
                self.close_connection = True
                return
            self._send(status, answer, headers)

    do_GET = do_POST  # noqa: N815 - http.server's name

    def _refuse(self, code: int, text: str) -> None:
        self.server.harmed += 1
        self._send(500, f"{text}\n".encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        given = {name: value for name, value in self.headers.items() if name in KEPT}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=30)
        try:
            connection.request(self.command, self.path, body, given)
            found = connection.getresponse()
            headers = {k: v for k, v in found.getheaders() if k.startswith("X-ClickHouse")}
            return found.status, found.read(), headers
        finally:
            connection.close()

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """Run a proxy before a port while the block runs."""
    proxy = Proxy(target)
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.set(Harm.NONE)
        proxy.shutdown()
        proxy.server_close()

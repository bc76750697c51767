"""/live, /ready and /metrics of a process, on a loopback port of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

LOOPBACK = "127.0.0.1"
Check = Callable[[], bool]


@contextmanager
def serving(
    port: int, ready: Check, live: Check = lambda: True, host: str = LOOPBACK
) -> Iterator[None]:
    """Serve while the block runs; port 0 serves nothing.

    /ready and /live answer 200 or 503, /metrics what the Prometheus client has counted.
    """
    if port == 0:
        yield
        return
    handler = type("Handler", (_Handler,), {"checks": {"/ready": ready, "/live": live}})
    with ThreadingHTTPServer((host, port), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    checks: dict[str, Check]

    def do_GET(self) -> None:
        check = self.checks.get(self.path)
        if self.path == "/metrics":
            self._send(200, generate_latest(), CONTENT_TYPE_LATEST)
        elif check is None:
            self._send(404, b"/live, /ready and /metrics are served here\n")
        elif check():
            self._send(200, b"ok\n")
        else:
            self._send(503, b"not yet\n")

    def handle(self) -> None:
        """Answer; one who has gone meanwhile, tired of a process that stood still, is let go."""
        with suppress(ConnectionError):
            super().handle()

    def _send(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: probes come every second."""

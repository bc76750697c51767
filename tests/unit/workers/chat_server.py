"""A local server that speaks the chat protocol of OpenAI-compatible endpoints, and fails on demand.

What it answers next is the first of `answers`; the last one stays. Requests are kept.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LATE_S = 1.5


def completion(text: Any, **more: Any) -> dict[str, Any]:
    """Return an answer as such servers give it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}
    return {"id": "1", "model": "tiny-1", "choices": [choice], "usage": usage} | more


class ChatServer(ThreadingHTTPServer):
    """Serves on a free port of the loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Any] = [completion("All is told.")]
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.tokens: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next(self) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.server.requests.append(json.loads(self.rfile.read(size)))
        self.server.paths.append(self.path)
        self.server.tokens.append(self.headers.get("Authorization", ""))
        with contextlib.suppress(OSError):
            self._answer(self.server.next())

    def _answer(self, wanted: Any) -> None:
        match wanted:
            case "late":
                self.server.closing.wait(LATE_S)
            case "endless":
                self._endless()
            case "huge":
                self._send(200, b'"' + b"x" * 400_000 + b'"')
            case "broken off":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"choices"')
            case int(status), dict(headers):
                self._send(status, b'{"error": {"message": "secret of the house"}}', headers)
            case bytes(raw):
                self._send(200, raw, {"Content-Type": "text/html"})
            case _:
                self._send(200, json.dumps(wanted).encode())

    def _endless(self) -> None:
        """Drip without end, as a stream that nobody asked for."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        while not self.server.closing.is_set():
            self.wfile.write(b"data: {}\n\n")
            time.sleep(0.02)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[ChatServer]:
    """Run a server in a thread until the end."""
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()

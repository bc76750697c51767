"""A server of one model over HTTP on this machine: Open Inference Protocol and plain JSON."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.loopback import running

METADATA = {
    "name": "scale",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1]},
        {"name": "scaled", "datatype": "FP32", "shape": [-1, 3]},
    ],
}


@dataclass
class Served:
    """What the server does: `answer` instead of its own, `hangs_s` before it, and what it saw."""

    metadata: Any = field(default_factory=lambda: METADATA)
    status: int = 200
    answer: Any = None
    hangs_s: float = 0.0
    drops_after: int = 1_000_000
    drips: bool = False
    drips_head: bool = False
    connections: int = 0
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answered = 0

    @property
    def served(self) -> Served:
        assert isinstance(self.server, _Server)
        return self.server.served

    def setup(self) -> None:
        self.served.connections += 1
        super().setup()

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self._note()
        self._answer(self.served.metadata)

    def do_POST(self) -> None:
        self._note()
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.answered >= self.served.drops_after:
            self.close_connection = True
            return
        time.sleep(self.served.hangs_s)
        self._answer(self.served.answer if self.served.answer is not None else self._own(told))
        self.answered += 1

    def _note(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.served.requests.append((self.command, self.path, headers))

    def _own(self, told: Any) -> Any:
        if self.path.endswith("/infer"):
            (given,) = told["inputs"]
            width = given["shape"][1]
            data = given["data"]
            rows = [data[start : start + width] for start in range(0, len(data), width)]
        else:
            rows = told["inputs"]
        labels = [row.index(max(row)) for row in rows]
        scaled = [[2 * value for value in row] for row in rows]
        if not self.path.endswith("/infer"):
            return {"outputs": {"label": labels, "scaled": scaled}}
        flat = [value for row in scaled for value in row]
        return {
            "outputs": [
                {"name": "scaled", "datatype": "FP32", "shape": [len(rows), 3], "data": flat},
                {"name": "label", "datatype": "INT64", "shape": [len(rows)], "data": labels},
            ]
        }

    def _answer(self, content: Any) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(self.served.status)
        self.send_header("Content-Length", str(len(body)))
        if self.served.drips_head:
            self.flush_headers()
            for _ in range(200):
                self.wfile.write(b"X")
                time.sleep(0.01)
        self.end_headers()
        for start in range(0, len(body), 1 if self.served.drips else len(body) or 1):
            self.wfile.write(body[start : start + (1 if self.served.drips else len(body))])
            if self.served.drips:
                time.sleep(0.01)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, served: Served) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.served = served

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], _: Any) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def model_server(served: Served) -> Iterator[Served]:
    with running(_Server(served)) as url:
        served.url = f"{url}/v2/models/scale"
        yield served

"""A store of objects over HTTP on this machine, with the faults that a test asks for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.loopback import running


@dataclass
class ObjectStore:
    """`objects` by path; `faults` are used up one a request: bytes after which it breaks off, or
    a negative status with which it answers; `ranges` whether it can begin in the middle, `told`
    what it says of lengths instead of the truth, `stall` what it waits for half way."""

    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)
    ranges: bool = True
    redirect: str = ""
    lengths: bool = True
    told: str = ""
    stall: threading.Event | None = None
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    @property
    def _store(self) -> ObjectStore:
        assert isinstance(self.server, _Server)
        return self.server.store

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        store = self._store
        headers = {name.lower(): value for name, value in self.headers.items()}
        store.seen.append(("GET", self.path, headers))
        fault = store.faults.pop(0) if store.faults else None
        content = store.objects.get(self.path.partition("?")[0])
        if store.redirect and not store.redirect.endswith(self.path):
            self._end(302, {"Location": store.redirect})
        elif fault is not None and fault < 0:
            self._end(-fault, {})
        elif content is None:
            self._end(404, {})
        else:
            self._give(content, headers.get("range", ""), fault)

    def do_PUT(self) -> None:
        store = self._store
        headers = {name.lower(): value for name, value in self.headers.items()}
        store.seen.append(("PUT", self.path, headers))
        body = self.rfile.read(int(headers["content-length"]))
        if store.faults:
            self._end(-store.faults.pop(0), {})
            return
        store.objects[self.path] = body
        self._end(200, {})

    def do_DELETE(self) -> None:
        store = self._store
        store.seen.append(("DELETE", self.path, {}))
        if store.faults:
            self._end(-store.faults.pop(0), {})
            return
        store.objects.pop(self.path, None)
        self._end(204, {})

    def _give(self, content: bytes, wanted: str, fault: int | None) -> None:
        store = self._store
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0) if store.ranges else 0
        if start >= len(content) and wanted:
            self._end(416, {})
            return
        part = content[start:]
        headers = {"Content-Length": store.told or str(len(part))} if store.lengths else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._begin(206 if start else 200, headers)
        if store.stall is not None:
            self.wfile.write(part[: len(part) // 2])
            store.stall.wait(30)
            part = part[len(part) // 2 :]
        self.wfile.write(part if fault is None else part[:fault])

    def _end(self, status: int, headers: dict[str, str]) -> None:
        self._begin(status, {**headers, "Content-Length": "0"})

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = store


@contextmanager
def serving(store: ObjectStore) -> Iterator[ObjectStore]:
    with running(_Server(store)) as url:
        store.url = url
        yield store

"""Local callers over HTTP: the Open Inference Protocol on a port of the loopback.

A thread per connection, as many as settings allow. On the loopback only local names are taken as
Host, and no page of another origin, so that a page in a browser cannot reach a worker by a name
that it controls.
"""

import contextlib
import errno
import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from schemas.inference import InferenceTask
from workers.clock import fine_ms
from workers.edge import protocol
from workers.edge.desk import Desk
from workers.edge.elsewhere import SHED, Elsewhere
from workers.edge.errors import LocalRefusal, NotListening
from workers.edge.protocol import Asked
from workers.inference.replicas import Hosted
from workers.settings import LocalCallSettings
from workers.telemetry import logger

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
IDLE_S: Final = 30.0
"""A connection that says nothing for so long is closed."""
OVERTIME_S: Final = 30.0
"""How long after its deadline a caller is still told what became of its request."""
AGAIN_S: Final = 0.5
TURN_AWAY_S: Final = 1.0
DISCARDED: Final = 64 * 1_048_576
"""Most bytes of a body that is too large that are read at all."""
JSON: Final = "application/json"

log = logger(__name__)
Answer = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Local:
    """What local callers are answered from; `elsewhere` asks others where there is no time."""

    desk: Desk
    settings: LocalCallSettings
    worker: str
    live: Callable[[], bool]
    ready: Callable[[], bool]
    elsewhere: Elsewhere | None = None
    callers: threading.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "callers", threading.Semaphore(self.settings.callers))

    def get(self, path: list[str]) -> Answer:
        """Answer a GET of a path below /v2. Raises LocalRefusal."""
        match path:
            case []:
                return _told({"name": "weir", "version": version("weir"), "extensions": []})
            case ["health", "live"]:
                return _checked("live", self.live())
            case ["health", "ready"]:
                return _checked("ready", self.ready())
            case ["models", name, *rest]:
                hosted = self._hosted(name, rest)
                if rest[-1:] == ["ready"]:
                    return _told({"name": name, "ready": True})
                return _told(protocol.metadata(name, hosted))
        raise LocalRefusal(404, "there is /v2, /v2/health/live, /v2/health/ready, /v2/models/NAME")

    def post(self, path: list[str], body: bytes) -> Answer:
        """Answer a request for an inference. Raises LocalRefusal."""
        match path:
            case ["models", name, *rest] if rest[-1:] == ["infer"]:
                hosted = self._hosted(name, rest)
            case _:
                raise LocalRefusal(404, "POST /v2/models/NAME/infer")
        asked = protocol.read(body, hosted)
        task = self._task(hosted, asked)
        patience_s = (task.deadline - task.created_at) / 1000 + OVERTIME_S
        call = self.desk.ask(task, patience_s)
        if call.result is None:
            raise LocalRefusal(503, "the worker stops")
        result, outputs = call.result, call.outputs
        if self.elsewhere is not None and result.status in SHED and not asked.forwarded:
            result, outputs = self.elsewhere.serve(task, hosted, result)
        return protocol.answer(name, hosted, asked, result, outputs)

    def _hosted(self, name: str, rest: list[str]) -> Hosted:
        hosted = self.desk.served.get(name)
        if hosted is None:
            known = ", ".join(sorted(self.desk.served)) or "none"
            raise LocalRefusal(404, f"no model {name!r} is served here now; served: {known}")
        expected = protocol.version_of(hosted)
        match rest:
            case [] | ["ready"] | ["infer"]:
                return hosted
            case ["versions", number, *end] if end in ([], ["ready"], ["infer"]):
                if number == expected:
                    return hosted
                raise LocalRefusal(404, f"version {number!r} of {name!r}; served: {expected}")
        raise LocalRefusal(404, f"models/{name} has ready and infer")

    def _task(self, hosted: Hosted, asked: Asked) -> InferenceTask:
        now, service = fine_ms(), hosted.service
        given_ms = asked.deadline_ms or self.settings.deadline_ms
        request = f"{asked.source}/{uuid.uuid4().hex}" if asked.source else uuid.uuid4().hex
        return InferenceTask(
            task_id=f"local/{request}",
            request_id=request,
            app=service.app,
            stage=service.stage,
            service=service.service,
            instance=hosted.instance,
            worker=self.worker,
            attempt=0,
            priority=asked.priority,
            created_at=int(now),
            deadline=int(now + given_ms),
            generation=0,
            inputs=asked.inputs,
        )


@contextmanager
def listening(local: Local) -> Iterator[None]:
    """Answer local callers while the block runs; port 0 answers nobody. Raises NotListening."""
    own = local.settings
    if own.port == 0:
        yield
        return
    if own.host not in LOOPBACK:
        log.warning(
            "local.open_to_others",
            host=own.host,
            port=own.port,
            why="whoever reaches this address is served, without a password or encryption",
        )
    stop = threading.Event()
    first = _opened(local)
    thread = threading.Thread(target=_serve, args=(local, first, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _serve(local: Local, first: ThreadingHTTPServer | None, stop: threading.Event) -> None:
    """Serve until `stop`; wait for the port where another process has it."""
    server = first
    if server is None:
        log.warning("local.port_taken", port=local.settings.port, why="waiting until it is free")
    while server is None:
        if stop.wait(AGAIN_S):
            return
        with contextlib.suppress(NotListening):
            server = _opened(local)
    log.info("local.listening", host=local.settings.host, port=server.server_port)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    stop.wait()
    server.shutdown()
    server.server_close()
    serving.join()


def _opened(local: Local) -> ThreadingHTTPServer | None:
    """Return a server, None when another process has the port. Raises NotListening."""
    own = local.settings
    handler = type("Handler", (_Handler,), {"local": local})
    server_class = _Server6 if ":" in own.host else _Server
    try:
        return server_class((own.host, own.port), handler)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None  # another process has it, such as the one that this one succeeds
        raise NotListening(
            f"cannot listen for local callers on {own.host}:{own.port}: {error}; "
            "set WEIR_LOCAL_CALLS__HOST and WEIR_LOCAL_CALLS__PORT"
        ) from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - base
        """Log what went wrong with a connection."""
        log.warning("local.connection_failed", client=str(client_address), exc_info=True)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    local: Local
    protocol_version = "HTTP/1.1"
    server_version = "weir"
    sys_version = ""
    wbufsize = 65_536
    disable_nagle_algorithm = True
    timeout = IDLE_S

    def handle(self) -> None:
        """Serve a connection, if there are not too many; a caller that is gone is no news."""
        if not self.local.callers.acquire(blocking=False):
            with contextlib.suppress(ConnectionError, TimeoutError):
                self._turn_away()
            return
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            self.local.callers.release()

    def _turn_away(self) -> None:
        """Hear what is asked, for a moment, and say that there are too many."""
        self.connection.settimeout(TURN_AWAY_S)
        self.raw_requestline = self.rfile.readline(65_537)
        if self.parse_request():
            length = self.headers.get("Content-Length", "")
            self._discarded(int(length) if length.isdecimal() else 0)
            self.close_connection = True
            most = self.local.settings.callers
            self._send(503, _error(f"{most} callers are connected already"))

    def do_GET(self) -> None:
        self._answer(self.local.get)

    def do_POST(self) -> None:
        self._answer(lambda path: self.local.post(path, self._body()))

    def _answer(self, respond: Callable[[list[str]], Answer]) -> None:
        try:
            self._refuse_foreign()
            status, body = respond(self._path())
        except LocalRefusal as refusal:
            self.close_connection |= self.command == "POST" and not self._read
            status, body = refusal.status, _error(refusal.why)
        self._send(status, body)

    _read = False

    def _path(self) -> list[str]:
        first, *rest = urlsplit(self.path).path.strip("/").split("/")
        if first != "v2":
            raise LocalRefusal(404, "the Open Inference Protocol is served, below /v2")
        return [unquote(part) for part in rest]

    def _body(self) -> bytes:
        most = self.local.settings.body_mib * 1_048_576
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise LocalRefusal(411, "send the body's Content-Length")
        if int(length) > most:
            self._read = self._discarded(int(length))
            raise LocalRefusal(413, f"the body has {length} bytes; at most {most} are taken")
        if self.headers.get("Inference-Header-Content-Length"):
            raise LocalRefusal(400, "binary tensors are not taken; send data as JSON")
        body = self.rfile.read(int(length))
        self._read = True
        if len(body) < int(length):
            raise LocalRefusal(400, f"the body ended after {len(body)} of {length} bytes")
        return body

    def _discarded(self, length: int) -> bool:
        """Read a body that is refused, so that its caller hears why; False when not all of it."""
        left = min(length, DISCARDED)
        while left > 0 and (part := self.rfile.read(min(left, 65_536))):
            left -= len(part)
        return left == 0 and length <= DISCARDED

    def _refuse_foreign(self) -> None:
        self._read = False
        given, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if self.local.settings.host in LOOPBACK and given.rpartition(":")[0] not in NAMES:
            raise LocalRefusal(403, f"{given!r} is not a name of this machine")
        if origin is not None and urlsplit(origin).netloc != given:
            raise LocalRefusal(403, f"requests from pages of {origin!r} are not served")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: what becomes of a call is an event."""


def _told(content: dict[str, Any]) -> Answer:
    return 200, json.dumps(content).encode()


def _checked(name: str, holds: bool) -> Answer:
    return (200 if holds else 503), json.dumps({name: holds}).encode()


def _error(why: str) -> bytes:
    return json.dumps({"error": why}).encode()

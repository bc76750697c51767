"""One kept connection to an HTTP service that answers in JSON, each exchange with a deadline."""

import contextlib
import http.client
import json
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from workers.runtimes.errors import BrokenModel, ExecutionFailed
from workers.runtimes.watchdog import Watchdog

MAX_BYTES = 256 << 20
CHUNK = 1 << 20
BROKEN = (OSError, http.client.HTTPException, ValueError)
"""What http.client raises when an exchange comes to nothing."""
WATCHDOG = Watchdog()
TOLD = 300
"""Characters of an error's body that are passed on."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]


class NoAnswer(ExecutionFailed):
    """The service could not be reached, was too slow, or broke off."""


class Refused(ExecutionFailed):
    """The service answered with another status than 200, or with no JSON; `status` is its own."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Link:
    """Asks one service, one request at a time, over a connection that is kept.

    Inference changes nothing, so a request that a kept connection lost before any answer came is
    sent once more over a new one.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BrokenModel(f"{url!r} is no URL: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise BrokenModel(f"{url!r} must be an http or https URL without name and password")
        self.place = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path or "/"
        self._query = f"?{parts.query}" if parts.query else ""
        self._headers = {"Accept": "application/json", **headers}
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(parts.hostname, port)
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        weakref.finalize(self, self._connection.close)

    def ask(self, method: str, path: str, message: Any, deadline_ms: float) -> Any:
        """Return the JSON that the service answers; `message` None sends no body.

        Raises NoAnswer, Refused; ExecutionFailed for a message that JSON cannot carry.
        """
        headers = dict(self._headers)
        body = None
        if message is not None:
            headers["Content-Type"] = "application/json"
            body = _written(message)
        request = _Request(method, path + self._query, body, headers)
        with self._lock:
            status, reason, content = self._exchanged(request, deadline_ms)
        if status != 200:
            raise Refused(f"{self.place}: {status} {reason}{_told(content)}", status)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Refused(f"{self.place}: its answer is no JSON: {error}", status) from error

    def _exchanged(self, request: _Request, deadline_ms: float) -> tuple[int, str, bytes]:
        """Return status, reason and body. Raises NoAnswer; the connection is closed then."""
        until = time.monotonic() + deadline_ms / 1000
        try:
            with WATCHDOG.over(deadline_ms / 1000, self._cut):
                answer = self._begun(request, until)
                content = self._read(answer, until)
        except BaseException as error:
            self._connection.close()
            if isinstance(error, BROKEN):
                late = isinstance(error, TimeoutError) or time.monotonic() >= until
                why = f"no answer in {deadline_ms:g} ms" if late else error or type(error).__name__
                raise NoAnswer(f"{self.place}: {why}") from error
            raise
        return answer.status, answer.reason, content

    def _cut(self) -> None:
        """End a transfer of which something comes now and then, but never all."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # beneath TLS, if any

    def _begun(self, request: _Request, until: float) -> http.client.HTTPResponse:
        """Return the answer to a request; once more where a kept connection is found closed."""
        kept = self._connection.sock is not None
        try:
            return self._sent(request, until)
        except (http.client.RemoteDisconnected, ConnectionError):
            if not kept:
                raise
            self._connection.close()
            return self._sent(request, until)

    def _sent(self, request: _Request, until: float) -> http.client.HTTPResponse:
        """Send a request and return the answer, of which only the head has been read."""
        if self._connection.sock is None:
            self._connection.timeout = _left(until)
            self._connection.connect()
        self._socket = self._connection.sock  # which the connection forgets with its last answer
        self._wait_at_most(until)
        self._connection.request(request.method, request.path, request.body, dict(request.headers))
        self._wait_at_most(until)
        return self._connection.getresponse()

    def _read(self, answer: http.client.HTTPResponse, until: float) -> bytes:
        content = bytearray()
        while True:
            self._wait_at_most(until)
            chunk = answer.read1(CHUNK)
            if not chunk:
                break
            content += chunk
            if len(content) > MAX_BYTES:
                raise NoAnswer(f"{self.place}: its answer has more than {MAX_BYTES} bytes")
        self._wait_at_most(until)
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        answer.close()  # at its end it is not closed by itself, and the next request would wait
        return bytes(content)

    def _wait_at_most(self, until: float) -> None:
        left = _left(until)
        if self._connection.sock is not None:
            self._connection.sock.settimeout(left)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _written(message: Any) -> bytes:
    try:
        return json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise ExecutionFailed(f"inputs that JSON cannot carry: {error}") from error


def _told(content: bytes) -> str:
    """Return what an error's body says, from its `error` where it is JSON that has one."""
    text = content.decode("utf-8", "replace").strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and isinstance(found.get("error"), str):
        text = found["error"]
    return f": {text[:TOLD]}" if text else ""

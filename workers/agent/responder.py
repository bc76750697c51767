"""Lets neighbours measure the way to this agent: a small, bounded TCP server."""

import contextlib
import secrets
import socket
import threading
import time
from types import TracebackType

from typing_extensions import Self

from workers.agent import echoing
from workers.errors import WorkerError

PATIENCE_S = 5.0
AGAIN_S = 0.2
"""After so long it listens again when there were no files left, say, for a connection."""
CHUNK = bytes(65_536)


class NotToBeServed(WorkerError):
    """A responder was asked to listen where it must not, or cannot."""


class Responder:
    """Answers on a port while it is open; `port` is the one it has, also when 0 was asked for.

    At most four connections at a time, each of 64 requests, 8 MiB a request and 20 s. Raises
    NotToBeServed for an address that is not the loopback without a token, and for one that is
    taken.
    """

    def __init__(self, host: str, port: int, token: str = "") -> None:
        if host not in echoing.LOOPBACK and not token:
            raise NotToBeServed(
                f"to listen on {host} others must be told from strangers: set a token "
                "(WEIR_AGENT__TOKEN), the same for all agents, or listen on 127.0.0.1"
            )
        try:
            self._socket = socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=8
            )
        except OSError as error:
            raise NotToBeServed(f"cannot listen on {host}:{port}: {error}") from error
        self.port: int = self._socket.getsockname()[1]
        self._token = token
        self._closing = threading.Event()
        self._free = threading.BoundedSemaphore(echoing.MOST_CONNECTIONS)
        self._thread = threading.Thread(target=self._accept, name="responder", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Listen no more; connections that are open end by themselves."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                self._closing.wait(AGAIN_S)
                continue
            if not self._free.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError), connection:  # whoever is gone needs no answer
                connection.settimeout(PATIENCE_S)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._talk(connection, time.monotonic() + echoing.LIFE_S)
        finally:
            self._free.release()

    def _talk(self, connection: socket.socket, until: float) -> None:
        nonce = secrets.token_bytes(echoing.NONCE)
        connection.sendall(echoing.GREETING + nonce)
        given = receive(connection, echoing.PROOF, until)
        if not echoing.proven(self._token, nonce, given):
            return
        connection.sendall(echoing.WELCOME)
        for _ in range(echoing.MOST_REQUESTS):
            request = receive(connection, echoing.REQUEST.size, until)
            kind, number = echoing.REQUEST.unpack(request)
            if kind != echoing.ECHO and number > echoing.MOST_BYTES:
                return
            if kind == echoing.UP:
                skip(connection, number, until)
            if kind == echoing.DOWN:
                send(connection, number, until)
            else:
                connection.sendall(request)


def receive(connection: socket.socket, size: int, until: float) -> bytes:
    """Return exactly so many bytes. Raises OSError when they do not come in time."""
    parts = bytearray()
    while len(parts) < size:
        parts += _some(connection, size - len(parts), until)
    return bytes(parts)


def skip(connection: socket.socket, size: int, until: float) -> None:
    """Read so many bytes and forget them. Raises OSError when they do not come in time."""
    while size:
        size -= len(_some(connection, min(size, len(CHUNK)), until))


def send(connection: socket.socket, size: int, until: float) -> None:
    """Send so many bytes. Raises OSError when they are not taken in time."""
    while size:
        if time.monotonic() > until:
            raise TimeoutError("the connection has lived for too long")
        part = min(size, len(CHUNK))
        connection.sendall(memoryview(CHUNK)[:part])
        size -= part


def _some(connection: socket.socket, most: int, until: float) -> bytes:
    if time.monotonic() > until:
        raise TimeoutError("the connection has lived for too long")
    part = connection.recv(most)
    if not part:
        raise ConnectionResetError("the other side has ended")
    return part

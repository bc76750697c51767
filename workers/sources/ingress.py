"""An HTTP port that takes frames: POST /frames, one a request, bounded in every way.

202 with the id of the request that is to be; 400 and 415 for what is no frame, 401 for a wrong
token, 408 for a body that does not come, 413 for one that is too large; 429 when as many wait as
may, 503 while Kafka is behind, or it ends. GET /ready is 200 while frames are taken.
"""

import asyncio
import hmac
import json
import math
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from aiohttp import web
from typing_extensions import Self

from workers.clock import wall_ms
from workers.settings import SourceSettings
from workers.sources import bodies
from workers.sources.errors import SourceLost, UnusableSource
from workers.sources.forms import Form
from workers.sources.live import Captured
from workers.telemetry import logger

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
READ_S = 10.0
"""Longest wait for the body of a request."""
START_S = 10.0
UNPACKED_AT_ONCE = 2
"""A picture of a few bytes can be of many when it is unpacked."""

log = logger(__name__)


class _Refusal(Exception):
    """Status of HTTP, why, and after how many seconds to try again, 0 for never."""

    def __init__(self, status: int, why: str, after_s: int = 0) -> None:
        super().__init__(why)
        self.status, self.after_s = status, after_s


class Ingress:
    """A context manager; a thread of its own serves. `port` is the one it has.

    `rate_hz` is at what rate frames are taken from here, `held_up` tells why nothing can be sent
    just now, or nothing. `refused` counts what was turned away for want of room. Raises SourceLost
    for an address that is not the loopback without a token, and for one that is taken.
    """

    kind = "http"
    left_out = 0
    """Nothing that was accepted is replaced."""

    def __init__(
        self,
        address: tuple[str, int],
        settings: SourceSettings,
        form: Form,
        rate_hz: float,
        new_id: Callable[[], str],
        held_up: Callable[[], str] = str,
    ) -> None:
        self._host, self.port = address
        self._settings, self._form, self._rate_hz = settings, form, rate_hz
        self._new_id, self._held_up = new_id, held_up
        self._token = settings.token.get_secret_value()
        if self._host not in LOOPBACK and not self._token:
            raise SourceLost(
                f"to listen on {self._host} set a token (WEIR_SOURCE__TOKEN), or take 127.0.0.1"
            )
        self._unpacking = ThreadPoolExecutor(UNPACKED_AT_ONCE, thread_name_prefix="unpacking")
        self._changed = threading.Condition()
        self._waiting: deque[Captured] = deque()
        self._inside = 0
        self._closing = False
        self.refused = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ingress", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(START_S)
        except OSError as error:
            self._end()
            raise SourceLost(
                f"cannot listen on {self._host}:{self.port}: {error.strerror or error}"
            ) from error
        log.info("ingress.listens", host=self._host, port=self.port)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._end()

    def take(self, timeout_s: float) -> Captured | None:
        """Return the frame that has waited longest; None when none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout_s)
            return self._waiting.popleft() if self._waiting else None

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._unpacking.shutdown()

    async def _start(self) -> None:
        app = web.Application(client_max_size=self._settings.max_body)
        app.router.add_post("/frames", self._post)
        app.router.add_get("/ready", self._ready)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, auto_decompress=False
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]

    async def _ready(self, _: web.Request) -> web.Response:
        why = self._obstacle()
        return web.json_response({"ready": not why, "reason": why}, status=503 if why else 200)

    async def _post(self, request: web.Request) -> web.Response:
        try:
            self._admit(request)
        except _Refusal as refusal:
            return _told(refusal)
        try:
            captured = await self._captured(request)
        except _Refusal as refusal:
            return _told(refusal)
        finally:
            with self._changed:
                self._inside -= 1
        with self._changed:
            self._waiting.append(captured)
            self._changed.notify()
        answer = {"request_id": captured.request_id, "frame_digest": captured.frame.digest}
        return web.json_response(answer, status=202)

    def _admit(self, request: web.Request) -> None:
        """Keep a place for a request's frame. Raises _Refusal when there is none for it."""
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if self._token and not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise _Refusal(401, "send the token: Authorization: Bearer <token>")
        if request.content_type not in bodies.KINDS:
            raise _Refusal(
                415, f"Content-Type {request.content_type!r}; send {', '.join(bodies.KINDS)}"
            )
        if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise _Refusal(415, "send bodies without a Content-Encoding")
        why = self._obstacle()
        with self._changed:
            taken = len(self._waiting) + self._inside
            full = taken >= self._settings.waiting
            self.refused += bool(why) or full
            self._inside += not (why or full)
        if why:
            raise _Refusal(503, why, 1)
        if full:
            after_s = math.ceil(taken / self._rate_hz)
            raise _Refusal(
                429, f"{taken} frames wait, {self._rate_hz:g} are taken a second", after_s
            )

    def _obstacle(self) -> str:
        return "it ends" if self._closing else self._held_up()

    async def _captured(self, request: web.Request) -> Captured:
        """Return the frame of a body. Raises _Refusal."""
        try:
            body = await asyncio.wait_for(request.read(), READ_S)
        except asyncio.TimeoutError as error:
            raise _Refusal(408, f"the body has not come within {READ_S:g} s") from error
        except web.HTTPRequestEntityTooLarge as error:
            raise _Refusal(
                413, f"the body is larger than {self._settings.max_body} bytes"
            ) from error
        except web.RequestPayloadError as error:
            raise _Refusal(400, f"the body cannot be read: {error}") from error
        at_ms = wall_ms()
        try:
            frame = await asyncio.to_thread(bodies.frame_of, body, request.content_type, self._form)
        except UnusableSource as error:
            raise _Refusal(400, str(error)) from error
        return Captured(frame, at_ms, self._new_id())


def _told(refusal: _Refusal) -> web.Response:
    headers = {"Retry-After": str(refusal.after_s)} if refusal.after_s else {}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        status=refusal.status,
        body=json.dumps({"error": str(refusal)}).encode(),
        content_type="application/json",
        headers=headers,
    )

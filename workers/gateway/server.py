"""The gateway's routes: what is asked over HTTP, and how it is answered."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import HttpVersion11, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected
from schemas.registrations import ApplicationRegistered
from workers.gateway import gateway_metrics as metrics
from workers.gateway import open_inference, outcomes, plain
from workers.gateway.access import LOOPBACK, Access, Caller, application, check_origin, token_of
from workers.gateway.asked import Asked, wishes_of
from workers.gateway.asking import Asking
from workers.gateway.control import Control, Order
from workers.gateway.kept import Answered
from workers.gateway.openapi import PAGE, document
from workers.gateway.refusals import Refusal
from workers.settings_outside import GatewaySettings
from workers.telemetry import logger

READ_S = 10.0
"""Longest wait for the body of a request."""
LONGEST_WAIT_S = 60.0
LARGE = 65_536
"""Bodies from this size on are read in a thread, so that nobody else waits."""
_CONTINUE = "100-continue"
JSON, BYTES = "application/json", "application/octet-stream"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What the routes are served with."""

    asking: Asking
    access: Access
    settings: GatewaySettings
    catalogue: Callable[[], Catalogue]
    ready: Callable[[], bool]
    ending: Callable[[], bool]
    control: Control
    version: str


class Routes:
    """The handlers of one gateway."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._loopback = means.settings.host in LOOPBACK
        self._document = json.dumps(document(means.control.verbs(), means.version)).encode()

    def application(self) -> web.Application:
        """Return them as an application of aiohttp."""
        most = self._means.settings.max_body
        app = web.Application(client_max_size=most, middlewares=[self._counted])
        routes = app.router
        routes.add_post("/v1/apps/{app}/infer", self._infer, expect_handler=_expected)
        routes.add_get("/v1/requests/{request}", self._request)
        routes.add_get("/v2", self._server)
        routes.add_get("/v2/health/live", self._live)
        routes.add_get("/v2/health/ready", self._ready)
        routes.add_get("/v2/models/{app}", self._model)
        routes.add_get("/v2/models/{app}/ready", self._model_ready)
        routes.add_post("/v2/models/{app}/infer", self._infer_v2, expect_handler=_expected)
        routes.add_get("/openapi.json", self._openapi)
        routes.add_get("/docs", self._docs)
        routes.add_get("/metrics", self._metrics)
        for noun, verb in self._means.control.verbs():
            handler = partial(self._change, noun=noun, verb=verb.name)
            path = f"/v1{verb.path}"
            routes.add_route(verb.method, path, handler, expect_handler=_expected)
        return app

    def _caller(self, request: web.Request) -> Caller:
        """Return who calls. Raises Refusal."""
        given = request.headers.get("Authorization", "")
        if not token_of(given):
            origin = request.headers.get("Origin", "")
            check_origin(request.host, origin, loopback=self._loopback)
        named = request.headers.get("Weir-Consumer", "")
        return self._means.access.caller(given, named, self._means.catalogue())

    def _app(self, request: web.Request, caller: Caller) -> ApplicationRegistered:
        if not self._means.ready():
            raise Refusal(503, "not ready", "gateway", "Kafka is not reached yet", after_s=1)
        return application(request.match_info["app"], caller, self._means.catalogue())

    async def _infer(self, request: web.Request) -> web.Response:
        caller = self._caller(request)
        app = self._app(request, caller)
        later = "respond-async" in request.headers.get("Prefer", "")
        with self._means.asking.enter(caller) as place:
            asked = await _read(plain.read, await _body(request, JSON), app)
            wishes = wishes_of(request.headers, asked.parameters)
            begun = self._means.asking.begin(app, asked, wishes, place, later=later)
        if later:
            return _accepted(begun.request_id)
        return _plainly(await asyncio.shield(begun.answer))

    async def _request(self, request: web.Request) -> web.Response:
        begun = self._means.asking.find(request.match_info["request"], self._caller(request))
        wait_s = _seconds(request.query.get("wait_s", "0"))
        if not begun.answer.done():
            await asyncio.wait([begun.answer], timeout=wait_s)
        if not begun.answer.done():
            return _accepted(begun.request_id)
        return _plainly(begun.answer.result())

    async def _infer_v2(self, request: web.Request) -> web.Response:
        caller = self._caller(request)
        app = self._app(request, caller)
        header = request.headers.get(open_inference.HEADER, "")
        with self._means.asking.enter(caller) as place:
            body = await _body(request, JSON, BYTES)
            asked = await _read(open_inference.read, body, header)
            wishes = wishes_of(request.headers, asked.parameters)
            begun = self._means.asking.begin(app, asked, wishes, place, later=False)
        answered = await asyncio.shield(begun.answer)
        made = open_inference.written(app.app, outcomes.check(answered.response), asked.form)
        headers = _timing(answered)
        if made.header is None:
            return web.Response(body=made.body, content_type=JSON, headers=headers)
        headers[open_inference.HEADER] = str(made.header)
        return web.Response(body=made.body, content_type=BYTES, headers=headers)

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer refusals, and count answers by path and status; unknown paths are one."""
        try:
            response = await handler(request)
        except Refusal as refusal:
            response = _told(refusal.body(), refusal.status, refusal.headers())
        except web.HTTPException as error:
            refused = Refusal(error.status, error.reason, request.path, "see /docs")
            response = _told(refused.body(), error.status)
        known = request.match_info.route.resource
        path = known.canonical if known else "other"
        metrics.CALLS.labels(path, str(response.status)).inc()
        if self._means.ending() or _unread(request):
            response.force_close()
        return response

    async def _server(self, _: web.Request) -> web.Response:
        extensions = ["binary_tensor_data"]
        return _told({"name": "weir", "version": self._means.version, "extensions": extensions})

    async def _live(self, _: web.Request) -> web.Response:
        return _told({"live": True})

    async def _ready(self, _: web.Request) -> web.Response:
        ready = self._means.ready()
        return _told({"ready": ready}, 200 if ready else 503)

    async def _model(self, request: web.Request) -> web.Response:
        return _told(open_inference.metadata(self._app(request, self._caller(request))))

    async def _model_ready(self, request: web.Request) -> web.Response:
        app = self._app(request, self._caller(request)).app
        ensembles = self._means.catalogue().of(EnsembleSelected)
        ready = any(one.app == app and one.members for one in ensembles.values())
        return _told({"name": app, "ready": ready}, 200 if ready else 503)

    async def _openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type=JSON)

    async def _docs(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _metrics(self, request: web.Request) -> web.Response:
        self._means.access.operator(request.headers.get("Authorization", ""))
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _change(self, request: web.Request, *, noun: str, verb: str) -> web.Response:
        self._means.access.admin(request.headers.get("Authorization", ""))
        body = plain.parsed(await _body(request, JSON)) if request.can_read_body else {}
        order = Order(
            noun,
            verb,
            request.match_info.get("name", ""),
            body,
            request.headers.get("Weir-User", ""),
        )
        status, told = await asyncio.to_thread(self._means.control.do, order)
        return _told(told, status)


async def _expected(request: web.Request) -> web.StreamResponse | None:
    """Leave it to whoever reads a body to ask for it, so that it need not come to be refused."""
    if request.headers["Expect"].lower() == _CONTINUE:
        return None
    refused = Refusal(417, "it is not met here", "Expect", f"send {_CONTINUE}, or nothing")
    return _told(refused.body(), refused.status)


def _unread(request: web.Request) -> bool:
    """Return whether so much of a body was not read that the connection had better end."""
    if request.content.is_eof():
        return False
    size = request.content_length
    return size is None or size >= LARGE or "Expect" in request.headers


async def _body(request: web.Request, *kinds: str) -> bytes:
    """Return the body of a request of one of these types. Raises Refusal."""
    most = request.client_max_size
    too_large = Refusal(
        *(413, f"it is larger than {most} bytes", "body"),
        "send less, or raise WEIR_GATEWAY__MAX_BODY",
    )
    if (request.content_length or 0) > most:
        raise too_large
    if request.content_type not in kinds:
        told = f"it is {request.content_type!r:.80}"
        raise Refusal(415, told, "Content-Type", f"send {' or '.join(kinds)}")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Refusal(415, "it is packed", "Content-Encoding", "send the body as it is")
    try:
        if "Expect" in request.headers and request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        return await asyncio.wait_for(request.read(), READ_S)
    except asyncio.TimeoutError as error:
        raise Refusal(408, f"it has not come within {READ_S:g} s", "body", "ask again") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large from error
    except web.RequestPayloadError as error:
        raise Refusal(400, f"it cannot be read: {error}", "body", "ask again") from error


async def _read(read: Callable[..., Asked], body: bytes, *more: Any) -> Asked:
    if len(body) < LARGE:
        return read(body, *more)
    return await asyncio.to_thread(read, body, *more)


def _seconds(text: str) -> float:
    try:
        return min(LONGEST_WAIT_S, max(0.0, float(text)))
    except ValueError as error:
        raise Refusal(400, f"{text!r:.40} is no number", "wait_s", "send seconds") from error


def _plainly(answered: Answered) -> web.Response:
    told = plain.answer(outcomes.check(answered.response))
    return _told(told, headers=_timing(answered))


def _timing(answered: Answered) -> dict[str, str]:
    """Return the header that says what of a call was the way over the topics."""
    return {"Server-Timing": f"topics;dur={answered.topics_ms:.3f}"}


def _accepted(request_id: str) -> web.Response:
    where = f"/v1/requests/{request_id}"
    told = {"request_id": request_id, "status": "pending", "answer": where}
    return _told(told, 202, {"Location": where, "Retry-After": "1"})


def _told(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    text = json.dumps(content, default=_text, ensure_ascii=False)
    body = text.encode(errors="replace")  # half of a pair, as "\\ud800" in a body that is quoted
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)


def _text(value: Any) -> str:
    """Return bytes, as of a tensor's content in an event, as their digest."""
    return f"sha256:{hashlib.sha256(value).hexdigest()}"

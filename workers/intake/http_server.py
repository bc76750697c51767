"""OTLP and QoA4ML over HTTP: requests in, events to Kafka, and an answer when Kafka has them."""

import hmac
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from workers.errors import WorkerError
from workers.intake import (
    http_answers,
    otlp_body,
    otlp_logs,
    otlp_metrics,
    otlp_spans,
    qoa4ml,
    qoa4ml_events,
)
from workers.intake import intake_metrics as metrics
from workers.intake.deltas import Busy, Draft
from workers.intake.http_answers import Refusal
from workers.intake.receiving import Receiver
from workers.intake.translated import Terms, Translated
from workers.settings import IntakeSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _Signal:
    """One of OTLP's three: its messages, how many points a request has, how it is translated."""

    name: str
    request: Any
    points_in: Callable[[Any], int]
    translate: Callable[[Any, Terms, Draft, int], Translated]
    answer: Callable[[int, str], Any]


def _metrics_answer(count: int, why: str) -> ExportMetricsServiceResponse:
    partial_success = ExportMetricsPartialSuccess(rejected_data_points=count, error_message=why)
    return ExportMetricsServiceResponse(partial_success=partial_success if why else None)


def _logs_answer(count: int, why: str) -> ExportLogsServiceResponse:
    partial_success = ExportLogsPartialSuccess(rejected_log_records=count, error_message=why)
    return ExportLogsServiceResponse(partial_success=partial_success if why else None)


def _trace_answer(count: int, why: str) -> ExportTraceServiceResponse:
    partial_success = ExportTracePartialSuccess(rejected_spans=count, error_message=why)
    return ExportTraceServiceResponse(partial_success=partial_success if why else None)


SIGNALS = (
    _Signal(
        "metrics",
        ExportMetricsServiceRequest,
        otlp_metrics.points_in,
        otlp_metrics.translate,
        _metrics_answer,
    ),
    _Signal(
        "logs",
        ExportLogsServiceRequest,
        otlp_logs.points_in,
        lambda request, terms, _, now_ms: otlp_logs.translate(request, terms, now_ms),
        _logs_answer,
    ),
    _Signal(
        "traces",
        ExportTraceServiceRequest,
        otlp_spans.points_in,
        lambda request, terms, _, now_ms: otlp_spans.translate(request, terms, now_ms),
        _trace_answer,
    ),
)


def server(receiver: Receiver, ready: Callable[[], bool], grace_s: float) -> web.AppRunner:
    """Return a server that is yet to be started; until `ready` every report is answered 503.

    Requests under way have `grace_s` to end. Bodies are unpacked here, not by aiohttp, which
    would unpack all of a body that is far too large.
    """
    app = _application(receiver, ready)
    return web.AppRunner(app, access_log=None, shutdown_timeout=grace_s, auto_decompress=False)


def _application(receiver: Receiver, ready: Callable[[], bool]) -> web.Application:
    most = receiver.settings.max_body
    app = web.Application(client_max_size=most, middlewares=[_counted])
    app[http_answers.MAX_BODY] = most
    gate = _Gate(receiver.settings, ready)
    for signal in SIGNALS:
        handler = partial(_otlp, receiver=receiver, gate=gate, signal=signal)
        app.router.add_post(f"/v1/{signal.name}", handler)
    app.router.add_post("/qoa4ml", partial(_qoa4ml, receiver=receiver, gate=gate))
    return app


@web.middleware
async def _counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count answers by path and status; paths that nobody serves are one."""
    status = 500
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        known = request.match_info.route.resource
        metrics.REQUESTS.labels(known.canonical if known else "other", str(status)).inc()
    return response


class _Gate:
    """Who is let in, and when, and how many at once."""

    def __init__(self, settings: IntakeSettings, ready: Callable[[], bool]) -> None:
        self._token = settings.token.get_secret_value()
        self._most = settings.max_requests
        self._inside = 0
        self._ready = ready

    @contextmanager
    def entered(self, request: web.Request) -> Iterator[None]:
        """Be within; raises Refusal for a wrong token, and while nothing more can be taken."""
        if self._token:
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                why = "send the intake's token: Authorization: Bearer <token>"
                raise Refusal(401, otlp_body.UNAUTHENTICATED, why)
        if not self._ready():
            raise Refusal(503, otlp_body.UNAVAILABLE, "not ready: Kafka is not reached yet", 1)
        if self._inside >= self._most:
            why = f"{self._inside} requests are under way; try again"
            raise Refusal(503, otlp_body.UNAVAILABLE, why, 1)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


async def _otlp(
    request: web.Request, *, receiver: Receiver, gate: _Gate, signal: _Signal
) -> web.Response:
    kind = request.content_type if request.content_type in otlp_body.KINDS else otlp_body.PROTOBUF
    try:
        with gate.entered(request):
            http_answers.kind_of(request, otlp_body.KINDS)
            read = _read(await http_answers.body_of(request), kind, signal, receiver)
            found = await _take(receiver, f"otlp-{signal.name}", partial(_translate, signal, read))
    except Refusal as refusal:
        return http_answers.told(refusal, kind)
    answer = signal.answer(sum(found.refused.values()), found.complaint)
    return web.Response(body=otlp_body.written(answer, kind), content_type=kind)


def _read(body: bytes, kind: str, signal: _Signal, receiver: Receiver) -> tuple[Any, Terms]:
    try:
        read = otlp_body.read(body, kind, signal.request)
    except otlp_body.Unreadable as error:
        metrics.REFUSED.labels(f"otlp-{signal.name}", "unreadable requests").inc()
        raise Refusal(400, otlp_body.INVALID, str(error)) from error
    count, most = signal.points_in(read), receiver.settings.max_points
    if count > most:
        why = f"{count} points, logs or spans at once; send at most {most}"
        raise Refusal(413, otlp_body.INVALID, why)
    return read, receiver.terms


def _translate(signal: _Signal, read: tuple[Any, Terms], draft: Draft, now_ms: int) -> Translated:
    message, terms = read
    return signal.translate(message, terms, draft, now_ms)


async def _take(
    receiver: Receiver, source: str, translate: Callable[[Draft, int], Translated]
) -> Translated:
    try:
        return await receiver.take(source, translate)
    except (WorkerError, Busy, qoa4ml.Malformed) as error:
        http_answers.refuse(error)


async def _qoa4ml(request: web.Request, *, receiver: Receiver, gate: _Gate) -> web.Response:
    try:
        with gate.entered(request):
            http_answers.kind_of(request, ("application/json",))
            report = _report(await http_answers.body_of(request))
            found = await _take(
                receiver,
                "qoa4ml",
                lambda _, now_ms: qoa4ml_events.translate(report, receiver.terms.names, now_ms),
            )
    except Refusal as refusal:
        return http_answers.told_plainly(refusal)
    refused = dict(found.refused)
    return web.json_response({"events": len(found.events), "refused": refused})


def _report(body: bytes) -> qoa4ml.Report:
    try:
        return qoa4ml.read(body)
    except qoa4ml.Malformed as error:
        metrics.REFUSED.labels("qoa4ml", "malformed reports").inc()
        raise Refusal(400, otlp_body.INVALID, str(error)) from error

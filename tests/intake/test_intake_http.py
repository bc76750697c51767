"""OTLP and QoA4ML over plain HTTP: answers, limits, and who is let in."""

import asyncio
import gzip
import json
import socket
import threading
import zlib

import pytest
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from prometheus_client import REGISTRY

from tests.intake.intake_world import served
from workers.intake import http_answers
from workers.intake.http_answers import TooLarge, unpacked
from workers.intake.otlp_body import JSON, PROTOBUF

WHO = [{"key": "service.name", "value": {"stringValue": "detector"}}]


def body(*values: float | str, start: int = 0, total: bool = False, time: int = 5) -> bytes:
    """Return a request in JSON with a point for each value."""
    points = [
        {"timeUnixNano": str(time), "startTimeUnixNano": str(start), "asDouble": value}
        for value in values
    ]
    data = {"dataPoints": points}
    kind = {"sum": data | {"aggregationTemporality": 2, "isMonotonic": True}}
    metric = {"name": "depth"} | (kind if total else {"gauge": data})
    plain = {"resource": {"attributes": WHO}, "scopeMetrics": [{"metrics": [metric]}]}
    return json.dumps({"resourceMetrics": [plain]}).encode()


def binary(*values: float) -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = "detector"
    metric = resource.scope_metrics.add().metrics.add(name="depth")
    for value in values:
        metric.gauge.data_points.add(time_unix_nano=5, as_double=value)
    return request.SerializeToString()


def status(content: bytes) -> Status:
    return parsed(content, Status())


def parsed(content: bytes, into: Message) -> Message:
    into.ParseFromString(content)
    return into


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_what_is_taken_is_answered_with_nothing() -> None:
    with served() as world:
        answer = world.post("/v1/metrics", binary(1.0, 2.0), Content_Type=PROTOBUF)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Type"] == PROTOBUF
        answer = world.post("/v1/metrics", body(3.0), Content_Type=f"{JSON}; charset=utf-8")
        assert (answer.status_code, answer.json()) == (200, {})
        assert [event.value for event in world.sink.events] == [1.0, 2.0, 3.0]


def test_what_is_refused_of_it_is_told_and_the_rest_is_taken() -> None:
    before = counted("weir_intake_refused_total", source="otlp-metrics", reason="not finite")
    with served() as world:
        answer = world.post("/v1/metrics", binary(1.0, float("nan")), Content_Type=PROTOBUF)
        found = parsed(answer.content, ExportMetricsServiceResponse()).partial_success
        assert (found.rejected_data_points, found.error_message) == (1, "1 not finite")
        answer = world.post("/v1/metrics", body("NaN"), Content_Type=JSON)
        assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "1"
        assert len(world.sink.events) == 1
    after = counted("weir_intake_refused_total", source="otlp-metrics", reason="not finite")
    assert after - before == 2


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces"])
def test_empty_requests_of_all_signals_are_taken(path: str) -> None:
    with served() as world:
        assert world.post(path, b"", Content_Type=PROTOBUF).content == b""
        assert world.post(path, b"{}", Content_Type=JSON).json() == {}


def test_refused_logs_and_spans_are_counted_in_the_answer() -> None:
    log = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}]}]}]}).encode()
    span = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}).encode()
    with served() as world:
        told = world.post("/v1/logs", log, Content_Type=JSON).json()["partialSuccess"]
        assert told["rejectedLogRecords"] == "2"
        told = world.post("/v1/traces", span, Content_Type=JSON).json()["partialSuccess"]
        assert told["rejectedSpans"] == "1"
    assert ExportLogsServiceResponse.DESCRIPTOR.fields[0].name == "partial_success"


@pytest.mark.parametrize(("packed", "name"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
def test_packed_bodies_are_unpacked(packed: object, name: str) -> None:
    with served() as world:
        made = packed(binary(1.0))  # type: ignore[operator]  # one of two functions
        answer = world.post("/v1/metrics", made, Content_Type=PROTOBUF, Content_Encoding=name)
        assert answer.status_code == 200
        assert len(world.sink.events) == 1


def test_damaged_and_repeated_packings_are_told_apart() -> None:
    packed = gzip.compress(b"abc")
    assert unpacked(packed + packed, "gzip", 6) == b"abcabc"
    for most in (2, 5):
        with pytest.raises(TooLarge):
            unpacked(packed + packed, "gzip", most)
    with pytest.raises(zlib.error, match="too early"):
        unpacked(packed[:-1], "gzip", 6)
    with pytest.raises(zlib.error, match="more than 64 parts"):
        unpacked(gzip.compress(b"") * 65, "gzip", 6)


def test_what_is_no_request_is_answered_in_its_own_encoding() -> None:
    with served() as world:
        answer = world.post("/v1/metrics", b"\xff\xff", Content_Type=PROTOBUF)
        assert answer.status_code == 400
        assert "no ExportMetricsServiceRequest" in status(answer.content).message
        answer = world.post("/v1/metrics", b"{", Content_Type=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, 3)
        answer = world.post(
            "/v1/metrics", b"no gzip", Content_Type=PROTOBUF, Content_Encoding="gzip"
        )
        assert answer.status_code == 400
        assert world.sink.tried == 0


@pytest.mark.parametrize(
    "headers",
    [{"Content_Type": "text/plain"}, {"Content_Type": PROTOBUF, "Content_Encoding": "zstd"}],
)
def test_what_is_not_understood_is_415(headers: dict[str, str]) -> None:
    with served() as world:
        answer = world.post("/v1/metrics", binary(1.0), **headers)
        assert answer.status_code == 415
        assert "send" in status(answer.content).message


def test_bodies_are_bounded_as_sent_and_as_unpacked() -> None:
    with served(max_body=100_000) as world:
        large = b"\0" * 20_000_000
        for sent, encoding in ((large[:200_000], "identity"), (gzip.compress(large), "gzip")):
            answer = world.post(
                "/v1/metrics", sent, Content_Type=PROTOBUF, Content_Encoding=encoding
            )
            assert answer.status_code == 413
            assert "100000 bytes" in status(answer.content).message


def test_requests_are_bounded_in_points() -> None:
    with served(max_points=2) as world:
        answer = world.post("/v1/metrics", binary(1.0, 2.0, 3.0), Content_Type=PROTOBUF)
        assert answer.status_code == 413
        assert "at most 2" in status(answer.content).message
        assert world.post("/v1/metrics", binary(1.0, 2.0), Content_Type=PROTOBUF).ok


def test_what_cannot_be_taken_now_is_to_be_sent_again() -> None:
    with served() as world:
        world.sink.full()
        world.sink.down()
        for _ in range(2):
            answer = world.post("/v1/metrics", binary(1.0), Content_Type=PROTOBUF)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert status(answer.content).code == 14
        world.ready = False
        assert world.post("/v1/metrics", binary(1.0), Content_Type=PROTOBUF).status_code == 503
        world.ready = True
        assert world.post("/v1/metrics", binary(1.0), Content_Type=PROTOBUF).ok
        assert len(world.sink.events) == 1


def test_a_rate_that_is_passed_is_429_until_it_has_recovered() -> None:
    with served(rate_per_s=10) as world:
        answers = [world.post("/v1/metrics", binary(*[1.0] * 15), Content_Type=PROTOBUF)]
        answers += [world.post("/v1/metrics", binary(*[1.0] * 15), Content_Type=PROTOBUF)]
        answers += [world.post("/v1/metrics", binary(1.0), Content_Type=PROTOBUF)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].headers["Retry-After"] == "1"
        assert len(world.sink.events) == 30


def test_a_series_that_is_on_its_way_waits_for_the_earlier_report() -> None:
    with served() as world:
        world.sink.held = world.run(_made())
        rising = [body(n, start=1, total=True, time=n) for n in (2, 3)]
        first = threading.Thread(
            target=world.post, args=("/v1/metrics", rising[0]), kwargs={"Content_Type": JSON}
        )
        first.start()
        while world.sink.tried == 0:
            pass
        answer = world.post("/v1/metrics", rising[1], Content_Type=JSON)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "still on its way" in answer.json()["message"]
        world.loop.call_soon_threadsafe(world.sink.held.set)
        first.join(60)


def test_no_more_requests_are_under_way_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answers, "READ_S", 0.3)
    with served(max_requests=1) as world:
        host, port = world.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 10) as slow:
            head = f"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\n"
            slow.sendall(f"{head}Content-Length: 9\r\n\r\n12".encode())
            answers = []
            while not answers or answers[-1].ok:
                answers.append(world.post("/v1/metrics", b"", Content_Type=PROTOBUF))
            assert answers[-1].status_code == 503
            assert "1 requests are under way" in status(answers[-1].content).message
            assert b"408" in slow.recv(100)
        assert world.post("/v1/metrics", b"", Content_Type=PROTOBUF).ok


async def _made() -> asyncio.Event:
    return asyncio.Event()


def test_a_token_lets_in_who_has_it() -> None:
    with served(token="sesame") as world:
        wrong = "Bearer sésame".encode().decode("latin-1")
        unreadable = {"Authorization": b"Bearer \xff"}
        for given in ({}, unreadable, {"Authorization": wrong}, {"Authorization": "sesame"}):
            answer = world.post("/v1/metrics", binary(1.0), Content_Type=PROTOBUF, **given)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert world.post("/qoa4ml", b"{}", Content_Type=JSON, **given).status_code == 401
        right = {"Authorization": "Bearer sesame"}
        assert world.post("/v1/metrics", binary(1.0), Content_Type=PROTOBUF, **right).ok


def test_other_paths_and_methods_are_told() -> None:
    with served() as world:
        assert world.post("/v1/profiles", b"", Content_Type=PROTOBUF).status_code == 404
        assert world.post("/", b"").status_code == 404
        before = counted("weir_intake_requests_total", path="other", status="404")
        world.post("/else", b"")
        assert counted("weir_intake_requests_total", path="other", status="404") == before + 1


REPORT = {
    "metadata": {"client_config": {"application_name": "bts", "instance_id": "i"}},
    "service": {
        "s": {"name": "s", "metrics": {"cpu": {"i": {"metric_name": "cpu", "records": [1, 2]}}}}
    },
}


def test_a_report_of_qoa4ml_is_taken_and_a_malformed_one_refused() -> None:
    with served() as world:
        answer = world.post("/qoa4ml", json.dumps(REPORT).encode(), Content_Type=JSON)
        assert (answer.status_code, answer.json()) == (200, {"events": 2, "refused": {}})
        answer = world.post("/qoa4ml", b'{"service": 5}', Content_Type=JSON)
        assert (answer.status_code, answer.json()) == (400, {"error": "service is no object"})
        nameless = json.dumps(REPORT | {"metadata": {}}).encode()
        answer = world.post("/qoa4ml", nameless, Content_Type=JSON)
        assert answer.status_code == 400
        assert "application_name" in answer.json()["error"]
        assert world.post("/qoa4ml", b"", Content_Type=PROTOBUF).status_code == 415
        world.sink.down()
        assert (
            world.post("/qoa4ml", json.dumps(REPORT).encode(), Content_Type=JSON).status_code == 503
        )
        assert len(world.sink.events) == 2

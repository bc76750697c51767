"""The HTTP port of a source: frames in, bounded in every way, and told why when not."""

import gzip
import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from schemas.inference import InferenceRequest
from workers.settings import SourceSettings
from workers.sources import ingress as module
from workers.sources.bodies import frame_of
from workers.sources.errors import SourceLost, UnusableSource
from workers.sources.forms import Form
from workers.sources.ingress import Ingress
from workers.sources.sending import Asking, relay

ASKING = Asking(app="gate", name="door", deadline_ms=60_000)
BODY = {
    "inputs": [
        {"name": "t", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]},
        {"name": "n", "shape": [2], "datatype": "INT64", "data": [5, 6]},
    ]
}


@contextmanager
def listening(
    form: Form | None = None, held_up: str = "", **settings: Any
) -> Iterator[tuple[Ingress, list[str]]]:
    """Serve, and yield the port with what holds it up, which may be changed."""
    obstacle = [held_up]
    own = SourceSettings(**settings)
    made = Ingress(("127.0.0.1", 0), own, form or Form(), 10.0, ASKING.new_id, lambda: obstacle[0])
    with made as source:
        yield source, obstacle


def post(
    source: Ingress, body: bytes | dict[str, Any], kind: str = "application/json", **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, body and headers of the answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{source.port}/frames", content, {"Content-Type": kind, **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer), dict(answer.headers)
    except HTTPError as error:
        with error:
            return error.code, json.load(error), dict(error.headers)


def relayed(source: Ingress, most: int) -> list[InferenceRequest]:
    requests: list[InferenceRequest] = []
    end = time.monotonic() + 10
    relay(source, ASKING, 1_000.0, most, requests.append, lambda: time.monotonic() > end)
    return requests


def test_inputs_become_the_request_that_was_promised() -> None:
    with listening() as (source, _):
        status, told, _ = post(source, BODY)
        (request,) = relayed(source, 1)
    assert status == 202
    assert told == {"request_id": request.request_id, "frame_digest": request.frame_digest}
    assert request.request_id.startswith("door/")
    assert request.source_kind == "http"
    assert [(one.name, one.dtype, one.shape) for one in request.inputs] == [
        ("t", "float32", (2, 2)),
        ("n", "int64", (2,)),
    ]
    assert np.frombuffer(request.inputs[1].data or b"", "<i8").tolist() == [5, 6]


def test_a_picture_becomes_a_request_in_its_form() -> None:
    body = BytesIO()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(body, "png")
    with listening(Form(size=(6, 4))) as (source, _):
        assert post(source, body.getvalue(), "image/png")[0] == 202
        (request,) = relayed(source, 1)
        assert request.inputs[0].shape == (4, 6, 3)
        for kind in ("image/png", "image/jpeg"):
            status, told, _ = post(source, body.getvalue()[:50], kind)
            assert (status, told["error"][:8]) == (400, "the body")


def test_as_many_wait_as_may_and_the_next_is_told_when_to_come_again() -> None:
    with listening(waiting=3) as (source, _):
        assert [post(source, BODY)[0] for _ in range(3)] == [202] * 3
        status, told, headers = post(source, BODY)
        assert (status, told) == (429, {"error": "3 frames wait, 10 are taken a second"})
        assert headers["Retry-After"] == "1"
        assert len(relayed(source, 3)) == 3
        assert post(source, BODY)[0] == 202
        assert source.refused == 1


def test_while_kafka_is_behind_nothing_is_taken() -> None:
    with listening(held_up="Kafka has not taken 1000 requests yet") as (source, obstacle):
        status, told, headers = post(source, BODY)
        assert (status, headers["Retry-After"]) == (503, "1")
        assert told == {"error": "Kafka has not taken 1000 requests yet"}
        ready = f"http://127.0.0.1:{source.port}/ready"
        with pytest.raises(HTTPError, match="503") as refused:
            urllib.request.urlopen(ready, timeout=5)
        refused.value.close()
        obstacle[0] = ""
        assert post(source, BODY)[0] == 202
        with urllib.request.urlopen(ready, timeout=5) as answer:
            assert json.load(answer) == {"ready": True, "reason": ""}


def one(**changes: Any) -> dict[str, Any]:
    return {"inputs": [BODY["inputs"][1] | changes]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"inputs": [{"data": NaN}]}', "NaN is no JSON number"),
        (b"\xff", "is no JSON"),
        ({}, "has no list of inputs"),
        ({"inputs": []}, "has no list of inputs"),
        ([], "has no list of inputs"),
        ({"inputs": [1]}, "an input has name, datatype, shape and data"),
        ({"inputs": [*BODY["inputs"], BODY["inputs"][0]]}, "names an input twice"),
        (one(name=""), "an input's name is text"),
        (one(datatype="BYTES"), "is 'BYTES', none of BOOL"),
        (one(datatype=["FP32"]), "none of BOOL"),
        (one(shape=[-1]), "has shape"),
        (one(shape=[True, 2]), "has shape"),
        (one(shape=[3]), "cannot reshape"),
        (one(data=[[1], [2, 3]]), "inhomogeneous"),
        (one(data=["a", "b"]), "holds no int64"),
        (one(data=None), "cannot reshape"),
        (one(data=[1.5, 2]), "holds what int64 cannot"),
        (one(data=[10**30, 2]), "holds no int64"),
        (one(data=[1e39, 2], datatype="FP32"), "holds what float32 cannot"),
        (one(data=[-1, 2], datatype="UINT8"), "holds what uint8 cannot"),
    ],
)
def test_what_is_no_frame_says_why(body: Any, why: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(UnusableSource) as told:
        frame_of(content, "application/json", Form())
    assert why in str(told.value)
    assert len(str(told.value)) < 500


def test_a_body_that_is_no_frame_is_answered_400_and_gives_its_place_back() -> None:
    with listening(waiting=1) as (source, _):
        assert post(source, b"{")[:1] == (400,)
        assert post(source, BODY)[0] == 202


def test_bodies_are_bounded_and_of_known_kinds() -> None:
    with listening(max_body=1024) as (source, _):
        assert post(source, b" " * 1025)[:2] == (
            413,
            {"error": "the body is larger than 1024 bytes"},
        )
        status, told, _ = post(source, b"x", "text/plain")
        assert (status, told["error"][:26]) == (415, "Content-Type 'text/plain';")
        bomb = gzip.compress(b" " * 1_000_000)
        status, told, _ = post(source, bomb, **{"Content-Encoding": "gzip"})
        assert (status, told["error"]) == (415, "send bodies without a Content-Encoding")
        assert post(source, BODY)[0] == 202
        assert source.refused == 0


def test_a_body_that_does_not_come_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_S", 0.1)
    with (
        listening(waiting=1) as (source, _),
        socket.create_connection(("127.0.0.1", source.port), 5) as slow,
    ):
        head = b"POST /frames HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        slow.sendall(head + b"Content-Length: 100\r\n\r\n{")
        assert b" 408 " in slow.recv(1000)
        assert post(source, BODY)[0] == 202


def test_strangers_are_told_to_bring_the_token() -> None:
    with listening(token=SecretStr("open")) as (source, _):
        status, told, headers = post(source, BODY, Authorization="Bearer wrong")
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "wrong" not in told["error"]
        assert post(source, BODY, Authorization="Bearer open")[0] == 202
    with pytest.raises(SourceLost, match="WEIR_SOURCE__TOKEN"):
        Ingress(("0.0.0.0", 0), SourceSettings(), Form(), 1.0, str)


def test_a_port_that_is_taken_says_so() -> None:
    with listening() as (source, _):
        other = Ingress(("127.0.0.1", source.port), SourceSettings(), Form(), 1.0, str)
        with pytest.raises(SourceLost, match=r"cannot listen on 127\.0\.0\.1:\d+: "), other:
            raise AssertionError("it listens")


def test_frames_that_waited_beyond_their_deadline_are_late() -> None:
    hasty = Asking(app="gate", name="door", deadline_ms=1)
    with listening() as (source, _):
        assert [post(source, BODY)[0] for _ in range(3)] == [202] * 3
        time.sleep(0.005)
        end = time.monotonic() + 0.05
        told = relay(source, hasty, 1_000.0, 9, pytest.fail, lambda: time.monotonic() > end)
    assert (told.sent, told.late) == (0, 3)

"""Models served elsewhere: asked over one connection, bounded in time, every fault told."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.workers.inference_server import METADATA, Served, model_server
from workers.runtimes.base import Load
from workers.runtimes.errors import (
    ArtifactMissing,
    BrokenModel,
    ExecutionFailed,
    RuntimeFailure,
)
from workers.runtimes.http_services import OpenInference, PlainJson
from workers.runtimes.http_tensors import array_of, declared, described

ROWS = np.array([[1, 5, 2], [9, 0, 1]], np.float32)
TENSORS = {"inputs": "x:float32:?x3", "outputs": "label:int64:?;scaled:float32:?x3"}


@pytest.fixture
def served() -> Iterator[Served]:
    with model_server(Served()) as one:
        yield one


def test_a_model_is_asked_what_it_takes_and_executed_over_one_connection(served: Served) -> None:
    session = OpenInference().load(served.url)
    assert session.signature.batches
    assert [port.name for port in session.signature.outputs] == ["label", "scaled"]
    for _ in range(3):
        label, scaled = session.run([ROWS])
        assert label.tolist() == [1, 0]
        assert label.dtype == np.int64
        np.testing.assert_array_equal(scaled, ROWS * 2)
    assert served.connections == 1
    assert [path for _, path, _ in served.requests[1:]] == ["/v2/models/scale/infer"] * 3


def test_plain_json_is_sent_and_taken_as_the_options_say(served: Served) -> None:
    url = served.url.replace("/v2/models/scale", "/predict?kind=all")
    session = PlainJson().load(url, Load(options=TENSORS))
    label, scaled = session.run([ROWS])
    assert (label.tolist(), scaled.tolist()) == ([1, 0], (ROWS * 2).tolist())
    assert served.requests[0][1] == "/predict?kind=all"
    served.answer = [[0.5], [1.5]]
    bare = {"inputs": "x:float32:?x3", "outputs": "y:float32:?x1", "take": ""}
    assert PlainJson().load(url, Load(options=bare)).run([ROWS])[0].tolist() == [[0.5], [1.5]]
    served.answer = {"predictions": [1, 0]}
    rows = {"inputs": "x:float32:?x3", "outputs": "y:int32:?", "take": "predictions"}
    assert PlainJson().load(url, Load(options=rows)).run([ROWS])[0].tolist() == [1, 0]


def test_a_connection_that_the_server_has_closed_is_made_anew(served: Served) -> None:
    served.drops_after = 1
    session = PlainJson().load(served.url, Load(options=TENSORS))
    for _ in range(3):
        assert session.run([ROWS])[0].tolist() == [1, 0]
    assert served.connections == 3
    served.drops_after = 0
    with pytest.raises(ExecutionFailed, match=r"http://127\.0\.0\.1:\d+: Remote end closed"):
        session.run([ROWS])


@pytest.mark.parametrize("fault", [{"hangs_s": 0.6}, {"drips": True}, {"drips_head": True}])
def test_no_exchange_takes_longer_than_its_deadline(
    served: Served, fault: dict[str, object]
) -> None:
    session = PlainJson().load(served.url, Load(deadline_ms=250, options=TENSORS))
    for name, value in fault.items():
        setattr(served, name, value)
    began = time.monotonic()
    with pytest.raises(ExecutionFailed, match="no answer in 250 ms"):
        session.run([ROWS])
    assert time.monotonic() - began < 1.5
    served.hangs_s, served.drips, served.drips_head = 0.0, False, False
    assert session.run([ROWS])[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (400, {"error": "x has 4 columns"}, r": 400 Bad Request: x has 4 columns$"),
        (503, b"<html>busy", r": 503 Service Unavailable: <html>busy$"),
        (302, b"", r": 302 Found$"),
        (200, b"[1,", "its answer is no JSON"),
        (200, b"[" * 100_000, "its answer is no JSON"),
        (200, {"outputs": []}, "its answer lacks 'label'"),
        (200, {"outputs": 3}, "its answer lacks"),
        (200, {"outputs": [{"name": "label", "shape": [2]}]}, "its answer lacks 'data'"),
    ],
)
def test_what_a_service_does_wrong_is_told(
    served: Served, status: int, answer: Any, why: str
) -> None:
    session = OpenInference().load(served.url)
    served.status, served.answer = status, answer
    with pytest.raises(ExecutionFailed, match=why):
        session.run([ROWS])


def test_values_that_json_cannot_carry_are_told(served: Served) -> None:
    session = OpenInference().load(served.url)
    with pytest.raises(ExecutionFailed, match="inputs that JSON cannot carry"):
        session.run([np.array([[np.nan, 0, 0]], np.float32)])


@pytest.mark.parametrize(
    ("metadata", "status", "error", "why"),
    [
        ({"error": "no such model"}, 404, ArtifactMissing, "404 Not Found: no such model"),
        ({}, 200, BrokenModel, "its metadata lack inputs or outputs"),
        ([], 200, BrokenModel, "its metadata lack inputs or outputs"),
        ({**METADATA, "inputs": []}, 200, BrokenModel, "name no inputs"),
        ({**METADATA, "inputs": [{"name": "x"}]}, 200, BrokenModel, "lacks name, datatype or"),
        (
            {**METADATA, "inputs": [{"name": "x", "datatype": "BYTES", "shape": [1]}]},
            200,
            BrokenModel,
            "'x' is 'BYTES'; served are BOOL",
        ),
    ],
)
def test_a_model_that_cannot_be_served_says_why(
    served: Served, metadata: Any, status: int, error: type[RuntimeFailure], why: str
) -> None:
    served.metadata, served.status = metadata, status
    with pytest.raises(error, match=why):
        OpenInference().load(served.url)


def test_addresses_and_options_are_checked() -> None:
    for url in ("ftp://h/a", "http://", "http://me:secret@h/", "http://h:port/"):
        with pytest.raises(BrokenModel, match="http"):
            OpenInference().load(url)
    with pytest.raises(ArtifactMissing, match="label"):
        OpenInference().load(f"http://{'a' * 64}.b/")
    with pytest.raises(ArtifactMissing, match="refused"):
        OpenInference().load("http://127.0.0.1:9/")
    with pytest.raises(BrokenModel, match=r"option runtime\.outputs: it is missing; add it"):
        PlainJson().load("http://h/", Load(options={"inputs": "x:float32:?"}))
    for text in ("", "x", "x:float32:-1", "x:str:?", "x:bool:?;x:bool:?"):
        with pytest.raises(BrokenModel):
            declared(text)


def test_a_token_is_one_of_those_meant_for_services(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Load(options={"token": "LAB"})
    with pytest.raises(BrokenModel, match="no variable INFERENCE_TOKEN_LAB"):
        OpenInference().load(served.url, named)
    monkeypatch.setenv("INFERENCE_TOKEN_LAB", "secret")
    OpenInference().load(served.url, named)
    assert served.requests[0][2]["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("port", "data", "shape", "why"),
    [
        ("y:int64:?", [1.5], None, "output y is no int64"),
        ("y:uint8:?", [300], None, "output y is no uint8"),
        ("y:int32:?", [float("nan")], None, "output y is no int32"),
        ("y:bool:?", [1], None, "output y is no bool"),
        ("y:float32:?", ["1"], None, "output y is no float32"),
        ("y:float32:?", [[1], [1, 2]], None, "inhomogeneous"),
        ("y:float32:?", [1, 2, 3], [2, 2], "cannot reshape"),
        ("y:float32:?", [1, 2], "ab", "invalid literal"),
        ("y:float32:?x2", [[1, 2, 3]], None, r"has shape \(1, 3\), told is \(None, 2\)"),
        ("y:float32:?", None, None, "output y"),
    ],
)
def test_outputs_are_what_was_told_or_refused(port: str, data: Any, shape: Any, why: str) -> None:
    with pytest.raises(ExecutionFailed, match=why):
        array_of(declared(port)[0], data, shape)


def test_outputs_of_every_type_arrive() -> None:
    assert array_of(declared("y:float32:?")[0], [1e39]).tolist() == [float("inf")]
    assert array_of(declared("y:bool:2")[0], [True, False]).tolist() == [True, False]
    assert array_of(declared("y:float16:?")[0], [1, 2.5]).dtype == np.float16
    assert array_of(declared("y:float32:?x3")[0], [], [0, 3]).shape == (0, 3)
    entry = {"name": "y", "datatype": "FP64", "shape": ["-1", 2]}
    assert described(entry).shape == (None, 2)

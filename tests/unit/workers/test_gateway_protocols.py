"""Bodies of the gateway: plain JSON and the Open Inference Protocol, right and wrong."""

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemas.graphs import Stage, TensorSpec
from schemas.inference import InferenceResponse
from schemas.records import KeyValue, Tensor
from schemas.registrations import ApplicationRegistered
from tests.examples import example
from workers.gateway import open_inference, plain
from workers.gateway.access import Caller
from workers.gateway.asked import check_inputs, request_of, wishes_of
from workers.gateway.refusals import Refusal

SPEC = TensorSpec(name="x", dtype="float32", shape=(-1, 3))


def application(*specs: TensorSpec) -> ApplicationRegistered:
    stage = Stage(stage="s", stage_id="s", takes=specs)
    return ApplicationRegistered(
        app="a",
        app_id="a",
        run="",
        user="",
        owner="",
        stages=(stage,),
        registered_at=0,
        event_id="e",
    )


def response(**fields: Any) -> InferenceResponse:
    known = example(InferenceResponse)
    bare = {"label": "cat", "confidence": 0.5, "classes": ("cat", "dog"), "scores": (0.5, 0.25)}
    return replace(known, **{"outputs": (), **bare, **fields})


def body(**fields: Any) -> bytes:
    return json.dumps({"inputs": {"x": [1, 2, 3]}} | fields).encode()


def test_plain_inputs_take_the_type_that_the_application_says() -> None:
    (declared,) = plain.read(body(), application(SPEC)).inputs
    assert (declared.dtype, declared.shape) == ("float32", (3,))
    (bare,) = plain.read(body(), application()).inputs
    assert (bare.dtype, bare.data) == ("float32", np.array([1, 2, 3], "<f4").tobytes())
    data = base64.b64encode(np.array([1, 2], "<u2").tobytes()).decode()
    whole = {"dtype": "uint16", "shape": [2], "data": data}
    (found,) = plain.read(body(inputs={"x": whole}), application()).inputs
    assert found == Tensor(name="x", dtype="uint16", shape=(2,), data=b"\1\0\2\0")
    stored = {"dtype": "uint8", "shape": [9], "reference": "payload:ab", "digest": "ab"}
    (kept,) = plain.read(body(inputs={"x": stored}), application()).inputs
    assert (kept.data, kept.reference, kept.digest) == (None, "payload:ab", "ab")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"inputs": {"x": [NaN]}}', "body"),
        (b'{"inputs": {}}', "inputs"),
        (body(more=1), "more"),
        (body(parameters=[]), "parameters"),
        (body(inputs={"x": [[1], [2, 3]]}), "inputs.x"),
        (body(inputs={"x": ["a"]}), "inputs.x"),
        (body(inputs={"x": {"dtype": "object", "shape": []}}), "inputs.x.dtype"),
        (body(inputs={"x": {"dtype": ["int8"], "shape": []}}), "inputs.x.dtype"),
        (body(inputs={"x": {"dtype": "int8", "shape": [-1]}}), "inputs.x.shape"),
        (body(inputs={"x": {"dtype": "int8", "shape": [2], "data": "!"}}), "inputs.x.data"),
        (body(inputs={"x": {"dtype": "int8", "shape": [2], "data": "AA=="}}), "inputs.x"),
        (body(inputs={"x": {"dtype": "int8", "shape": [1], "data": [300]}}), "inputs.x.data"),
        (body(inputs={"x": {"dtype": "int8", "shape": [1], "bytes": []}}), "inputs.x.bytes"),
    ],
)
def test_a_plain_body_that_cannot_be_says_where(content: bytes, where: str) -> None:
    with pytest.raises(Refusal) as told:
        plain.read(content, application())
    assert (told.value.status, told.value.where) == (400, where)
    assert told.value.remedy


def test_inputs_are_held_to_what_the_application_takes() -> None:
    app = application(SPEC)
    check_inputs(app, (Tensor(name="x", dtype="float32", shape=(3,), data=b""),))
    check_inputs(app, (Tensor(name="x", dtype="float32", shape=(7, 3), data=b""),))
    check_inputs(application(), (Tensor(name="any", dtype="int8"),))
    for tensors in (
        (),
        (Tensor(name="y", dtype="float32", shape=(3,)),),
        (Tensor(name="x", dtype="float64", shape=(3,)),),
        (Tensor(name="x", dtype="float32", shape=(2, 4)),),
        (Tensor(name="x", dtype="float32", shape=(3,)),) * 2,
    ):
        with pytest.raises(Refusal):
            check_inputs(app, tensors)


def test_values_that_are_no_numbers_pass_where_the_application_says_so() -> None:
    app, raw = application(), np.array([1, np.nan], "<f4").tobytes()
    whole = {"dtype": "float32", "shape": [2], "data": base64.b64encode(raw).decode()}
    size = {"shape": [2], "data": None, "parameters": {"binary_data_size": 8}}
    head = json.dumps(v2(**size)).encode()
    for asked in (
        plain.read(body(inputs={"x": whole}), app),
        open_inference.read(head + raw, str(len(head))),
    ):
        with pytest.raises(Refusal, match="1 of its 2 values are no finite") as told:
            check_inputs(app, asked.inputs)
        assert (told.value.status, told.value.where) == (400, "inputs.x")
        assert "tag a with nan=allowed" in told.value.remedy
        check_inputs(replace(app, tags=(KeyValue(key="nan", value="allowed"),)), asked.inputs)


def test_headers_say_more_than_parameters() -> None:
    headers = {"Weir-Deadline-Ms": "200", "Weir-Explain": "1", "Idempotency-Key": "k"}
    wishes = wishes_of(headers, {"deadline_ms": 900, "priority": 2, "sequence_id": 4})
    assert (wishes.deadline_ms, wishes.explain, wishes.key, wishes.priority) == (200, True, "k", 2)
    assert wishes_of(headers | {"Weir-Priority": "7"}, {"priority": 2}).priority == 7
    for name, value in (
        ("Weir-Deadline-Ms", "-5"),
        ("Weir-Deadline-Ms", "soon"),
        ("Weir-Priority", "1e9"),
    ):
        with pytest.raises(Refusal) as told:
            wishes_of({name: value}, {})
        assert (told.value.status, told.value.where) == (400, name)


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ({"Weir-Conditions": "light=night, camera=3"}, {"conditions": "light=day"}),
        ({}, {"conditions": "camera=3,light=night,"}),
        ({}, {"conditions": {"light": "night", "camera": 3}}),
    ],
)
def test_conditions_come_by_header_text_or_object(
    headers: dict[str, str], parameters: dict[str, Any]
) -> None:
    bodies = (
        plain.read(body(parameters=parameters), application()),
        open_inference.read(json.dumps(v2() | {"parameters": parameters}).encode(), ""),
    )
    for asked in bodies:
        wishes, caller = wishes_of(headers, asked.parameters), Caller("kim", None)
        made = request_of(application(), asked, wishes, caller, new_id="r", usual_ms=100, now_ms=0)
        told = [(one.key, one.value) for one in made.conditions]
        assert told == [("camera", "3"), ("light", "night")]
    answer = plain.answer(response(conditions=made.conditions))
    assert answer["conditions"] == ["camera=3", "light=night"]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("night", "needs a name and a value"),
        (",".join(f"n{n}=x" for n in range(9)), "9 conditions where a request names at most 8"),
        ("light=" + "x" * 95, "101 characters where at most 100 are taken"),
        ({"light": ["night"]}, "an object of texts and whole numbers"),
        ({"light": True}, "an object of texts and whole numbers"),
        ({"a=b": "c"}, "its name holds a '='"),
        (["light=night"], "neither light=night"),
        (7, "neither light=night"),
    ],
)
def test_conditions_that_cannot_be_are_refused_where_they_stand(told: Any, why: str) -> None:
    with pytest.raises(Refusal, match=why) as refused:
        wishes_of({}, {"conditions": told})
    assert (refused.value.status, refused.value.where) == (400, "parameters.conditions")
    with pytest.raises(Refusal, match="needs a name") as refused:
        wishes_of({"Weir-Conditions": "=x"}, {})
    assert refused.value.where == "Weir-Conditions"


def v2(**fields: Any) -> dict[str, Any]:
    given = {"name": "x", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]}
    return {"inputs": [given | fields]}


def test_tensors_come_as_json_and_as_bytes() -> None:
    asked = open_inference.read(json.dumps(v2() | {"id": "7"}).encode(), "")
    assert asked.inputs[0].data == np.array([1, 2, 3], "<f4").tobytes()
    head = {
        "inputs": [
            {
                "name": name,
                "shape": [2],
                "datatype": "INT16",
                "parameters": {"binary_data_size": 4},
            }
            for name in ("a", "b")
        ],
        "parameters": {"priority": 3, "binary_data_output": True},
        "outputs": [{"name": "label"}, {"name": "scores"}],
    }
    text = json.dumps(head).encode()
    asked = open_inference.read(text + bytes(range(8)), str(len(text)))
    assert [tensor.data for tensor in asked.inputs] == [bytes(range(4)), bytes(range(4, 8))]
    assert asked.parameters["priority"] == 3
    written = open_inference.written("a", response(), asked.form)
    assert written.header is not None
    told = json.loads(written.body[: written.header])
    assert [one["parameters"]["binary_data_size"] for one in told["outputs"]] == [7, 16]
    rest = written.body[written.header :]
    assert rest[:7] == b"\3\0\0\0cat"
    assert np.frombuffer(rest[7:], "<f8").tolist() == [0.5, 0.25]


def test_an_answer_tells_what_members_gave() -> None:
    tensor = Tensor(
        name="y", dtype="float32", shape=(2,), data=np.array([1, np.nan], "<f4").tobytes()
    )
    form = open_inference.read(json.dumps(v2()).encode(), "").form
    told = json.loads(open_inference.written("a", response(outputs=(tensor,)), form).body)
    outputs = {one["name"]: (one["datatype"], one["data"]) for one in told["outputs"]}
    assert outputs["y"] == ("FP32", [1.0, None])
    assert outputs["label"] == ("BYTES", ["cat"])
    assert told["parameters"]["label"] == "cat"
    known = plain.answer(response(outputs=(tensor,)))
    assert known["scores"] == {"cat": 0.5, "dog": 0.25}
    assert known["outputs"]["y"]["data"] == [1.0, None]
    with pytest.raises(Refusal, match="no output 'z'"):
        open_inference.written("a", response(), open_inference.Form("", {"z": False}, False))


@pytest.mark.parametrize(
    ("content", "header", "where"),
    [
        (json.dumps({"inputs": []}).encode(), "", "inputs"),
        (json.dumps(v2(datatype="BYTES")).encode(), "", "inputs.x.datatype"),
        (json.dumps(v2(shape=[2])).encode(), "", "inputs.x.data"),
        (json.dumps(v2(data=[1, 2, "a"])).encode(), "", "inputs.x.data"),
        (json.dumps(v2(data=None)).encode(), "", "inputs.x.data"),
        (json.dumps(v2()).encode() + b"1234", "", "body"),
        (json.dumps(v2()).encode(), "99999", "Inference-Header-Content-Length"),
        (json.dumps(v2()).encode(), "-1", "Inference-Header-Content-Length"),
        (json.dumps(v2()).encode(), "9" * 5_000, "Inference-Header-Content-Length"),
        (
            json.dumps(v2(data=None, parameters={"binary_data_size": 12})).encode(),
            "",
            "inputs.x.binary_data_size",
        ),
    ],
)
def test_a_message_that_cannot_be_says_where(content: bytes, header: str, where: str) -> None:
    with pytest.raises(Refusal) as told:
        open_inference.read(content, header)
    assert (told.value.status, told.value.where) == (400, where)


def test_bytes_that_no_input_claims_are_refused() -> None:
    text = json.dumps(v2()).encode()
    with pytest.raises(Refusal, match="4 bytes belong to no input"):
        open_inference.read(text + b"1234", str(len(text)))


def test_an_application_describes_itself_as_a_model() -> None:
    told = open_inference.metadata(application(SPEC))
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    assert [one["name"] for one in told["outputs"]] == ["label", "confidence", "scores"]
    first = replace(application(SPEC).stages[0], gives=(TensorSpec(name="between", dtype="int8"),))
    gives = (
        TensorSpec(name="boxes", dtype="float32", shape=(-1, 4)),
        TensorSpec(name="label", dtype="int64"),
    )
    last = replace(first, stage="last", inputs=(first.stage,), takes=(), gives=gives)
    told = open_inference.metadata(replace(application(), stages=(first, last)))
    assert [tuple(one.values()) for one in told["outputs"]] == [
        ("boxes", "FP32", [-1, 4]),
        ("label", "INT64", [-1]),
        ("confidence", "FP64", [1]),
        ("scores", "FP64", [-1]),
    ]

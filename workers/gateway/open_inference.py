"""The Open Inference Protocol, version 2, with its binary tensor extension. Pure.

An application is a model. Its outputs are the tensors that its last stage gives and, where the
members classify, `label` (BYTES), `confidence` (FP64) and `scores` (FP64). What else there is to
say of an answer stands in the answer's parameters. A body whose header
Inference-Header-Content-Length says n is n bytes of JSON, then the bytes of each binary tensor.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from schemas.graphs import TensorSpec
from schemas.inference import InferenceResponse
from schemas.records import Tensor
from schemas.registrations import ApplicationRegistered
from workers.gateway.asked import Asked, given, taken
from workers.gateway.plain import check_bytes, finite, parsed
from workers.gateway.refusals import Refusal
from workers.runtimes.http_tensors import DATATYPES, elements
from workers.settings_section import Section

HEADER = "Inference-Header-Content-Length"
_NAMES = {dtype: name for name, dtype in DATATYPES.items()}
_DIGITS = 12
"""Of the longest length that is read as a number."""
_TOLD = ("status", "label", "confidence", "partial", "deadline_met", "latency_ms", "ensemble")


_CLASSIFIED: Mapping[str, Mapping[str, Any]] = {
    "label": {"datatype": "BYTES", "shape": [1]},
    "confidence": {"datatype": "FP64", "shape": [1]},
    "scores": {"datatype": "FP64", "shape": [-1]},
}


class _Message(Section):
    """A message of the protocol, which may say more than is understood here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Given(_Message):
    name: str = Field(min_length=1, max_length=200)
    shape: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = Field(max_length=8)
    datatype: str
    data: list[Any] | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)


class _Named(_Message):
    name: str
    parameters: Mapping[str, Any] = Field(default_factory=dict)


class _Request(_Message):
    id: str = Field(default="", max_length=1000)
    inputs: tuple[_Given, ...] = Field(min_length=1, max_length=64)
    outputs: tuple[_Named, ...] = Field(default=(), max_length=64)
    parameters: Mapping[str, Any] = Field(default_factory=dict)


_REQUESTS: TypeAdapter[_Request] = TypeAdapter(_Request)


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is wanted: its id, which outputs, which of them as bytes."""

    id: str
    outputs: Mapping[str, bool]
    binary: bool


@dataclass(frozen=True, slots=True)
class Written:
    """An answer's body; `header` is the length of its JSON where bytes of tensors follow."""

    body: bytes
    header: int | None


def metadata(app: ApplicationRegistered) -> dict[str, Any]:
    """Return what an application is, as a model: with what it says that it takes and gives.

    What every answer of members that classify has besides is named, too. A shape of any kind is -1.
    """
    told = given(app)
    return {
        "name": app.app,
        "versions": [app.event_id[:12]],
        "platform": "weir",
        "inputs": [_described(spec) for spec in taken(app).values()],
        "outputs": [
            *(_described(spec) for spec in told.values()),
            *({"name": n, **of} for n, of in _CLASSIFIED.items() if n not in told),
        ],
    }


def _described(spec: TensorSpec) -> dict[str, Any]:
    kind = _NAMES.get(spec.dtype, "BYTES")
    return {"name": spec.name, "datatype": kind, "shape": list(spec.shape or (-1,))}


def read(body: bytes, header: str) -> Asked:
    """Return what a body asks; `header` is that of the binary extension, or empty.

    Raises Refusal, naming the field.
    """
    length = len(body) if not header else _length(header, len(body))
    try:
        given = _REQUESTS.validate_python(parsed(body[:length]))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise Refusal(400, first["msg"], where, "see the Open Inference Protocol") from error
    rest = memoryview(body)[length:]
    inputs = []
    for entry in given.inputs:
        tensor, rest = _tensor(entry, rest)
        inputs.append(tensor)
    if rest:
        raise Refusal(400, f"{len(rest)} bytes belong to no input", "body", "mend binary_data_size")
    wanted = {one.name: bool(one.parameters.get("binary_data")) for one in given.outputs}
    form = Form(given.id, wanted, bool(given.parameters.get("binary_data_output")))
    return Asked(tuple(inputs), given.parameters, form)


def written(app: str, response: InferenceResponse, form: Form) -> Written:
    """Return the body of an answer. Raises Refusal for outputs that it has not."""
    found = dict(_outputs(response))
    for name in form.outputs:
        if name not in found:
            raise Refusal(
                400, f"the answer has no output {name!r}", "outputs", f"it has {', '.join(found)}"
            )
    blobs: list[bytes] = []
    told = [
        _output(name, found[name], form.outputs.get(name, False) or form.binary, blobs)
        for name in (form.outputs or found)
    ]
    message = {
        "model_name": app,
        "id": form.id or response.request_id,
        "parameters": {name: getattr(response, name) for name in _TOLD}
        | {"request_id": response.request_id},
        "outputs": told,
    }
    head = json.dumps(message, allow_nan=False).encode()
    return Written(b"".join((head, *blobs)), len(head) if blobs else None)


def _length(header: str, most: int) -> int:
    if not header.isdecimal() or len(header) > _DIGITS or int(header) > most:
        raise Refusal(400, f"it is {header!r:.40}", HEADER, f"a number of bytes up to {most}")
    return int(header)


def _tensor(given: _Given, rest: memoryview) -> tuple[Tensor, memoryview]:
    """Return an input, and the bytes that follow it."""
    where = f"inputs.{given.name}"
    dtype = DATATYPES.get(given.datatype)
    if dtype is None:
        raise Refusal(
            400, f"{given.datatype!r:.40} is not taken", f"{where}.datatype", ", ".join(DATATYPES)
        )
    size = given.parameters.get("binary_data_size")
    if size is None:
        try:
            data = elements(given.data, dtype, given.shape, given.datatype)
        except ValueError as error:
            raise Refusal(400, str(error), f"{where}.data", "mend data or shape") from error
        return Tensor(name=given.name, dtype=dtype, shape=given.shape, data=data), rest
    if type(size) is not int or not 0 <= size <= len(rest) or given.data is not None:
        raise Refusal(
            400, f"it is {size!r:.40}", f"{where}.binary_data_size", f"{len(rest)} bytes are left"
        )
    tensor = Tensor(name=given.name, dtype=dtype, shape=given.shape, data=bytes(rest[:size]))
    check_bytes(tensor, where)
    return tensor, rest[size:]


def _outputs(response: InferenceResponse) -> Iterator[tuple[str, Tensor | Sequence[Any]]]:
    for tensor in response.outputs:
        yield tensor.name, tensor
    if response.label is not None:
        yield "label", [response.label]
    if response.confidence is not None:
        yield "confidence", [response.confidence]
    if response.scores:
        yield "scores", list(response.scores)


def _output(
    name: str, value: Tensor | Sequence[Any], binary: bool, blobs: list[bytes]
) -> dict[str, Any]:
    """Return an output; one that is wanted as bytes is added to the blobs."""
    if isinstance(value, Tensor):
        kind, shape, raw = _NAMES.get(value.dtype, "BYTES"), list(value.shape), value.data or b""
        listed = np.frombuffer(raw, np.dtype(value.dtype).newbyteorder("<")).tolist()
    else:
        kind, shape, listed = _kind(value), [len(value)], list(value)
        raw = _bytes(listed)
    told: dict[str, Any] = {"name": name, "datatype": kind, "shape": shape}
    if not binary:
        return told | {"data": finite(listed)}
    blobs.append(raw)
    return told | {"parameters": {"binary_data_size": len(raw)}}


def _kind(value: Sequence[Any]) -> str:
    return "BYTES" if isinstance(value[0], str) else "FP64"


def _bytes(listed: list[Any]) -> bytes:
    """Return elements as the protocol's bytes: texts each behind their length, 4 bytes."""
    if isinstance(listed[0], str):
        texts = [text.encode() for text in listed]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return np.asarray(listed, "<f8").tobytes()

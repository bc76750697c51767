"""Requests and answers as plain JSON. Pure.

A request is `{"inputs": {"x": [[0.5, 1]]}, "parameters": {"deadline_ms": 200}}`. An input is a
list, nested or not, or `{"dtype": "uint8", "shape": [2], "data": …}` with `data` a list or base64,
or with `reference` and `digest` of what is stored already. A bare list has the type that the
application says it takes, or else float32, or bool.
"""

import base64
import binascii
import json
from typing import Any

import numpy as np

from schemas.checks import ELEMENT_BYTES
from schemas.conditions import written
from schemas.graphs import TensorSpec
from schemas.inference import InferenceResponse, MemberVote
from schemas.introspect import to_plain
from schemas.records import Tensor
from schemas.registrations import ApplicationRegistered
from workers.gateway.asked import Asked, taken
from workers.gateway.refusals import Refusal
from workers.runtimes.http_tensors import elements

_FIELDS = frozenset({"dtype", "shape", "data", "reference", "digest"})
_KINDS = {"b": "bool", "i": "float32", "u": "float32", "f": "float32"}
MOST_INPUTS = 64


def parsed(body: bytes) -> dict[str, Any]:
    """Return a body that is an object of JSON. Raises Refusal; NaN is no JSON."""
    try:
        found = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON: {error}", "body", "send one object") from error
    if not isinstance(found, dict):
        raise Refusal(400, "the body is no object", "body", 'send {"inputs": {…}}')
    return found


def read(body: bytes, app: ApplicationRegistered) -> Asked:
    """Return what a body asks of an application. Raises Refusal, naming the field."""
    found = parsed(body)
    strange = sorted(set(found) - {"inputs", "parameters"})
    if strange:
        raise Refusal(400, "there is no such field", strange[0], "send inputs and parameters")
    given, parameters = found.get("inputs"), found.get("parameters", {})
    if not isinstance(given, dict) or not 0 < len(given) <= MOST_INPUTS:
        raise Refusal(
            400, f"it must hold 1 to {MOST_INPUTS} inputs by name", "inputs", '{"inputs": {"x": …}}'
        )
    if not isinstance(parameters, dict):
        raise Refusal(400, "it is no object", "parameters", '{"parameters": {"deadline_ms": 200}}')
    specs = taken(app)
    inputs = tuple(_tensor(name, value, specs.get(name)) for name, value in given.items())
    return Asked(inputs, parameters)


def answer(response: InferenceResponse) -> dict[str, Any]:
    """Return an answer as plain data; bytes of tensors as lists of their elements."""
    told: dict[str, Any] = to_plain(type(response))(response)
    told["members"] = [_member(member) for member in response.members]
    told["outputs"] = {tensor.name: described(tensor) for tensor in response.outputs}
    told["scores"] = dict(zip(response.classes, response.scores, strict=False))
    told["conditions"] = [written(one) for one in response.conditions]
    del told["classes"], told["event_id"]
    return told


def described(tensor: Tensor) -> dict[str, Any]:
    """Return a tensor as type, shape and a flat list, or as its reference."""
    told: dict[str, Any] = {"dtype": tensor.dtype, "shape": list(tensor.shape)}
    if tensor.data is None:
        return told | {"reference": tensor.reference, "digest": tensor.digest}
    found = np.frombuffer(tensor.data, np.dtype(tensor.dtype).newbyteorder("<"))
    return told | {"data": finite(found.tolist())}


def finite(values: list[Any]) -> list[Any]:
    """Return values with null in the place of numbers that JSON does not have."""
    return [None if isinstance(v, float) and not np.isfinite(v) else v for v in values]


def _member(member: MemberVote) -> dict[str, Any]:
    told: dict[str, Any] = to_plain(MemberVote)(member)
    return told


def _tensor(name: str, value: Any, spec: TensorSpec | None) -> Tensor:
    where = f"inputs.{name}"
    if isinstance(value, dict):
        return _whole(name, value, where)
    try:
        found = np.asarray(value)
        dtype = spec.dtype if spec is not None else _KINDS[found.dtype.kind]
        data = elements(value, dtype, found.shape)
    except (KeyError, ValueError) as error:
        why = "its elements are no numbers" if isinstance(error, KeyError) else str(error)
        raise Refusal(400, why, where, "send numbers in lists of equal lengths") from error
    return Tensor(name=name, dtype=dtype, shape=found.shape, data=data)


def _whole(name: str, value: dict[str, Any], where: str) -> Tensor:
    if strange := sorted(set(value) - _FIELDS):
        raise Refusal(400, "there is no such field", f"{where}.{strange[0]}", str(sorted(_FIELDS)))
    dtype, shape = value.get("dtype"), value.get("shape")
    if not isinstance(dtype, str) or dtype not in ELEMENT_BYTES:
        raise Refusal(400, f"{dtype!r:.40} is no type", f"{where}.dtype", ", ".join(ELEMENT_BYTES))
    if not isinstance(shape, list) or not all(type(s) is int and s >= 0 for s in shape):
        raise Refusal(400, "it is no list of sizes", f"{where}.shape", "send such as [28, 28]")
    if "reference" in value:
        return Tensor(
            name=name,
            dtype=dtype,
            shape=tuple(shape),
            reference=str(value["reference"]),
            digest=str(value.get("digest", "")),
        )
    data = value.get("data")
    try:
        raw = (
            base64.b64decode(data, validate=True)
            if isinstance(data, str)
            else elements(data, dtype, shape)
        )
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, str(error), f"{where}.data", "send a list, or base64") from error
    tensor = Tensor(name=name, dtype=dtype, shape=tuple(shape), data=raw)
    check_bytes(tensor, where)
    return tensor


def check_bytes(tensor: Tensor, where: str) -> None:
    """Refuse bytes that do not fit type and shape."""
    data, expected = tensor.data or b"", ELEMENT_BYTES[tensor.dtype]
    for size in tensor.shape:
        expected *= size
    if len(data) != expected:
        raise Refusal(
            400, f"{len(data)} bytes where {expected} are needed", where, "mend shape or data"
        )


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")

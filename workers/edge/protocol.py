"""The Open Inference Protocol, version 2, as a worker speaks it in JSON. Pure.

Requests become tasks and results answers. Beyond the protocol a request may have the parameters
`priority` (larger first), `deadline_ms` (from now) and `source` (such as a camera: where the newest
request replaces others, it replaces those of its source) and `forwarded` (by another worker: it is
not sent on). Binary tensors and BYTES inputs are not
taken.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from schemas.inference import InferenceResult
from schemas.records import Tensor
from workers.edge.errors import LocalRefusal
from workers.inference.replicas import Hosted
from workers.runtimes.base import Array, Port
from workers.runtimes.http_tensors import DATATYPES, elements
from workers.settings_section import Section

MOST_PRIORITY: Final = 1000
LONGEST_MS: Final = 600_000.0
_NAMES: Final = {dtype: name for name, dtype in DATATYPES.items()}
_STATUS: Final = {"ok": 200, "dropped": 503, "expired": 504, "failed": 500}


class _Message(Section):
    """A message of the protocol, which may say more than is understood here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Given(_Message):
    name: str = Field(min_length=1, max_length=200)
    shape: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = Field(max_length=8)
    datatype: str
    data: list[Any]
    parameters: Mapping[str, Any] = Field(default_factory=dict)


class _Named(_Message):
    name: str
    parameters: Mapping[str, Any] = Field(default_factory=dict)


class _Wishes(_Message):
    priority: int = Field(default=0, ge=-MOST_PRIORITY, le=MOST_PRIORITY, strict=True)
    deadline_ms: float | None = Field(default=None, gt=0, le=LONGEST_MS, allow_inf_nan=False)
    source: str = Field(default="", max_length=200)
    forwarded: bool = Field(default=False, strict=True)


class _Request(_Message):
    id: str = Field(default="", max_length=1000)
    inputs: tuple[_Given, ...] = Field(min_length=1, max_length=64)
    outputs: tuple[_Named, ...] = Field(default=(), max_length=64)
    parameters: _Wishes = _Wishes()


_REQUESTS: Final = TypeAdapter(_Request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller asks of a model; no `outputs` are all of them, None the usual deadline."""

    id: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    priority: int
    deadline_ms: float | None
    source: str
    forwarded: bool = False


def metadata(name: str, hosted: Hosted) -> dict[str, Any]:
    """Return what a model is."""
    signature = hosted.session.signature
    return {
        "name": name,
        "versions": [version_of(hosted)],
        "platform": hosted.runtime,
        "inputs": [_described(port) for port in signature.inputs],
        "outputs": [_described(port) for port in signature.outputs],
        "parameters": dict(signature.properties),
    }


def version_of(hosted: Hosted) -> str:
    """Return a model's version: the beginning of its digest."""
    return hosted.digest[:12] or "1"


def read(body: bytes, hosted: Hosted) -> Asked:
    """Return what a request for a model asks. Raises LocalRefusal, naming the field."""
    try:
        given = _REQUESTS.validate_python(json.loads(body, parse_constant=_no_number))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the request"
        raise LocalRefusal(400, f"{place}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise LocalRefusal(400, f"the body is no JSON: {error}") from error
    signature = hosted.session.signature
    _same_names([entry.name for entry in given.inputs], signature.inputs)
    wanted = tuple(entry.name for entry in given.outputs)
    known = [port.name for port in signature.outputs]
    for name in wanted:
        if name not in known:
            raise LocalRefusal(400, f"outputs: there is no {name!r}; the model gives {known}")
    wishes = given.parameters
    return Asked(
        id=given.id,
        inputs=tuple(_tensor(entry) for entry in given.inputs),
        outputs=wanted,
        priority=wishes.priority,
        deadline_ms=wishes.deadline_ms,
        source=wishes.source,
        forwarded=wishes.forwarded,
    )


def answer(
    name: str, hosted: Hosted, asked: Asked, result: InferenceResult, outputs: Sequence[Array]
) -> tuple[int, bytes]:
    """Return the status of HTTP and the body that answer a request.

    What was not executed says why, as the result does: 503 for what was shed, 504 for what is
    late, 400 for inputs that the model cannot take, 500 for a model that failed.
    """
    told = {
        "request_id": result.request_id,
        "status": result.status,
        "queue_ms": result.queue_ms,
        "execution_ms": result.execution_ms,
        "batch_size": result.batch_size,
        "deadline_missed": result.deadline_missed,
    }
    status = _STATUS.get(result.status, 500)
    if status == 500 and not result.batch_size:
        status = 400
    if status != 200:
        error = {"error": result.reason or result.status, "id": asked.id, "parameters": told}
        return status, json.dumps(error).encode()
    ports = hosted.session.signature.outputs
    message: dict[str, Any] = {
        "model_name": name,
        "model_version": version_of(hosted),
        "id": asked.id,
        "parameters": told | _read_as(result),
        "outputs": [
            _answered(port, array)
            for port, array in zip(ports, outputs, strict=True)
            if not asked.outputs or port.name in asked.outputs
        ],
    }
    try:
        return 200, json.dumps(message, allow_nan=False).encode()
    except ValueError:
        why = "the outputs hold numbers that are not finite, which JSON cannot carry"
        return 500, json.dumps({"error": why, "id": asked.id, "parameters": told}).encode()


def _read_as(result: InferenceResult) -> dict[str, Any]:
    if result.label is None:
        return {}
    return {"label": result.label, "confidence": result.confidence}


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _same_names(given: Sequence[str], ports: Sequence[Port]) -> None:
    wanted = [port.name for port in ports]
    if sorted(given) != sorted(wanted):
        raise LocalRefusal(400, f"inputs: given are {list(given)}; the model takes {wanted}")


def _tensor(given: _Given) -> Tensor:
    dtype = DATATYPES.get(given.datatype)
    place = f"input {given.name}"
    if "binary_data_size" in given.parameters:
        raise LocalRefusal(400, f"{place}: binary tensors are not taken; send data as JSON")
    if dtype is None:
        why = f"{given.datatype!r} is not taken; send one of {', '.join(DATATYPES)}"
        raise LocalRefusal(400, f"{place}: {why}")
    try:
        data = elements(given.data, dtype, given.shape, given.datatype)
    except ValueError as error:
        raise LocalRefusal(400, f"{place}: {error}") from error
    return Tensor(name=given.name, dtype=dtype, shape=given.shape, data=data)


def _datatype(dtype: Any) -> str:
    return _NAMES.get(dtype.name, "BYTES")


def _described(port: Port) -> Mapping[str, Any]:
    shape = [-1 if size is None else size for size in port.shape]
    return {"name": port.name, "datatype": _datatype(port.dtype), "shape": shape}


def _answered(port: Port, array: Array) -> Mapping[str, Any]:
    return {
        "name": port.name,
        "datatype": _datatype(array.dtype),
        "shape": list(array.shape),
        "data": array.ravel().tolist(),
    }

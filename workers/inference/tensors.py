"""Between the tensors of events and the arrays of a runtime. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from schemas.records import Tensor
from workers.inference.errors import UnusableInput
from workers.runtimes.base import Array, Port, Signature
from workers.runtimes.errors import ExecutionFailed

PADS = "pads"
"""The property of a model file that says which of its inputs may be filled up, and with what.

A JSON object from names to numbers, such as {"tokens": 0}. The model must give the same answer
however much of that follows an input.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A task's inputs: one array per input of the model, all with the same number of rows.

    `shape` tells which tasks may be joined, `fills` with what an input may be filled up for that,
    if at all; `digest` is the SHA-256 of the input bytes.
    """

    arrays: tuple[Array, ...]
    rows: int
    shape: str
    fills: tuple[float | None, ...]
    digest: str


def digest_of(tensors: Sequence[Tensor]) -> str:
    """Return the SHA-256 of all inline input bytes in their order."""
    hasher = hashlib.sha256()
    for tensor in tensors:
        hasher.update(tensor.data or b"")
    return hasher.hexdigest()


def prepare(tensors: Sequence[Tensor], signature: Signature) -> Prepared:
    """Return the arrays that a model takes.

    A model with one input takes the first tensor, one with several takes them by name. A missing
    first dimension is added. Raises UnusableInput.
    """
    arrays = tuple(
        _shaped(_array(tensor), tensor.name, port)
        for port, tensor in zip(signature.inputs, _chosen(tensors, signature), strict=True)
    )
    rows = {array.shape[0] for array in arrays} if signature.batches else {1}
    if len(rows) != 1:
        raise UnusableInput(f"the inputs differ in their first dimension: {sorted(rows)}")
    known = pads(signature.properties.get(PADS, "")) if signature.batches else {}
    fills = tuple(_fill(port, known.get(port.name)) for port in signature.inputs)
    each = zip(arrays, signature.inputs, fills, strict=True)
    shape = ";".join(_form(array, port, fill, signature) for array, port, fill in each)
    return Prepared(arrays, rows.pop(), shape, fills, digest_of(tensors))


@lru_cache(maxsize=256)
def pads(text: str) -> Mapping[str, float]:
    """Return what inputs may be filled up with, by name; nothing when the text says none."""
    try:
        given = json.loads(text) if text else {}
    except ValueError:
        return {}
    entries = given.items() if isinstance(given, dict) else ()
    return {name: float(fill) for name, fill in entries if isinstance(fill, int | float)}


def join(prepared: Sequence[Prepared]) -> list[Array]:
    """Return the inputs of several tasks of one shape as one execution's.

    Those that may be filled up are, to the largest of the batch.
    """
    if len(prepared) == 1:
        return list(prepared[0].arrays)
    inputs = zip(*(p.arrays for p in prepared), strict=True)
    fills = prepared[0].fills
    return [np.concatenate(_filled(i, fill)) for i, fill in zip(inputs, fills, strict=True)]


def _fill(port: Port, given: float | None) -> float | None:
    """Return what an input may be filled up with, if its type can hold that."""
    if given is None or port.dtype.kind not in "iuf":
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        return given if np.float64(given).astype(port.dtype) == given else None


def _filled(parts: Sequence[Array], fill: float | None) -> Sequence[Array]:
    sizes = {part.shape[1:] for part in parts}
    if fill is None or len(sizes) == 1:
        return parts
    most = [max(each) for each in zip(*sizes, strict=True)]
    return [
        np.pad(
            part,
            [(0, 0), *((0, m - size) for m, size in zip(most, part.shape[1:], strict=True))],
            constant_values=fill,
        )
        for part in parts
    ]


def _form(array: Array, port: Port, fill: float | None, signature: Signature) -> str:
    """Return what arrays of an input must have in common to be joined."""
    if not signature.batches:
        return str(array.shape)
    return str(array.shape[1:] if fill is None else port.shape[1:])


def share_out(outputs: Sequence[Array], prepared: Sequence[Prepared]) -> list[list[Array]]:
    """Return each task's part of a joint execution's outputs.

    Raises ExecutionFailed when an output has not one row per input row.
    """
    if len(prepared) == 1:
        return [list(outputs)]
    ends = np.cumsum([p.rows for p in prepared])
    for number, output in enumerate(outputs):
        if output.ndim == 0 or output.shape[0] != ends[-1]:
            raise ExecutionFailed(
                f"output {number} has shape {output.shape} where {ends[-1]} rows went in"
            )
    parts = [np.split(output, ends[:-1]) for output in outputs]
    return [[part[task] for part in parts] for task in range(len(prepared))]


def tensor_of(name: str, array: Array) -> Tensor:
    """Return an output as a tensor with all its bytes.

    Raises ExecutionFailed when it holds no numbers.
    """
    if array.dtype.kind not in "biuf":
        raise ExecutionFailed(f"output {name} holds {array.dtype}, which no tensor can carry")
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    shape = tuple(int(size) for size in array.shape)
    return Tensor(name=name, dtype=array.dtype.name, shape=shape, data=little.tobytes())


def _chosen(tensors: Sequence[Tensor], signature: Signature) -> list[Tensor]:
    if not tensors:
        raise UnusableInput("the task has no input tensor")
    if len(signature.inputs) == 1:
        return [tensors[0]]
    by_name = {tensor.name: tensor for tensor in tensors}
    missing = [port.name for port in signature.inputs if port.name not in by_name]
    if missing:
        raise UnusableInput(f"input {', '.join(missing)} is missing; given: {', '.join(by_name)}")
    return [by_name[port.name] for port in signature.inputs]


def _array(tensor: Tensor) -> Array:
    if tensor.data is None:
        raise UnusableInput(f"input {tensor.name} is a reference; this worker takes inline data")
    try:
        return np.frombuffer(tensor.data, _little(tensor.dtype)).reshape(tensor.shape)
    except (TypeError, ValueError) as error:
        raise UnusableInput(f"input {tensor.name}: {error}") from error


@lru_cache(maxsize=64)
def _little(name: str) -> "np.dtype[Any]":
    """Return a type by name, as bytes of tensors hold it. Raises TypeError."""
    return np.dtype(name).newbyteorder("<")


def _shaped(array: Array, name: str, port: Port) -> Array:
    if array.dtype != port.dtype:
        raise UnusableInput(
            f"input {name} is {array.dtype.name}; the model takes {port.dtype.name}"
        )
    if array.ndim == len(port.shape) - 1:
        array = array[np.newaxis]
    if not _fits(array.shape, port.shape) or array.size == 0:
        wanted_shape = "x".join("?" if size is None else str(size) for size in port.shape)
        shape = "x".join(str(size) for size in array.shape)
        raise UnusableInput(f"input {name} has shape {shape}; the model takes {wanted_shape}")
    return array


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    for size, known in zip(shape, wanted, strict=True):  # a loop costs half of all()
        if known is not None and size != known:
            return False
    return True

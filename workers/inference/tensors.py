"""Between the tensors of events and the arrays of a runtime. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.records import Tensor
from workers.inference.errors import UnusableInput
from workers.runtimes.base import Array, Port, Signature
from workers.runtimes.errors import ExecutionFailed

INLINE_BYTES = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A task's inputs: one array per input of the model, all with the same number of rows.

    `shape` tells which tasks may be joined; `digest` is the SHA-256 of the input bytes.
    """

    arrays: tuple[Array, ...]
    rows: int
    shape: str
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
    shape = ";".join(str(array.shape[1:] if signature.batches else array.shape) for array in arrays)
    return Prepared(arrays, rows.pop(), shape, digest_of(tensors))


def join(prepared: Sequence[Prepared]) -> list[Array]:
    """Return the inputs of several tasks of one shape as one execution's."""
    if len(prepared) == 1:
        return list(prepared[0].arrays)
    return [np.concatenate(parts) for parts in zip(*(p.arrays for p in prepared), strict=True)]


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
    """Return an output as an inline tensor.

    Raises ExecutionFailed when it holds no numbers or is too large.
    """
    if array.dtype.kind not in "biuf":
        raise ExecutionFailed(f"output {name} holds {array.dtype}, which no tensor can carry")
    if array.nbytes > INLINE_BYTES:
        raise ExecutionFailed(
            f"output {name} has {array.nbytes} bytes; at most {INLINE_BYTES} go inline"
        )
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
        dtype = np.dtype(tensor.dtype).newbyteorder("<")
        return np.frombuffer(tensor.data, dtype).reshape(tensor.shape)
    except (TypeError, ValueError) as error:
        raise UnusableInput(f"input {tensor.name}: {error}") from error


def _shaped(array: Array, name: str, port: Port) -> Array:
    if array.dtype != port.dtype:
        raise UnusableInput(
            f"input {name} is {array.dtype.name}; the model takes {port.dtype.name}"
        )
    if array.ndim == len(port.shape) - 1:
        array = array[np.newaxis]
    fits = array.ndim == len(port.shape) and all(
        wanted in (None, size) for size, wanted in zip(array.shape, port.shape, strict=True)
    )
    if not fits or array.size == 0:
        wanted_shape = "x".join("?" if size is None else str(size) for size in port.shape)
        shape = "x".join(str(size) for size in array.shape)
        raise UnusableInput(f"input {name} has shape {shape}; the model takes {wanted_shape}")
    return array

"""Between arrays and what HTTP services say of them in JSON. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workers.runtimes.base import Array, Port
from workers.runtimes.errors import BrokenModel, ExecutionFailed

DATATYPES: Mapping[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
"""Element types by their names in the Open Inference Protocol; BYTES is not served."""
_NAMES = {dtype: name for name, dtype in DATATYPES.items()}


def datatype(port: Port) -> str:
    """Return the protocol's name for a port's elements."""
    return _NAMES[port.dtype.name]


def described(entry: Any) -> Port:
    """Return the port that an entry of a model's metadata describes. Raises BrokenModel."""
    try:
        name, kind, shape = entry["name"], entry["datatype"], entry["shape"]
        sizes = [int(size) for size in shape]
    except (TypeError, KeyError, ValueError) as error:
        raise BrokenModel(f"metadata {entry!r:.100} lacks name, datatype or shape") from error
    if not isinstance(name, str) or kind not in DATATYPES:
        raise BrokenModel(f"{name!r} is {kind!r}; served are {', '.join(DATATYPES)}")
    return _port(name, DATATYPES[kind], [None if size < 0 else size for size in sizes])


def declared(text: str) -> tuple[Port, ...]:
    """Return the ports of a text such as `x:float32:?x3;mask:bool:?`, in which ? is any size.

    Raises BrokenModel.
    """
    ports = tuple(_declared(part.strip()) for part in text.split(";"))
    if len({port.name for port in ports}) != len(ports):
        raise BrokenModel(f"{text!r} names a tensor twice")
    return ports


def _declared(part: str) -> Port:
    name, _, rest = part.partition(":")
    dtype, _, shape = rest.partition(":")
    sizes = shape.split("x") if shape else []
    if not name or dtype not in _NAMES or not all(s == "?" or s.isdecimal() for s in sizes):
        raise BrokenModel(
            f"{part!r}: write name:type:shape, such as x:float32:?x3; types are {', '.join(_NAMES)}"
        )
    return _port(name, dtype, [None if size == "?" else int(size) for size in sizes])


def array_of(port: Port, data: Any, shape: Any = None) -> Array:
    """Return a port's array from nested or flat lists; a shape of None is that of the lists.

    Raises ExecutionFailed for what the type or the shape cannot hold.
    """
    try:
        found = np.asarray(data)
        if shape is not None:
            found = found.reshape([int(size) for size in shape])
        with np.errstate(all="ignore"):  # what does not fit is found below
            cast = found.astype(port.dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ExecutionFailed(f"output {port.name}: {error}") from error
    numbers = "b" if port.dtype.kind == "b" else "iuf"
    exact = port.dtype.kind == "f" or np.array_equal(found, cast)
    if found.size and (found.dtype.kind not in numbers or not exact):
        raise ExecutionFailed(f"output {port.name} is no {port.dtype.name}")
    fits = len(cast.shape) == len(port.shape) and all(
        wanted in (None, size) for size, wanted in zip(cast.shape, port.shape, strict=True)
    )
    if not fits:
        raise ExecutionFailed(f"output {port.name} has shape {cast.shape}, told is {port.shape}")
    return cast


def elements(data: Any, dtype: str, shape: Sequence[int], called: str = "") -> bytes:
    """Return nested or flat lists as row-major, little-endian elements.

    Raises ValueError for what the type, perhaps `called` otherwise, cannot hold as it is, and for
    what the shape does not fit.
    """
    try:
        found = np.asarray(data)
        with np.errstate(all="ignore"):  # what does not fit is found below
            cast = found.reshape(shape).astype(dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(str(error)) from error
    kinds = {"b": "b", "f": "iuf"}.get(cast.dtype.kind, "iu")
    floats = cast.dtype.kind == "f"
    exact = np.isfinite(cast).all() if floats else np.array_equal(found.ravel(), cast.ravel())
    if found.size and (found.dtype.kind not in kinds or not exact):
        raise ValueError(f"its data are no {called or dtype}")
    return np.ascontiguousarray(cast, cast.dtype.newbyteorder("<")).tobytes()


def _port(name: str, dtype: str, sizes: list[int | None]) -> Port:
    return Port(name, np.dtype(dtype), tuple(sizes))

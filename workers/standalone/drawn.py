"""Inputs that are drawn: numbers in the shape that a model takes. Pure."""

import numpy as np

from schemas.records import Tensor
from workers.runtimes.base import Array, Port, Signature
from workers.simulation.chance import Stream
from workers.standalone.config import Synthetic
from workers.standalone.errors import RunRefused

MOST_BYTES = 1 << 30
_DRAWN = 1_021
"""So many numbers are drawn for each input; they are repeated to fill it."""


def drawn(
    config: Synthetic, signature: Signature, seed: int, service: str, where: str
) -> list[tuple[Tensor, ...]]:
    """Return frames as tensors, one for each input of the model; equal seeds give equal frames.

    Raises RunRefused for an input that holds no numbers, and for frames of more than 1 GiB in all.
    """
    shapes = [_shape(port, config, where) for port in signature.inputs]
    sizes = [
        port.dtype.itemsize * int(np.prod(shape, dtype=object))
        for port, shape in zip(signature.inputs, shapes, strict=True)
    ]
    if sum(sizes) * config.different > MOST_BYTES:
        raise RunRefused(
            f"{where}: {config.different} frames of {sum(sizes):,} bytes are more than "
            f"{MOST_BYTES >> 20:,} MiB; lower different or open_size"
        )
    stream = Stream(seed, f"{service}/inputs")
    return [
        tuple(
            _tensor(port, shape, stream, (number * len(shapes) + place) * _DRAWN)
            for place, (port, shape) in enumerate(zip(signature.inputs, shapes, strict=True))
        )
        for number in range(config.different)
    ]


def tensor(name: str, array: Array) -> Tensor:
    """Return an array as an input."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    shape = tuple(int(size) for size in array.shape)
    return Tensor(name=name, dtype=array.dtype.name, shape=shape, data=little.tobytes())


def _shape(port: Port, config: Synthetic, where: str) -> tuple[int, ...]:
    if port.dtype.kind not in "biuf":
        raise RunRefused(
            f"{where}: input {port.name} takes {port.dtype}, which is not drawn; give files"
        )
    open_ = (1 if place == 0 else config.open_size for place in range(len(port.shape)))
    return tuple(size or given for size, given in zip(port.shape, open_, strict=True))


def _tensor(port: Port, shape: tuple[int, ...], stream: Stream, first: int) -> Tensor:
    count = int(np.prod(shape))
    numbers = np.array([stream.at(first + n) for n in range(min(count, _DRAWN))])
    values = np.resize(numbers if port.dtype.kind == "f" else numbers.round(), shape)
    return tensor(port.name, values.astype(port.dtype))

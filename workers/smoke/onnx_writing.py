"""Writes ONNX files by hand: the few fields of its protobuf that simple models need. Pure.

Source: onnx.proto3 of ONNX (field numbers), and the encoding of protocol buffers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
IR_VERSION, OPSET = 8, 17
_FLOAT, _INTS = 1, 7
_VARINT, _BYTES = 0, 2


@dataclass(frozen=True, slots=True)
class Node:
    """One operator; attributes are lists of whole numbers."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of float32; a dimension of None takes any size."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A model with one input and one output; `weights` are constants by name."""

    name: str
    nodes: tuple[Node, ...]
    weights: Mapping[str, Floats]
    takes: Value
    gives: Value


def model_bytes(graph: Graph) -> bytes:
    """Return the content of an ONNX file."""
    inner = b"".join(
        (
            *(_part(1, _node(node)) for node in graph.nodes),
            _text(2, graph.name),
            *(_part(5, _tensor(name, array)) for name, array in graph.weights.items()),
            _part(11, _value(graph.takes)),
            _part(12, _value(graph.gives)),
        )
    )
    return _number(1, IR_VERSION) + _text(2, "weir") + _part(7, inner) + _part(8, _number(2, OPSET))


def _node(node: Node) -> bytes:
    parts = [_text(1, name) for name in node.inputs]
    parts += [_text(2, node.output), _text(3, node.output), _text(4, node.operator)]
    parts += [_part(5, _attribute(name, ints)) for name, ints in node.attributes.items()]
    return b"".join(parts)


def _attribute(name: str, numbers: Iterable[int]) -> bytes:
    return _text(1, name) + b"".join(_number(8, one) for one in numbers) + _number(20, _INTS)


def _tensor(name: str, array: Floats) -> bytes:
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, _FLOAT) + _text(8, name) + _part(9, array.astype("<f4").tobytes())


def _value(value: Value) -> bytes:
    dims = b"".join(
        _part(1, _text(2, "n") if size is None else _number(1, size)) for size in value.shape
    )
    return _text(1, value.name) + _part(2, _part(1, _number(1, _FLOAT) + _part(2, dims)))


def _text(number: int, text: str) -> bytes:
    return _part(number, text.encode())


def _part(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    """Return a whole number that is not below 0, seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)

"""Whether an ONNX file keeps weights in other files, which no checksum of it covers.

Source of the numbers: onnx.proto3 (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto).
Headers alone are read, so that a large file costs little.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from workers.runtimes.errors import BrokenModel

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Which fields of a message are messages that may hold tensors."""


class _Unreadable(Exception):
    """It is no message of this kind: what reads the file for good says what is wrong with it."""


def refuse_weights_elsewhere(path: Path) -> None:
    """Raise BrokenModel when a tensor of an ONNX file stands in another one, or it is not there."""
    try:
        with path.open("rb") as file:
            external = _external(_Reader(file, os.fstat(file.fileno()).st_size))
    except OSError as error:
        raise BrokenModel(f"{path}: {error.strerror or error}") from error
    except _Unreadable:
        return
    if external:
        raise BrokenModel(
            f"{path}: it keeps weights in other files, which its checksum does not cover; save it "
            "as one file (onnx.save with save_as_external_data=False)"
        )


class _Reader:
    """Reads a file forwards; `at` is where it stands."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self.at = 0

    def number(self) -> int:
        """Return a number in base 128, the least digits first."""
        value = 0
        for shift in range(0, 64, 7):
            byte = self._file.read(1)
            if not byte:
                raise _Unreadable
            self.at += 1
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        raise _Unreadable

    def skip(self, count: int) -> None:
        """Pass over so many bytes."""
        self.at += count
        if self.at > self.size:
            raise _Unreadable
        self._file.seek(self.at)


def _external(reader: _Reader) -> bool:
    open_messages = [(reader.size, "model")]
    while open_messages:
        end, kind = open_messages[-1]
        if reader.at >= end:
            open_messages.pop()
            continue
        tag = reader.number()
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value = reader.number()
            if (kind, field, value) == ("tensor", _DATA_LOCATION, _EXTERNAL):
                return True
        elif wire == _LENGTH:
            length = reader.number()
            if (kind, field) == ("tensor", _EXTERNAL_DATA):
                return True
            if inner := _INSIDE[kind].get(field):
                open_messages.append((reader.at + length, inner))
            else:
                reader.skip(length)
        elif wire in (_FIXED64, _FIXED32):
            reader.skip(8 if wire == _FIXED64 else 4)
        else:
            raise _Unreadable
    return False

"""How pictures and numbers become the inputs of a request.

Pixels are (rows, columns) or (rows, columns, channels) of uint8. The digest of a frame is the
SHA-256 of the bytes of its inputs, which results tell as input_digest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.records import Tensor
from workers.client import tensors
from workers.inference.tensors import digest_of
from workers.sources.errors import UnusableSource

Array = npt.NDArray[Any]
MOST_BYTES = 64 * 1_048_576
"""Most bytes of one input."""
MOST_PIXELS = 50_000_000
"""Larger pictures are refused before they are unpacked."""
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@dataclass(frozen=True, slots=True)
class Frame:
    """The inputs of one request, and the SHA-256 of their bytes in hexadecimal."""

    inputs: tuple[Tensor, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a model wants: the name of its input, and of pictures their size (width, height).

    `gray` leaves one value a pixel, `scaled` makes float32 from 0 to 1 of uint8, `channels_first`
    gives (channels, rows, columns). An input has at most `most_bytes`; one of
    more than 64 kB is stored, and its request names it.
    """

    tensor: str = "x"
    size: tuple[int, int] | None = None
    gray: bool = False
    scaled: bool = False
    channels_first: bool = False
    most_bytes: int = MOST_BYTES

    def picture(self, pixels: Array, where: str) -> Frame:
        """Return the frame of a picture of the right size. Raises UnusableSource."""
        if self.scaled:
            pixels = np.divide(pixels, np.float32(255), dtype=np.float32)
        if self.channels_first:
            pixels = pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
        return self.frame(pixels, where)

    def frame(self, array: Array, where: str) -> Frame:
        """Return the frame of an array as it is. Raises UnusableSource when it is too large."""
        return framed({self.tensor: array}, where, self.most_bytes)


def framed(arrays: Mapping[str, Array], where: str, most_bytes: int = MOST_BYTES) -> Frame:
    """Return the frame of arrays by name. Raises UnusableSource when one is too large."""
    for name, array in arrays.items():
        if array.nbytes > most_bytes:
            raise UnusableSource(
                f"{where}: input {name} has {array.nbytes} bytes; an input has at most "
                f"{most_bytes}: make pictures smaller (--size, --gray)"
            )
    inputs = tensors(arrays)
    return Frame(inputs, digest_of(inputs))


def size_of(text: str) -> tuple[int, int]:
    """Return width and height from a text such as 160x120. Raises UnusableSource."""
    found = _SIZE.fullmatch(text)
    if found is None or int(found[1]) * int(found[2]) > MOST_PIXELS:
        raise UnusableSource(f"size {text!r}: write WIDTHxHEIGHT in pixels, such as 160x120")
    return int(found[1]), int(found[2])

"""Bodies of requests over HTTP as frames: pictures, and inputs as the Open Inference Protocol
has them (`{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}`).
"""

import json
from io import BytesIO
from typing import Any, NoReturn

import numpy as np

from workers.runtimes.http_tensors import DATATYPES
from workers.sources.errors import UnusableSource
from workers.sources.forms import Array, Form, Frame, framed

JSON = "application/json"
PICTURES = ("image/bmp", "image/jpeg", "image/png", "image/webp")
KINDS = (*PICTURES, JSON)
WHERE = "the body"


def frame_of(body: bytes, kind: str, form: Form) -> Frame:
    """Return the frame that a body of one of the KINDS holds. Raises UnusableSource."""
    if kind == JSON:
        return _inputs(body)
    from workers.sources.images import pixels  # noqa: PLC0415 - an extra of images alone

    return form.picture(pixels(BytesIO(body), form, WHERE), WHERE)


def _inputs(body: bytes) -> Frame:
    try:
        told = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnusableSource(f"{WHERE} is no JSON: {error}") from error
    entries = told.get("inputs") if isinstance(told, dict) else None
    if not isinstance(entries, list) or not entries:
        raise UnusableSource(f"{WHERE} has no list of inputs")
    arrays = dict(_input(entry) for entry in entries)
    if len(arrays) != len(entries):
        raise UnusableSource(f"{WHERE} names an input twice")
    return framed(arrays, WHERE)


def _input(entry: Any) -> tuple[str, Array]:
    try:
        name, kind, shape, data = (entry[key] for key in ("name", "datatype", "shape", "data"))
    except (TypeError, KeyError) as error:
        raise UnusableSource(
            f"{WHERE}: an input has name, datatype, shape and data, not {entry!r:.100}"
        ) from error
    if not isinstance(name, str) or not name:
        raise UnusableSource(f"{WHERE}: an input's name is text, not {name!r:.100}")
    if not isinstance(kind, str) or kind not in DATATYPES:
        raise UnusableSource(
            f"{WHERE}: input {name} is {kind!r:.100}, none of {', '.join(DATATYPES)}"
        )
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise UnusableSource(f"{WHERE}: input {name} has shape {shape!r:.100}")
    return name, _array(name, np.dtype(DATATYPES[kind]), shape, data)


def _array(name: str, dtype: np.dtype[Any], shape: list[int], data: Any) -> Array:
    """Return an array of exactly these numbers. Raises UnusableSource."""
    try:
        found = np.asarray(data).reshape(shape)
    except ValueError as error:
        raise UnusableSource(f"{WHERE}: input {name}: {error}") from error
    if found.dtype.kind not in ("b" if dtype.kind == "b" else "iuf"):
        raise UnusableSource(f"{WHERE}: input {name} holds no {dtype.name}")
    with np.errstate(all="ignore"):  # what does not fit is found below
        cast = found.astype(dtype)
    fits = np.isfinite(cast).all() if dtype.kind == "f" else np.array_equal(found, cast)
    if not fits:
        raise UnusableSource(f"{WHERE}: input {name} holds what {dtype.name} cannot")
    return cast


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")

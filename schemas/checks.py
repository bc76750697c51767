"""Values that no schema can forbid: what makes a well-formed event unusable.

One rule for all that tells a time: it may not lie more than a minute after its record's
timestamp, so that a wrong clock moves no watermark.
"""

import math

from schemas.base import Event
from schemas.closed import WindowsClosed, objection
from schemas.conditions import checked
from schemas.errors import DecodeError, InvalidEvent
from schemas.inference import InferenceRequest
from schemas.observing import MetricReport
from schemas.records import Tensor
from schemas.topics import Topic, home_of

MAX_AHEAD_MS = 60_000
INLINE_BYTES = 65_536
ELEMENT_BYTES = {
    "bool": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "float16": 2,
    "float32": 4,
    "float64": 8,
}
"""Element types of tensors, by numpy's names. A list of our own: numpy's parser evaluates text."""


def check(event: Event, timestamp: int) -> None:
    """Raise InvalidEvent when an event makes no sense; `timestamp` is its record's, in ms."""
    home = home_of(type(event))
    if getattr(event, home.key[0]) == "":
        raise InvalidEvent("empty", home.key[0], f"{home.key[0]} is empty; it is needed as key")
    if home.time is not None and getattr(event, home.time) > timestamp + MAX_AHEAD_MS:
        raise _ahead(home.time, getattr(event, home.time), timestamp)
    if isinstance(event, MetricReport):
        _check_metric(event)
    elif isinstance(event, InferenceRequest):
        _check_request(event)
    elif isinstance(event, WindowsClosed) and (reason := objection(event)):
        raise InvalidEvent("columns", "rows", reason)


def check_size(length: int, topic: Topic) -> None:
    """Raise DecodeError (too-large) when a value is longer than its topic takes."""
    if length > topic.max_bytes:
        raise DecodeError(
            "too-large",
            f"{length} bytes where {topic.name} takes at most {topic.max_bytes}; "
            "send what is large by reference",
        )


def _ahead(field: str, when: int, timestamp: int) -> InvalidEvent:
    seconds = (when - timestamp) / 1000
    return InvalidEvent(
        "time-ahead",
        field,
        f"{field} lies {seconds:.0f} s after the record's timestamp; at most "
        f"{MAX_AHEAD_MS // 1000} s are allowed: mend the producer's clock",
    )


def _check_metric(event: MetricReport) -> None:
    if not math.isfinite(event.value):
        raise InvalidEvent(
            "not-finite", "value", f"value is {event.value}; report finite numbers or nothing"
        )
    for name in ("app", "metric"):
        if getattr(event, name) == "":
            raise InvalidEvent("empty", name, f"{name} is empty; name the series")


def _check_request(event: InferenceRequest) -> None:
    if event.deadline <= event.created_at:
        raise InvalidEvent("deadline", "deadline", "the deadline is not after created_at")
    if not event.inputs:
        raise InvalidEvent("empty", "inputs", "a request needs at least one input tensor")
    for tensor in event.inputs:
        check_tensor(tensor)
    if event.conditions:
        checked(event.conditions)


def check_tensor(tensor: Tensor) -> None:
    """Raise InvalidEvent when a tensor's bytes do not fit its type and shape, or are too many."""
    where = f"inputs.{tensor.name}"
    if (tensor.data is None) == (tensor.reference is None):
        raise InvalidEvent("tensor", where, "give either data or a reference")
    if tensor.data is None:
        if not tensor.digest:
            raise InvalidEvent("tensor", where, "a reference needs the digest of its content")
        return
    if len(tensor.data) > INLINE_BYTES:
        raise InvalidEvent(
            "tensor",
            where,
            f"{len(tensor.data)} bytes inline; above {INLINE_BYTES} use a reference",
        )
    check_shape(tensor, where, len(tensor.data))


def check_shape(tensor: Tensor, where: str, length: int) -> None:
    """Raise InvalidEvent when `length` bytes do not fit a tensor's type and shape."""
    item = ELEMENT_BYTES.get(tensor.dtype)
    if item is None:
        known = ", ".join(ELEMENT_BYTES)
        raise InvalidEvent("tensor", where, f"dtype {tensor.dtype!r} is none of {known}")
    if any(size < 0 for size in tensor.shape):
        raise InvalidEvent("tensor", where, "a size of the shape is negative")
    expected = math.prod(tensor.shape) * item
    if expected != length:
        shape = "x".join(str(size) for size in tensor.shape)
        raise InvalidEvent(
            "tensor", where, f"{length} bytes where {tensor.dtype} {shape} needs {expected}"
        )

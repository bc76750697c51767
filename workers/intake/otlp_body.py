"""Bodies of OTLP over HTTP, as protobuf and as JSON: requests read, answers written. Pure.

JSON is protobuf's own mapping but for ids of traces and spans, which are hexadecimal in OTLP.
Source: OpenTelemetry Protocol specification 1.x, OTLP/HTTP.
"""

import base64
import binascii
import json
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
KINDS = (PROTOBUF, JSON)
_IDS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
INVALID, UNAUTHENTICATED, EXHAUSTED, UNAVAILABLE, UNIMPLEMENTED = 3, 16, 8, 14, 12
"""Codes of google.rpc."""

M = TypeVar("M", bound=Message)


class Unreadable(Exception):
    """A body is not what it claims to be; the message says why."""


def read(body: bytes, kind: str, message: type[M]) -> M:
    """Return the request in a body of one of `KINDS`. Raises Unreadable."""
    found: M = message()
    try:
        if kind == PROTOBUF:
            found.ParseFromString(body)
        else:
            _parse_json(body, found)
    except (DecodeError, json_format.ParseError, ValueError, RecursionError) as error:
        why = str(error).strip() or type(error).__name__
        raise Unreadable(f"the body is no {message.DESCRIPTOR.name} as {kind}: {why}") from error
    return found


def _parse_json(body: bytes, into: Message) -> None:
    plain = json.loads(body)
    if not isinstance(plain, dict):
        raise json_format.ParseError("not a JSON object")
    json_format.ParseDict(_with_ids(plain), into, ignore_unknown_fields=True)


def _with_ids(plain: Any) -> Any:
    """Return JSON with ids in base 64, as protobuf wants bytes, where OTLP has hexadecimal."""
    if isinstance(plain, list):
        return [_with_ids(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    return {
        key: _base64(value) if key in _IDS and isinstance(value, str) else _with_ids(value)
        for key, value in plain.items()
    }


def _base64(digits: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(digits)).decode()
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"{digits[:64]!r} is no id in hexadecimal") from error


def written(message: Message, kind: str) -> bytes:
    """Return an answer in the encoding of its request."""
    if kind == PROTOBUF:
        return bytes(message.SerializeToString())
    return json.dumps(json_format.MessageToDict(message)).encode()


def status(code: int, message: str, kind: str) -> bytes:
    """Return a google.rpc.Status that says why a request was not taken."""
    return written(Status(code=code, message=message), kind)

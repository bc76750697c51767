"""Events from plain data as people write it, JSON or TOML, with errors that name the field.

Bytes are base64 text, instants are milliseconds since the epoch or ISO 8601 text with an offset,
and a list of key/value records may be a table. Nothing is guessed and no field is ignored.
"""

import base64
import binascii
import types
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from schemas.errors import InvalidEvent
from schemas.records import KeyValue

T = TypeVar("T")
_LONG = 1 << 63
"""Avro's long takes numbers from minus this to below this."""
_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def build(kind: type[T], plain: Any) -> T:
    """Return the event, or record in an event, that plain data describes.

    Raises InvalidEvent, naming the field, for one that is missing, unknown or of a wrong type.
    """
    made: T = _record(kind, plain, "")
    return made


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _record(kind: type, plain: Any, path: str) -> Any:
    if not isinstance(plain, dict):
        raise _wrong(path or kind.__name__, f"a {kind.__name__} with named fields", plain)
    known = {field.name: field for field in fields(kind)}
    for name in plain:
        if name not in known:
            raise InvalidEvent(
                "unknown-field",
                f"{path}{name}",
                f"{kind.__name__} has no field {path}{name}; it has {', '.join(known)}",
            )
    values = {}
    for name, field in known.items():
        if name in plain:
            values[name] = _value(_hints(kind)[name], plain[name], f"{path}{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InvalidEvent(
                "missing-field", f"{path}{name}", f"{kind.__name__} needs the field {path}{name}"
            )
    return kind(**values)


def _value(hint: Any, plain: Any, path: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _instant(plain, path)
    if origin in (Union, types.UnionType):
        return None if plain is None else _value(arguments[0], plain, path)
    if origin is tuple:
        return _sequence(arguments[0], plain, path)
    if is_dataclass(hint):
        return _record(hint, plain, f"{path}.")  # type: ignore[arg-type]  # a record class
    return _bytes(plain, path) if hint is bytes else _primitive(hint, plain, path)


def _primitive(hint: Any, plain: Any, path: str) -> Any:
    if hint is float and isinstance(plain, int) and not isinstance(plain, bool):
        return _float(plain, path)
    if not isinstance(plain, hint) or (hint is not bool and isinstance(plain, bool)):
        raise _wrong(path, _NAMES[hint], plain)
    if hint is str and not plain.isascii():
        _check_text(plain, path)
    if hint is int and not -_LONG <= plain < _LONG:
        raise _wrong(path, "a whole number of 64 bits", plain)
    return plain


def _check_text(plain: str, path: str) -> None:
    """Raise InvalidEvent for half of a surrogate pair, which JSON can hold and UTF-8 cannot."""
    try:
        plain.encode()
    except UnicodeEncodeError as error:
        raise _wrong(path, "text in Unicode", plain) from error


def _float(plain: int, path: str) -> float:
    try:
        return float(plain)
    except OverflowError as error:
        raise _wrong(path, "a number of 64 bits", plain) from error


def _sequence(item: Any, plain: Any, path: str) -> tuple[Any, ...]:
    if item is KeyValue and isinstance(plain, dict):
        plain = [{"key": key, "value": value} for key, value in plain.items()]
    if not isinstance(plain, list):
        raise _wrong(path, "a list", plain)
    return tuple(_value(item, value, f"{path}[{place}]") for place, value in enumerate(plain))


def _bytes(plain: Any, path: str) -> bytes:
    if not isinstance(plain, str):
        raise _wrong(path, "base64 text", plain)
    try:
        return base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _wrong(path, "base64 text", plain) from error


def _instant(plain: Any, path: str) -> int:
    wanted = "milliseconds since the epoch, or ISO 8601 text with an offset"
    if isinstance(plain, int) and not isinstance(plain, bool):
        if not -_LONG <= plain < _LONG:
            raise _wrong(path, wanted, plain)
        return plain
    try:
        when = plain if isinstance(plain, datetime) else datetime.fromisoformat(plain)
    except (TypeError, ValueError) as error:
        raise _wrong(path, wanted, plain) from error
    if when.tzinfo is None:
        raise _wrong(path, wanted, plain)
    return round(when.timestamp() * 1000)


def _wrong(path: str, wanted: str, plain: Any) -> InvalidEvent:
    shown = repr(plain)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return InvalidEvent("type", path.rstrip("."), f"{path.rstrip('.')} must be {wanted}: {shown}")

"""One fixed example of every event class, derived from its fields, and a codec that knows all."""

from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from schemas import files
from schemas.base import Event
from schemas.codec import Codec
from schemas.events import EVENTS

R = TypeVar("R")
IDS: dict[type[Event], int] = {event: 100 + n for n, event in enumerate(EVENTS.values())}
SCHEMAS: dict[int, str] = {number: files.text(event.__name__) for event, number in IDS.items()}


def codec(extra: dict[int, str] | None = None) -> Codec:
    """Return a codec that knows every event, and further schemas by id."""
    return Codec(IDS, (SCHEMAS | (extra or {})).__getitem__)


def example(record: type[R]) -> R:
    """Return the same instance on every call; every optional field has a value."""
    hints = get_type_hints(record)
    values = {}
    for number, field in enumerate(fields(record), start=1):  # type: ignore[arg-type]  # a dataclass
        values[field.name] = _value(hints[field.name], field.name, number)
    return record(**values)


def _value(hint: Any, name: str, number: int) -> Any:
    plain: dict[Any, Any] = {
        str: f"{name} {number}",
        int: 1000 * number,
        float: number + 0.25,
        bool: number % 2 == 0,
        bytes: name.encode(),
    }
    if hint in plain:
        return plain[hint]
    arguments = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return _value(arguments[0], name, number)
    if get_origin(hint) is tuple:
        return tuple(_value(arguments[0], name, number + i) for i in range(2))
    if is_dataclass(hint) and isinstance(hint, type):
        return example(hint)
    raise TypeError(f"no example for {hint!r}")

"""From a dataclass to the Avro structure that it stands for, and between values and plain data.

Used to hold events and schema files together, to (de)serialise events and processor state.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

Plain = Any
_PRIMITIVES: dict[Any, str] = {
    str: "string",
    int: "long",
    float: "double",
    bool: "boolean",
    bytes: "bytes",
}


def avro_of(record: type, *, namespace: str = "weir") -> dict[str, Any]:
    """Return the Avro record that a dataclass stands for, without documentation.

    Raises TypeError for a field whose type has no counterpart.
    """
    return _record(record, namespace, set())


def _record(record: type, namespace: str, seen: set[str]) -> dict[str, Any]:
    seen.add(record.__name__)
    hints = get_type_hints(record, include_extras=True)
    entries = []
    for field in fields(record):
        entry = {"name": field.name, "type": _type(hints[field.name], namespace, seen)}
        entries.append(entry | _default(field))
    return {
        "type": "record",
        "name": record.__name__,
        "namespace": namespace,
        "fields": entries,
    }


def _default(field: Field[Any]) -> dict[str, Any]:
    default = field.default
    if default is MISSING:
        return {}
    if isinstance(default, bytes):
        return {"default": default.decode("latin-1")}  # as Avro writes bytes in JSON
    return {"default": list(default) if isinstance(default, tuple) else default}


def _type(hint: Any, namespace: str, seen: set[str]) -> Any:
    if hint in _PRIMITIVES:
        return _PRIMITIVES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return {"type": _PRIMITIVES[arguments[0]], "logicalType": arguments[1]}
    if origin in (Union, UnionType) and len(arguments) == 2 and arguments[1] is NoneType:
        return ["null", _type(arguments[0], namespace, seen)]
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"type": "array", "items": _type(arguments[0], namespace, seen)}
    if is_dataclass(hint) and isinstance(hint, type):
        name = hint.__name__
        return f"{namespace}.{name}" if name in seen else _record(hint, namespace, seen)
    raise TypeError(f"{hint!r} has no Avro counterpart")


def to_plain(record: type) -> Callable[[Any], Plain]:
    """Return a function that turns an instance of the dataclass into plain data."""
    return _converter(record, _unbuild)


def from_plain(record: type) -> Callable[[Plain], Any]:
    """Return a function that builds an instance of the dataclass from plain data."""
    return _converter(record, _build)


def _unbuild(
    record: type, converters: dict[str, Callable[[Any], Any]]
) -> Callable[[Any], dict[str, Any]]:
    names = tuple(f.name for f in fields(record))
    values = attrgetter(*names, "__class__")  # of a record with one field a tuple, too

    def convert(value: Any) -> dict[str, Any]:
        plain = dict(zip(names, values(value), strict=False))
        for name, converter in converters.items():
            plain[name] = converter(plain[name])
        return plain

    return convert


def _build(record: type, converters: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def convert(plain: dict[str, Any]) -> Any:
        for name, converter in converters.items():
            if name in plain:
                plain[name] = converter(plain[name])
        return record(**plain)

    return convert


@cache
def _converter(record: type, make: Callable[..., Callable[[Any], Any]]) -> Callable[[Any], Any]:
    hints = get_type_hints(record)
    found = {f.name: _field(hints[f.name], make) for f in fields(record)}
    return make(record, {name: converter for name, converter in found.items() if converter})


def _field(hint: Any, make: Callable[..., Callable[[Any], Any]]) -> Callable[[Any], Any] | None:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        inner = _field(arguments[0], make)
        return None if inner is None else _optional(inner)
    if origin is tuple:
        item = _field(arguments[0], make)
        sequence = list if make is _unbuild else tuple
        return sequence if item is None else _sequence(sequence, item)
    return _converter(hint, make) if isinstance(hint, type) and is_dataclass(hint) else None


def _optional(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else inner(value)


def _sequence(kind: Callable[[Any], Any], item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: kind(map(item, values)) if values else kind(())

"""Whether the defaults and names in a schema are such that readers can use them.

The rules are those of Avro's Java library, which Confluent's registry applies to new schemas;
Avro's Python library lets everything pass.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_NAMED = frozenset({"record", "error", "enum", "fixed"})


def problems(schema: Any) -> list[str]:
    """Return what is wrong with names and defaults of a schema in normal form; none when well."""
    known: dict[str, Any] = {}
    fields = list(_fields(schema, known))
    return [wrong for field in fields for wrong in _judged(field, known)]


def _judged(field: dict[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    name, kind = field["name"], field["type"]
    if not _is_name(name):
        yield f"{name!r} is no name of a field: letters, digits and _ alone, no digit first"
    if not isinstance(field.get("aliases", []), list):
        yield f"the aliases of field {name} are no array"
    if "default" in field and not fits(kind, field["default"], known):
        yield f"Invalid default for field {name}: {field['default']!r} is no {_told(kind)}"


def fits(kind: Any, value: Any, known: Mapping[str, Any]) -> bool:
    """Tell whether a default, as it stands in JSON, is one of a type; of any branch of a union."""
    if isinstance(kind, list):
        return any(fits(branch, value, known) for branch in kind)
    if isinstance(kind, str):
        return _PLAIN[kind](value) if kind in _PLAIN else fits(known[kind], value, known)
    if kind["type"] in ("array", "map", "record", "error"):
        parts = _parts(kind, value)
        return parts is not None and all(fits(inner, part, known) for inner, part in parts)
    return isinstance(value, str) if kind["type"] in _NAMED else fits(kind["type"], value, known)


def _parts(kind: dict[str, Any], value: Any) -> list[tuple[Any, Any]] | None:
    """Return the types and values inside of a default; None when it is of another kind."""
    if kind["type"] == "array":
        return [(kind["items"], part) for part in value] if isinstance(value, list) else None
    if not isinstance(value, dict):
        return None
    if kind["type"] == "map":
        return [(kind["values"], part) for part in value.values()]
    return [(f["type"], value.get(f["name"], f.get("default"))) for f in kind["fields"]]


def _integer(bits: int) -> Callable[[Any], bool]:
    bound = 2 ** (bits - 1)
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and -bound <= v < bound


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("+-") in ("NaN", "Infinity")
    return isinstance(value, int | float) and not isinstance(value, bool)


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "int": _integer(32),
    "long": _integer(64),
    "float": _is_number,
    "double": _is_number,
    "string": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, str),
}


def _fields(schema: Any, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all fields of a schema; note the named types on the way."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _fields(branch, known)
    if not isinstance(schema, dict):
        return
    if schema["type"] in _NAMED:
        known[schema["name"]] = schema
    for inner in ("items", "values", "type"):
        if isinstance(schema.get(inner), dict | list):
            yield from _fields(schema[inner], known)
    for field in schema.get("fields", ()):
        yield field
        yield from _fields(field["type"], known)


def _is_name(name: str) -> bool:
    plain = name.replace("_", "a")
    return plain.isalnum() and not plain[0].isdigit()


def _told(kind: Any) -> str:
    if isinstance(kind, list):
        return f"union of {', '.join(_told(branch) for branch in kind)}"
    return str(kind.get("name", kind["type"])) if isinstance(kind, dict) else str(kind)

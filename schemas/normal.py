"""A schema in a form that is equal for equal schemas, and with its references written out.

Names are written in full and once, wrappers that say nothing are taken off, keys are sorted:
what Avro's own parsers do when they print a schema. Documentation, aliases, defaults and
properties of users are kept, for they are part of a schema.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schemas.errors import ContractError

PRIMITIVES = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string", "array", "map"}
)
_NAMED = frozenset({"record", "error", "enum", "fixed"})
_UNUSUAL = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


def canonical(schema: str) -> str:
    """Return a schema's JSON in normal form. Raises ContractError when it is no schema."""
    return resolved(schema, ())


def resolved(schema: str, references: Sequence[str]) -> str:
    """Return a schema in normal form, types defined by the references written out at first use.

    `references` are schemas themselves, each of which may use those before it. A name that
    nobody defines stays a name. Raises ContractError when one of the texts is no schema.
    """
    try:
        known: dict[str, Any] = {}
        for text in references:
            known.update(_definitions(_full(json.loads(text), "")))
        top = _written(_full(json.loads(schema), ""), known, set(), "")
        return json.dumps(top, sort_keys=True, separators=(",", ":"))
    except _UNUSUAL as error:
        raise ContractError(f"not a valid Avro schema: {error}") from error


def _full(schema: Any, namespace: str) -> Any:
    """Return a schema with every name in full and no namespaces."""
    if isinstance(schema, list):
        return [_full(branch, namespace) for branch in schema]
    if isinstance(schema, str):
        return schema if schema in PRIMITIVES else _name(schema, namespace)
    kind, plain = schema["type"], dict(schema)
    if kind in _NAMED:
        return _full_named(plain, namespace)
    if kind in ("array", "map"):
        inner = "items" if kind == "array" else "values"
        plain[inner] = _full(schema[inner], namespace)
        return plain
    plain["type"] = _full(kind, namespace)
    return plain["type"] if len(plain) == 1 else plain


def _full_named(plain: dict[str, Any], namespace: str) -> dict[str, Any]:
    name = _name(plain["name"], plain.pop("namespace", namespace) or "")
    own = name.rpartition(".")[0]
    plain["name"] = name
    if plain.get("aliases"):
        plain["aliases"] = [_name(alias, own) for alias in plain["aliases"]]
    if "fields" in plain:
        plain["fields"] = [_field(field, own) for field in plain["fields"]]
    return plain


def _field(field: dict[str, Any], namespace: str) -> dict[str, Any]:
    plain = field | {"type": _full(field["type"], namespace)}
    if plain.get("order") == "ascending":
        del plain["order"]
    return plain


def _name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _definitions(schema: Any) -> Iterator[tuple[str, Any]]:
    """Yield all named types that a schema, with full names, defines."""
    for part in _children(schema):
        yield from _definitions(part)
    if isinstance(schema, dict) and schema["type"] in _NAMED:
        yield schema["name"], schema


def _children(schema: Any) -> list[Any]:
    if isinstance(schema, list):
        return schema
    if not isinstance(schema, dict):
        return []
    inner = [schema[key] for key in ("items", "values") if key in schema]
    inner += [field["type"] for field in schema.get("fields", ())]
    return inner if isinstance(schema["type"], str) else [*inner, schema["type"]]


def _written(schema: Any, known: Mapping[str, Any], defined: set[str], around: str) -> Any:
    """Return a schema with known names written out once; `around` is the enclosing namespace."""
    if isinstance(schema, list):
        return [_written(branch, known, defined, around) for branch in schema]
    if isinstance(schema, str):
        fresh = schema in known and schema not in defined
        return _written(known[schema], known, defined, around) if fresh else schema
    plain = dict(schema)
    if plain["type"] in _NAMED:
        if plain["name"] in defined and plain["name"] in known:
            return plain["name"]
        return _named(plain, known, defined, around)
    for inner in ("items", "values", "type"):
        if inner in plain:
            plain[inner] = _written(plain[inner], known, defined, around)
    return plain


def _named(
    plain: dict[str, Any], known: Mapping[str, Any], defined: set[str], around: str
) -> dict[str, Any]:
    name = plain["name"]
    defined.add(name)
    own = name.rpartition(".")[0]
    if around and not own:
        plain["namespace"] = ""  # else readers would take it for one of the namespace around it
    if "fields" in plain:
        plain["fields"] = [
            field | {"type": _written(field["type"], known, defined, own)}
            for field in plain["fields"]
        ]
    return plain

"""Whether published schemas keep what the contracts promise, and what two versions differ in."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas import evolution, files, introspect
from schemas.errors import ContractError
from schemas.events import event_named

MODE = "FULL_TRANSITIVE"
"""Every version can read, and be read by, every other one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of two schemas: where, which property, and its JSON before and after."""

    path: str
    what: str
    before: str
    after: str


def review(record: str) -> list[str]:
    """Return what is wrong with the published schemas of a record; nothing when all is well.

    Each version is valid and documented and has no map, which columnar readers cannot decode;
    each is compatible with all before it; the newest is what the event class says.
    Raises UnknownContract when there is no such record.
    """
    numbers = files.versions(record)
    problems = [] if numbers == tuple(range(1, len(numbers) + 1)) else [f"versions are {numbers}"]
    earlier: list[str] = []
    for version in numbers:
        problems += [f"version {version}: {wrong}" for wrong in _judged(record, version, earlier)]
        earlier.append(files.text(record, version))
    event = introspect.avro_of(event_named(record))
    if _shape(files.schema(record)) != event:
        problems.append(f"version {numbers[-1]} is not what the class {record} says")
    return problems


def _judged(record: str, version: int, earlier: list[str]) -> list[str]:
    text = files.text(record, version)
    try:
        problems = evolution.incompatibilities(text, earlier, MODE)
    except ContractError as error:
        return [str(error)]
    schema = json.loads(text)
    if schema["name"] != record:
        problems.append(f"it is named {schema['name']}")
    if '"map"' in text:
        problems.append("it has a map; use an array of KeyValue")
    return problems + [f"{where} is not documented" for where in undocumented(schema)]


def undocumented(schema: Any) -> list[str]:
    """Return the records and fields of a schema that say nothing about themselves."""
    return [where for where, part in _parts(schema) if not str(part.get("doc", "")).strip()]


def differences(before: str, after: str) -> list[Difference]:
    """Return what two schemas, given as JSON, differ in, field by field in order."""
    old, new = dict(_parts(json.loads(before))), dict(_parts(json.loads(after)))
    found = []
    for path in dict.fromkeys([*old, *new]):
        one, other = _properties(old.get(path)), _properties(new.get(path))
        found += [
            Difference(path, what, one.get(what, ""), other.get(what, ""))
            for what in dict.fromkeys([*one, *other])
            if one.get(what) != other.get(what)
        ]
    return found


def _shape(schema: Any) -> Any:
    """Return what a class says of a schema: no documentation, and no former names."""
    return _without(schema, ("doc", "aliases"))


def without_docs(schema: Any) -> Any:
    """Return a schema without its documentation."""
    return _without(schema, ("doc",))


def _without(schema: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_without(branch, keys) for branch in schema]
    if isinstance(schema, dict):
        return {key: _without(value, keys) for key, value in schema.items() if key not in keys}
    return schema


def _properties(part: dict[str, Any] | None) -> dict[str, str]:
    """Return type, default and doc of a field, nested records by their name alone."""
    if part is None:
        return {}
    plain = {key: part[key] for key in ("default", "doc") if key in part}
    return {
        key: json.dumps(value, ensure_ascii=False)
        for key, value in ({"type": _named(part["type"])} | plain).items()
    }


def _named(kind: Any) -> Any:
    if isinstance(kind, list):
        return [_named(branch) for branch in kind]
    if isinstance(kind, dict) and kind["type"] == "record":
        return kind["name"]
    if isinstance(kind, dict):
        return {key: _named(value) for key, value in kind.items()}
    return kind


def _parts(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every record and field of a schema under its path."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _parts(branch, path)
    elif isinstance(schema, dict) and schema["type"] == "record":
        here = f"{path}{schema['name']}"
        yield here, schema
        for field in schema["fields"]:
            yield f"{here}.{field['name']}", field
            yield from _parts(field["type"], f"{here}.{field['name']}/")
    elif isinstance(schema, dict):
        yield from _parts(schema.get("items", schema["type"]), path)

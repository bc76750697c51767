"""The schema files that ship with the package: the only I/O of the contracts."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from schemas.errors import UnknownContract


@cache
def versions(record: str) -> tuple[int, ...]:
    """Return the published versions of a record, ascending.

    Raises UnknownContract when there is no such record.
    """
    folder = files("schemas") / "avro" / record
    if not folder.is_dir():
        raise UnknownContract(f"no schema for record {record!r} in schemas/avro")
    return tuple(sorted(int(f.name.removesuffix(".avsc")) for f in folder.iterdir()))


@cache
def text(record: str, version: int | None = None) -> str:
    """Return the schema of a record as compact JSON; the newest version by default."""
    known = versions(record)
    wanted = known[-1] if version is None else version
    if wanted not in known:
        raise UnknownContract(f"record {record!r} has no version {wanted}; known: {known}")
    path = files("schemas") / "avro" / record / f"{wanted}.avsc"
    return json.dumps(json.loads(path.read_text("utf-8")), separators=(",", ":"))


def schema(record: str, version: int | None = None) -> dict[str, Any]:
    """Return the schema of a record as a fresh dictionary; the newest version by default."""
    parsed: dict[str, Any] = json.loads(text(record, version))
    return parsed


@cache
def state_text(state: str, number: int) -> str:
    """Return the schema of one format of a processor's state as compact JSON.

    Raises UnknownContract when there is no such format.
    """
    path = files("schemas") / "states" / f"{state}.{number}.avsc"
    if not path.is_file():
        raise UnknownContract(f"no format {number} of {state} in schemas/states")
    return json.dumps(json.loads(path.read_text("utf-8")), separators=(",", ":"))


def records() -> tuple[str, ...]:
    """Return the names of all records that have a schema file."""
    return tuple(sorted(d.name for d in (files("schemas") / "avro").iterdir() if d.is_dir()))

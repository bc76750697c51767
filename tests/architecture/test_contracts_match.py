"""Typed events and schema files say the same, and every field is documented."""

from collections.abc import Iterator
from typing import Any

import pytest

from schemas import columns, files, introspect
from schemas.base import Event
from schemas.events import EVENTS
from schemas.topics import TOPICS

NAMES = files.records()


def bare(schema: Any) -> Any:
    """Return a schema without documentation."""
    if isinstance(schema, list):
        return [bare(item) for item in schema]
    if isinstance(schema, dict):
        return {key: bare(value) for key, value in schema.items() if key != "doc"}
    return schema


def described(schema: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every record and field, with its documentation."""
    if isinstance(schema, list):
        for branch in schema:
            yield from described(branch, path)
    elif isinstance(schema, dict) and schema.get("type") == "record":
        yield f"{path}{schema['name']}", schema.get("doc", "")
        for field in schema["fields"]:
            where = f"{path}{schema['name']}.{field['name']}"
            yield where, field.get("doc", "")
            yield from described(field["type"], f"{where}/")
    elif isinstance(schema, dict):
        yield from described(schema.get("items", schema["type"]), path)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_newest_schema_is_the_event(event: type[Event]) -> None:
    assert bare(files.schema(event.__name__)) == introspect.avro_of(event)


@pytest.mark.parametrize("name", NAMES)
def test_every_record_and_field_is_documented(name: str) -> None:
    for version in files.versions(name):
        missing = [
            where for where, doc in described(files.schema(name, version)) if not doc.strip()
        ]
        assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_versions_are_numbered_from_one(name: str) -> None:
    known = files.versions(name)
    assert known == tuple(range(1, len(known) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_no_contract_uses_a_map(name: str) -> None:
    for version in files.versions(name):
        assert '"map"' not in files.text(name, version)


def test_every_event_can_be_read_in_columns() -> None:
    for event in EVENTS.values():
        frame = columns.decode([], event, None).frame  # type: ignore[arg-type]  # nothing to look up
        assert frame.columns == [*event.__slots__, "_row"]


def test_every_key_is_a_field_that_is_always_there() -> None:
    for topic in TOPICS.values():
        for event in topic.events:
            types = {f["name"]: f["type"] for f in files.schema(event.__name__)["fields"]}
            assert all(types[name] == "string" for name in topic.key)

"""Typed events and schema files say the same, and every field is documented."""

import pytest

from schemas import columns, files, introspect, review
from schemas.base import Event
from schemas.events import EVENTS
from schemas.topics import TOPICS

NAMES = files.records()


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_newest_schema_is_the_event(event: type[Event]) -> None:
    newest = review.without_docs(files.schema(event.__name__))
    assert newest == introspect.avro_of(event)


@pytest.mark.parametrize("name", NAMES)
def test_every_record_and_field_is_documented(name: str) -> None:
    for version in files.versions(name):
        assert review.undocumented(files.schema(name, version)) == []


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

"""Events from plain data: what fits comes through, what does not is named."""

import base64
import json
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Event
from schemas.errors import InvalidEvent
from schemas.events import EVENTS
from schemas.inference import InferenceRequest
from schemas.introspect import to_plain
from schemas.observing import MetricReport
from schemas.registrations import ApplicationRegistered
from streams.plain_events import build
from tests.strategies import instances

GOOD = {"event_time": 1, "app": "a", "metric": "m", "value": 1}


def as_json(event: Event) -> str:
    return json.dumps(
        to_plain(type(event))(event), default=lambda raw: base64.b64encode(raw).decode()
    )


@given(st.data(), st.sampled_from(sorted(EVENTS)))
def test_every_event_comes_back_from_its_json(data: st.DataObject, name: str) -> None:
    event = data.draw(instances(EVENTS[name]))
    assert repr(build(EVENTS[name], json.loads(as_json(event)))) == repr(event)


@given(st.sampled_from(sorted(EVENTS)), st.data())
def test_a_missing_field_is_named(name: str, data: st.DataObject) -> None:
    kind = EVENTS[name]
    event = data.draw(instances(kind))
    plain = json.loads(as_json(event))
    needed = [field.name for field in fields(kind) if field.default is MISSING]
    gone = data.draw(st.sampled_from(needed))
    del plain[gone]
    with pytest.raises(InvalidEvent) as caught:
        build(kind, plain)
    assert (caught.value.kind, caught.value.field) == ("missing-field", gone)


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"valu": 1}, "unknown-field", "valu"),
        ({"value": "1"}, "type", "value"),
        ({"value": True}, "type", "value"),
        ({"value": None}, "type", "value"),
        ({"value": 10**400}, "type", "value"),
        ({"event_time": 10**400}, "type", "event_time"),
        ({"app": 3}, "type", "app"),
        ({"event_time": 1.5}, "type", "event_time"),
        ({"event_time": "yesterday"}, "type", "event_time"),
        ({"event_time": "2026-01-01T00:00:00"}, "type", "event_time"),
        ({"request_id": 5}, "type", "request_id"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], kind: str, field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        build(MetricReport, GOOD | change)
    assert (caught.value.kind, caught.value.field) == (kind, field)
    assert field in str(caught.value)


@pytest.mark.parametrize("plain", [None, [], "text", 3])
def test_only_tables_are_events(plain: Any) -> None:
    with pytest.raises(InvalidEvent, match="MetricReport"):
        build(MetricReport, plain)


def test_fields_deep_inside_are_named() -> None:
    tensor = {"name": "x", "dtype": "float32", "shape": [1, "2"], "data": "AAAA"}
    request = {"request_id": "r", "app": "a", "created_at": 1, "deadline": 2, "inputs": [tensor]}
    with pytest.raises(InvalidEvent) as caught:
        build(InferenceRequest, request)
    assert caught.value.field == "inputs[0].shape[1]"
    tensor |= {"shape": [1], "data": "!"}
    with pytest.raises(InvalidEvent, match=r"inputs\[0\]\.data must be base64"):
        build(InferenceRequest, request)


def test_instants_and_properties_may_be_written_for_people() -> None:
    when = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    for written in (when, when.isoformat(), "2026-05-04T05:02:01+02:00"):
        assert build(MetricReport, GOOD | {"event_time": written}).event_time == 1777863721000
    app = {
        "app": "a",
        "app_id": "i",
        "run": "r",
        "user": "u",
        "owner": "o",
        "registered_at": 1,
        "event_id": "e",
    }
    made = build(ApplicationRegistered, app | {"tags": {"zone": "hall"}})
    assert [(tag.key, tag.value) for tag in made.tags] == [("zone", "hall")]

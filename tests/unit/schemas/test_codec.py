"""The row codec: every event there and back, and a clear error for everything else."""

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec, files
from schemas.base import Event
from schemas.errors import DecodeError, EncodeError
from schemas.events import EVENTS
from schemas.observing import MetricReport
from schemas.records import KeyValue
from tests.examples import IDS, example
from tests.examples import codec as make_codec
from tests.strategies import instances

CODEC = make_codec()
METRIC = MetricReport(event_time=1_700_000_000_000, app="a", metric="m", value=1.5, request_id="r")


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@given(data=st.data())
def test_what_is_encoded_is_decoded(event: type[Event], data: st.DataObject) -> None:
    value = CODEC.encode(data.draw(instances(event)))
    again = CODEC.decode(value, event)
    assert type(again) is event
    assert CODEC.encode(again) == value  # bytes, since NaN is not equal to itself


def test_the_frame_is_magic_id_body() -> None:
    value = CODEC.encode(METRIC)
    assert value[:5] == b"\0" + IDS[MetricReport].to_bytes(4, "big")
    assert value[5:] == codec.pack(METRIC)


def test_one_of_several_classes_is_found_by_the_schema() -> None:
    kinds = (EVENTS["WindowDefined"], EVENTS["MetricDefined"], EVENTS["RuleDefined"])
    for kind in kinds:
        assert CODEC.decode(CODEC.encode(example(kind)), *kinds) == example(kind)


@pytest.mark.parametrize("value", [b"", b"\0\0\0", b'{"app": "a"}', b"\1\0\0\0\1x"])
def test_a_value_without_prefix_is_refused(value: bytes) -> None:
    with pytest.raises(DecodeError, match="Confluent wire format") as caught:
        CODEC.decode(value, MetricReport)
    assert caught.value.kind == "not-framed"


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(DecodeError, match="4711") as caught:
        CODEC.decode(codec.frame(4711, b""), MetricReport)
    assert caught.value.kind == "unknown-schema"


@pytest.mark.parametrize(
    "text",
    [
        'syntax = "proto3"; message M {}',
        '{"type": "object", "properties": {}}',
        '"string"',
        "[]",
        "7",
        '{"type": "record", "name": "MetricReport"}',
        '{"type": "record", "name": "MetricReport", "fields": [{"name": "x"}]}',
        '{"type": "record", "name": "MetricReport", "fields": [{"name": "x", "type": "nonsense"}]}',
        "[" * 100_000,
    ],
)
def test_an_id_of_something_else_than_an_avro_record_is_refused(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        make_codec({1: text}).decode(codec.frame(1, b"\0\0"), MetricReport)
    assert caught.value.kind == "bad-schema"


def test_another_record_is_refused() -> None:
    value = CODEC.encode(example(EVENTS["GroundTruth"]))
    with pytest.raises(DecodeError, match="GroundTruth") as caught:
        CODEC.decode(value, MetricReport)
    assert caught.value.kind == "wrong-record"
    with pytest.raises(DecodeError, match="MetricReport, Observation"):
        CODEC.decode(value, MetricReport, EVENTS["Observation"])


def test_a_missing_field_is_named() -> None:
    schema = files.schema("MetricReport")
    schema["fields"] = [f for f in schema["fields"] if f["name"] != "value"]
    body = codec.pack(METRIC)
    with pytest.raises(DecodeError, match="value is missing") as caught:
        make_codec({1: json.dumps(schema)}).decode(codec.frame(1, body), MetricReport)
    assert (caught.value.kind, caught.value.field) == ("wrong-record", "value")


def test_a_field_of_another_type_is_refused() -> None:
    schema = files.schema("MetricReport")
    next(f for f in schema["fields"] if f["name"] == "value")["type"] = "string"
    with pytest.raises(DecodeError, match="does not fit") as caught:
        make_codec({1: json.dumps(schema)}).decode(codec.frame(1, b"\0" * 10), MetricReport)
    assert caught.value.kind == "wrong-record"


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(DecodeError, match="3 bytes follow") as caught:
        CODEC.decode(CODEC.encode(METRIC) + b"abc", MetricReport)
    assert caught.value.kind == "trailing-bytes"


def test_two_records_in_one_value_are_refused() -> None:
    with pytest.raises(DecodeError) as caught:
        CODEC.decode(CODEC.encode(METRIC) + codec.pack(METRIC), MetricReport)
    assert caught.value.kind == "trailing-bytes"


@pytest.mark.parametrize(("cut", "field"), [(5, "event_time"), (13, "stage"), (-3, "request_id")])
def test_a_truncated_value_names_the_field_where_it_ends(cut: int, field: str) -> None:
    with pytest.raises(DecodeError) as caught:
        CODEC.decode(CODEC.encode(METRIC)[:cut], MetricReport)
    assert (caught.value.kind, caught.value.field) == ("malformed", field)


@given(body=st.binary(max_size=80), event=st.sampled_from(list(EVENTS.values())))
def test_arbitrary_bytes_give_an_event_or_a_decode_error(body: bytes, event: type[Event]) -> None:
    try:
        decoded = CODEC.decode(codec.frame(IDS[event], body), event)
    except DecodeError:
        return
    assert isinstance(decoded, event)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (replace(METRIC, value="high"), "value"),
        (replace(METRIC, app=None), "app"),
        (replace(METRIC, event_time=2**70), "event_time"),
        (replace(METRIC, app="\ud800"), "surrogates"),
    ],
)
def test_a_value_that_does_not_fit_is_named(event: Event, field: str) -> None:
    with pytest.raises(EncodeError, match=field):
        CODEC.encode(event)


def test_an_unregistered_event_is_not_encoded() -> None:
    with pytest.raises(EncodeError, match="weir schemas register"):
        codec.Codec({}, {}.__getitem__).encode(METRIC)


def test_logical_types_go_and_the_rest_stays() -> None:
    schema = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "a", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "b", "type": "long", "logicalType": "misplaced", "default": 1},
            {"name": "c", "type": ["null", {"type": "string", "logicalType": "uuid"}]},
            {
                "name": "d",
                "type": {"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal"},
            },
            {"name": "e", "type": {"type": "array", "items": {"type": "int", "logicalType": "x"}}},
            {"name": "f", "type": {"type": "map", "values": {"type": "int", "logicalType": "x"}}},
        ],
    }
    plain = codec.without_logical_types(schema)
    assert [field["type"] for field in plain["fields"]] == [
        "long",
        "long",
        ["null", "string"],
        {"type": "fixed", "name": "F", "size": 4},
        {"type": "array", "items": "int"},
        {"type": "map", "values": "int"},
    ]
    assert plain["fields"][1]["default"] == 1


@dataclass(frozen=True, slots=True)
class State:
    count: int
    entries: tuple[KeyValue, ...]
    low: float | None = None


@given(state=instances(State))
def test_state_there_and_back(state: State) -> None:
    data = codec.pack_state(state)
    assert codec.pack_state(codec.unpack_state(data, State)) == data


@pytest.mark.parametrize("damage", [b"", b"\2\2\xff\xff\xff", b"\2\0\0\0"])
def test_bytes_that_are_no_state_are_refused(damage: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.unpack_state(damage, State)

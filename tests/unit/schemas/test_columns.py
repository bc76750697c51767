"""The columnar decoder says what the row codec says, and one bad message disturbs nobody."""

import io
import json
from typing import Any

import fastavro
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec, columns, files, introspect
from schemas.base import Event
from schemas.errors import DecodeError
from schemas.events import EVENTS
from schemas.observing import MetricReport, Observation
from tests.examples import IDS, example
from tests.examples import codec as make_codec
from tests.strategies import FEW, instances

CODEC = make_codec()


def metric(number: int) -> MetricReport:
    return MetricReport(event_time=number, app="a", metric="m", value=float(number), unit="ms")


def reencoded(value: bytes) -> list[bytes]:
    """What the row codec reads in a value, as canonical bytes; nothing when it refuses."""
    try:
        return [CODEC.encode(CODEC.decode(value, MetricReport))]
    except DecodeError:
        return []


def events_in(frame: pl.DataFrame, event: type[Event]) -> list[Event]:
    build = introspect.from_plain(event)
    rows = frame.drop("_row").iter_rows(named=True)
    return [build(row) for row in rows]


def decode(*values: bytes) -> columns.Decoded:
    return columns.decode(values, MetricReport, CODEC)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@FEW
@given(data=st.data())
def test_columns_are_what_rows_are(event: type[Event], data: st.DataObject) -> None:
    values = [CODEC.encode(e) for e in data.draw(st.lists(instances(event), max_size=8))]
    decoded = columns.decode(values, event, CODEC)
    assert decoded.bad == ()
    assert decoded.frame["_row"].to_list() == list(range(len(values)))
    assert [CODEC.encode(e) for e in events_in(decoded.frame, event)] == values


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_row_fallback_gives_the_same_frame(event: type[Event]) -> None:
    good = CODEC.encode(example(event))
    whole = columns.decode([good, good], event, CODEC)
    damaged = columns.decode([good, good[:-1], good], event, CODEC)
    assert [bad.row for bad in damaged.bad] == [1]
    assert damaged.frame.drop("_row").equals(whole.frame.drop("_row"))
    assert damaged.frame.schema == whole.frame.schema


def test_an_empty_batch_is_an_empty_frame_with_all_columns() -> None:
    frame = decode().frame
    assert frame.columns == [*MetricReport.__slots__, "_row"]
    assert frame.schema["event_time"] == pl.Int64


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda good: good + good[5:], "trailing-bytes"),
        (lambda good: good + b"\0", "trailing-bytes"),
        (lambda good: good[:-1], "malformed"),
        (lambda good: good[:5], "malformed"),
        (lambda good: good[:4], "not-framed"),
        (lambda _: b"", "not-framed"),
        (lambda good: b"\0\0\0\x11\x11" + good[5:], "unknown-schema"),
        (lambda _: CODEC.encode(example(Observation)), "wrong-record"),
        (lambda good: good[:5] + b"\xff" * 60, "malformed"),
    ],
)
@pytest.mark.parametrize("places", [(1,), (0, 1), (1, 2), (3,)])
def test_exactly_the_bad_ones_are_reported(damage: Any, kind: str, places: tuple[int, ...]) -> None:
    good = [CODEC.encode(metric(n)) for n in range(4)]
    values = [damage(value) if n in places else value for n, value in enumerate(good)]
    decoded = decode(*values)
    assert [(bad.row, bad.error.kind) for bad in decoded.bad] == [(n, kind) for n in places]
    kept = [n for n in range(4) if n not in places]
    assert decoded.frame["_row"].to_list() == kept
    assert events_in(decoded.frame, MetricReport) == [metric(n) for n in kept]


def test_neighbours_that_make_good_each_others_lengths_are_both_reported() -> None:
    first, second = CODEC.encode(metric(1)), CODEC.encode(metric(2))
    whole = decode(first + second[5:], second[:5], CODEC.encode(metric(3)))
    assert [bad.row for bad in whole.bad] == [0, 1]
    shifted = decode(first[:-2], second[:5] + first[-2:] + second[5:])
    assert [bad.row for bad in shifted.bad] == [0, 1]


@given(
    garbage=st.lists(st.binary(max_size=60), min_size=1, max_size=3),
    place=st.integers(0, 2),
    framed=st.booleans(),
)
def test_hostile_bytes_change_no_neighbour(garbage: list[bytes], place: int, framed: bool) -> None:
    prefix = codec.frame(IDS[MetricReport], b"") if framed else b""
    bad = [prefix + body for body in garbage]
    values = [CODEC.encode(metric(n)) for n in range(3)]
    values[place:place] = bad
    decoded = decode(*values)
    by_row = dict(
        zip(decoded.frame["_row"].to_list(), events_in(decoded.frame, MetricReport), strict=True)
    )
    neighbours = [n for n in range(len(values)) if not place <= n < place + len(bad)]
    assert [by_row[n] for n in neighbours] == [metric(n) for n in range(3)]
    assert {bad.row for bad in decoded.bad} | set(by_row) == set(range(len(values)))


@given(data=st.data())
def test_a_flipped_byte_is_judged_as_the_row_codec_judges(data: st.DataObject) -> None:
    good = CODEC.encode(metric(7))
    place = data.draw(st.integers(5, len(good) - 2))  # the last byte is a union index, see columns
    value = good[:place] + data.draw(st.binary(min_size=1, max_size=1)) + good[place + 1 :]
    decoded = decode(good, value, good)
    middle = events_in(decoded.frame.filter(pl.col("_row") == 1), MetricReport)
    assert [CODEC.encode(e) for e in middle] == reencoded(value)
    assert len(decoded.bad) == (0 if middle else 1)


def test_an_unusual_union_index_changes_no_value() -> None:
    good = CODEC.encode(MetricReport(event_time=1, app="a", metric="m", value=1.0, request_id="r"))
    odd = good[:-3] + b"\x7a" + good[-2:]
    frame = decode(good, odd, good).frame
    assert frame.drop("_row").unique().height == 1


def older(changes: dict[str, Any], drop: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    """A writer's schema of MetricReport with other types, or without some fields."""
    schema = files.schema("MetricReport")
    schema["fields"] = [
        {"name": field["name"], "type": changes[field["name"]]}
        if field["name"] in changes
        else field
        for field in schema["fields"]
        if field["name"] not in drop
    ]
    return json.dumps(schema), schema


def written(schema: str, **values: Any) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, codec.parsed(schema), values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, 2.0),
        ({"value": "float"}, 2.0),
        ({"value": "long"}, 2),
        ({"value": "int"}, 2),
        ({"event_time": "int"}, 2.0),
        ({"request_id": "string"}, 2.0),
        ({"request_id": ["string", "null"]}, 2.0),
        ({"value": ["null", "double"]}, 2.0),
        ({"app": "bytes"}, 2.0),
    ],
)
def test_a_batch_mixes_versions(changes: dict[str, Any], value: float) -> None:
    schema, _ = older(changes, drop=("unit", "node"))
    fields = {"event_time": 5, "app": "b", "stage": "s", "service": "", "instance": ""}
    fields |= {"metric": "m", "value": value, "request_id": "r"}
    if changes.get("app") == "bytes":
        fields["app"] = b"b"
    with_both = make_codec({1: schema})
    values = [CODEC.encode(metric(0)), codec.frame(1, written(schema, **fields))]
    decoded = columns.decode([*values, CODEC.encode(metric(2))], MetricReport, with_both)
    assert decoded.bad == ()
    old = MetricReport(
        event_time=5, app="b", stage="s", metric="m", value=2.0, request_id="r", unit="", node=""
    )
    assert events_in(decoded.frame, MetricReport) == [metric(0), old, metric(2)]
    assert with_both.decode(values[1], MetricReport) == old


def test_a_newer_version_with_a_further_field_is_read() -> None:
    _, schema = older({})
    schema["fields"].insert(2, {"name": "zone", "type": "string", "default": "here"})
    schema["fields"].append({"name": "more", "type": {"type": "array", "items": "long"}})
    newer = json.dumps(schema)
    plain = introspect.to_plain(MetricReport)(metric(3)) | {"zone": "z", "more": [1, 2]}
    value = codec.frame(2, written(newer, **plain))
    decoded = columns.decode([value, CODEC.encode(metric(4))], MetricReport, make_codec({2: newer}))
    assert events_in(decoded.frame, MetricReport) == [metric(3), metric(4)]


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_every_default_fills_in_for_a_field_that_older_data_lack(event: type[Event]) -> None:
    schema = files.schema(event.__name__)
    schema["fields"] = [field for field in schema["fields"] if "default" not in field]
    text = json.dumps(schema)
    full = introspect.to_plain(event)(example(event))
    plain = {field["name"]: full[field["name"]] for field in schema["fields"]}
    value = codec.frame(1, written(text, **plain))
    with_both = make_codec({1: text})
    decoded = columns.decode([value, value], event, with_both)
    assert events_in(decoded.frame, event) == [with_both.decode(value, event)] * 2


@pytest.mark.parametrize(
    ("changes", "drop"),
    [({"value": "string"}, ()), ({}, ("value",)), ({"event_time": "double"}, ())],
)
def test_what_avro_cannot_resolve_is_reported(
    changes: dict[str, Any], drop: tuple[str, ...]
) -> None:
    schema, _ = older(changes, drop)
    plain = introspect.to_plain(MetricReport)(metric(3)) | {"value": 1.0}
    plain |= {"value": "1"} if changes.get("value") else {}
    value = codec.frame(1, written(schema, **plain))
    decoded = columns.decode(
        [value, CODEC.encode(metric(4))], MetricReport, make_codec({1: schema})
    )
    assert [(bad.row, bad.error.kind) for bad in decoded.bad] == [(0, "wrong-record")]
    assert events_in(decoded.frame, MetricReport) == [metric(4)]


def test_a_null_where_none_is_allowed_is_reported() -> None:
    schema, _ = older({"value": ["null", "double"]})
    plain = introspect.to_plain(MetricReport)(metric(3))
    values = [codec.frame(1, written(schema, **plain | {"value": v})) for v in (None, 1.0)]
    decoded = columns.decode(values, MetricReport, make_codec({1: schema}))
    assert [bad.row for bad in decoded.bad] == [0]
    assert decoded.frame["value"].to_list() == [1.0]


@pytest.mark.parametrize(
    "extra",
    [
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "_nonce", "type": "string"},
        {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A"]}},
        {"name": "choice", "type": ["string", "long"]},
    ],
)
def test_fields_that_polars_cannot_decode_are_skipped(extra: dict[str, Any]) -> None:
    _, schema = older({})
    schema["fields"].append(extra)
    values = {"tags": {"k": "v"}, "_nonce": "n", "kind": "A", "choice": 3}
    plain = introspect.to_plain(MetricReport)(metric(3)) | {extra["name"]: values[extra["name"]]}
    text = json.dumps(schema)
    value = codec.frame(1, written(text, **plain))
    decoded = columns.decode([value, value], MetricReport, make_codec({1: text}))
    assert events_in(decoded.frame, MetricReport) == [metric(3), metric(3)]


def test_a_named_type_that_is_referred_to_is_resolved() -> None:
    schema = files.schema("ModelPublished")
    text = json.dumps(schema)
    assert '"weir.TensorSpec"' in text  # defined once, referred to once
    event = example(EVENTS["ModelPublished"])
    value = CODEC.encode(event)
    frame = columns.decode([value], type(event), CODEC).frame
    assert events_in(frame, type(event)) == [event]

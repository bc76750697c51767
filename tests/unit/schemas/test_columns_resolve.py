"""Columns and rows read the same in whatever became of an event's schema, in hundreds of ways."""

import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import pytest

from schemas import codec, columns, columns_block, files, introspect
from schemas.base import Event
from schemas.errors import DecodeError
from schemas.events import EVENTS
from schemas.observing import MetricReport
from tests.examples import codec as make_codec
from tests.schema_pairs import Maker, change

RECORDS = ("MetricReport", "Observation", "InferenceResult", "ContractViolated", "GroundTruth")
WRITERS = 60


def changed(record: str) -> Iterator[tuple[Maker, dict[str, Any]]]:
    """Yield writers' schemas of a record, and what makes data for them."""
    for seed in range(WRITERS):
        maker, schema = Maker(seed), files.schema(record)
        for _ in range(maker.random.randint(1, 3)):
            change(maker, schema)
        yield maker, schema


def written(schema: dict[str, Any], *values: Any) -> list[bytes]:
    parsed, out = codec.parsed(json.dumps(schema)), []
    for value in values:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, parsed, value)
        out.append(codec.frame(1, buffer.getvalue()))
    return out


def by_row(values: list[bytes], event: type[Event], schema: dict[str, Any]) -> list[object]:
    """What the row codec, and through it fastavro, makes of each message: bytes, or why not."""
    read, found = make_codec({1: json.dumps(schema)}), list[object]()
    for value in values:
        try:
            found.append(codec.pack(read.decode(value, event)))
        except DecodeError as error:
            found.append(error.kind)
    return found


def by_column(values: list[bytes], event: type[Event], schema: dict[str, Any]) -> list[object]:
    decoded = columns.decode(values, event, make_codec({1: json.dumps(schema)}))
    build = introspect.from_plain(event)
    rows = decoded.frame.iter_rows(named=True)
    found: dict[int, object] = {row.pop("_row"): codec.pack(build(row)) for row in rows}
    found |= {bad.row: bad.error.kind for bad in decoded.bad}
    return [found[row] for row in range(len(values))]


@pytest.mark.parametrize("record", RECORDS)
def test_columns_resolve_as_rows_do(record: str) -> None:
    fast = 0
    for maker, schema in changed(record):
        plain = codec.without_logical_types(schema)
        values = written(schema, *(maker.datum(plain) for _ in range(3)))
        event = EVENTS[record]
        assert by_column(values, event, schema) == by_row(values, event, schema), schema
        fast += columns_block.plan_of(json.dumps(schema), record) is not None
    assert fast >= WRITERS // 10


def test_what_is_planned_is_decoded_at_once() -> None:
    planned = 0
    for maker, schema in changed("MetricReport"):
        text, plain = json.dumps(schema), codec.without_logical_types(schema)
        if columns_block.plan_of(text, "MetricReport") is not None:
            bodies = [value[5:] for value in written(schema, maker.datum(plain))]
            assert columns_block.decode_block(bodies, text) is not None, schema
            planned += 1
    assert planned > 10


def test_a_renamed_field_is_found_by_its_former_name(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = files.schema("MetricReport"), files.schema("MetricReport")
    for before, after in zip(old["fields"], new["fields"], strict=True):
        if after["name"] in ("value", "stage"):
            after["aliases"] = ["never", f"old_{after['name']}"]
            before["name"] = f"old_{before['name']}"
    text = json.dumps(new)
    monkeypatch.setattr(files, "text", lambda *_: text)
    plain = introspect.to_plain(MetricReport)(
        MetricReport(event_time=1, app="a", metric="m", value=2.5, stage="s")
    )
    former = {f"old_{n}" if n in ("value", "stage") else n: v for n, v in plain.items()}
    values = written(old, former)
    frame = columns.decode(values, MetricReport, make_codec({1: json.dumps(old)})).frame
    assert frame.row(0, named=True) == plain | {"_row": 0}
    assert by_column(values, MetricReport, old) == by_row(values, MetricReport, old)

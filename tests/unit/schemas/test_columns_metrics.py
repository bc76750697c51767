"""The compiled reader of metrics says what the row codec and the checks say, message by message."""

import io
import json
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import checks, codec, columns, columns_series, files, introspect
from schemas import kernels_metrics as kernels
from schemas.columns_metrics import TOPIC, MetricDecoder, Metrics
from schemas.columns_programs import program_of
from schemas.compiling import compiled
from schemas.errors import ContractError
from schemas.observing import MetricReport, Observation
from schemas.partitioning import partition_of
from schemas.topics import key_of
from tests.examples import IDS, example
from tests.examples import codec as make_codec

NOW = 1_700_000_000_000
NEWEST = json.loads(files.text("MetricReport"))
NULLABLE = ["string", "null"]
OTHERS: dict[int, dict[str, Any]] = {
    1: NEWEST | {"fields": list(reversed(NEWEST["fields"]))},
    2: NEWEST | {"fields": [f for f in NEWEST["fields"] if f.get("default") is None]},
    3: NEWEST
    | {
        "fields": [
            {"name": "more", "type": ["null", "double"]},
            {"name": "flag", "type": "boolean"},
            *({**f, "type": "int"} if f["name"] == "value" else f for f in NEWEST["fields"]),
            {"name": "blob", "type": "bytes"},
        ]
    },
    4: NEWEST
    | {"fields": [{**f, "type": NULLABLE} if f["name"] == "unit" else f for f in NEWEST["fields"]]},
    5: NEWEST
    | {"fields": [{**f, "type": "float"} if f["name"] == "value" else f for f in NEWEST["fields"]]},
    6: NEWEST
    | {"fields": [*NEWEST["fields"], {"name": "m", "type": {"type": "map", "values": "int"}}]},
}
"""Writers' schemas by id: other order, few fields, more, null, float, and one with a map."""
CODEC = make_codec({number: json.dumps(schema) for number, schema in OTHERS.items()})
TEXTS = st.sampled_from(("", "a", "é", "shop", "x" * 70))
REPORTS = st.fixed_dictionaries(
    {
        "event_time": st.integers(NOW - 1_000, NOW + 60_001) | st.integers(-(2**63), 2**63 - 1),
        "app": TEXTS,
        "service": TEXTS,
        "metric": TEXTS,
        "value": st.integers(-(2**31), 2**31 - 1)
        | st.sampled_from((float("nan"), float("inf"), 0.5)),
        "unit": TEXTS,
        "request_id": st.none() | st.text(max_size=5),
        "more": st.none() | st.floats(),
        "flag": st.booleans(),
        "blob": st.binary(max_size=3),
        "m": st.just({"a": 1}),
    }
)


def written(schema_id: int, plain: dict[str, Any]) -> bytes:
    schema = OTHERS.get(schema_id, NEWEST)
    if schema_id == 3:
        plain = plain | {"value": int(plain["value"]) if np.isfinite(plain["value"]) else 0}
    buffer = io.BytesIO()
    defaults = dict.fromkeys(("stage", "instance", "node"), "")
    fastavro.schemaless_writer(buffer, codec.parsed(json.dumps(schema)), defaults | plain)
    return codec.frame(schema_id if schema_id in OTHERS else IDS[MetricReport], buffer.getvalue())


def metric(number: int = 0, **changes: Any) -> MetricReport:
    given: dict[str, Any] = {
        "app": "shop",
        "metric": "m",
        "value": float(number),
        "unit": "ms",
    } | changes
    return MetricReport(event_time=NOW + number, **given)


def by_rows(values: list[bytes], timestamp: int = NOW) -> dict[int, MetricReport | str]:
    """Return what the row codec and the checks say: the event, or the kind of the error."""
    said: dict[int, MetricReport | str] = {}
    for row, value in enumerate(values):
        try:
            checks.check_size(len(value), TOPIC)
            event = CODEC.decode(value, MetricReport)
            checks.check(event, timestamp)
        except ContractError as error:
            said[row] = error.kind  # type: ignore[attr-defined]
        else:
            said[row] = event
    return said


def decode(values: list[bytes], decoder: MetricDecoder | None = None) -> Metrics:
    count = len(values)
    stamps = np.full(count, NOW)
    return (decoder or MetricDecoder(CODEC)).decode(values, stamps, np.arange(100, 100 + count))


def said(found: Metrics) -> dict[int, MetricReport | str]:
    build = introspect.from_plain(MetricReport)
    named = found.series.select(columns.KEYS)[found.frame["_series"]]
    rows = found.frame.drop("_series").hstack(named).iter_rows(named=True)
    events: dict[int, MetricReport | str] = {row.pop("_offset") - 100: build(row) for row in rows}
    return events | {bad.row: bad.error.kind for bad in found.bad}  # type: ignore[attr-defined]


@given(st.lists(st.tuples(st.sampled_from((*OTHERS, 0)), REPORTS), max_size=12))
@settings(max_examples=60)
def test_any_mix_of_schemas_reads_as_rows_do(given: list[tuple[int, dict[str, Any]]]) -> None:
    values = [written(schema_id, plain) for schema_id, plain in given]
    found = decode(values)
    assert said(found) == by_rows(values)
    assert found.frame["_offset"].is_sorted()
    assert [bad.row for bad in found.bad] == sorted(bad.row for bad in found.bad)


def test_all_these_schemas_but_one_are_read_by_kernels() -> None:
    plain = {number: program_of(json.dumps(schema)) for number, schema in OTHERS.items()}
    assert [number for number, program in plain.items() if program is None] == [6]
    assert program_of(files.text("MetricReport")) is not None
    assert program_of(files.text("Observation")) is None


@pytest.mark.parametrize("request_id", [None, "req-é-1"])
def test_every_damaged_byte_is_judged_as_rows_are(request_id: str | None) -> None:
    good = CODEC.encode(metric(7, stage="s", service="svc", request_id=request_id))
    flips = (0x01, 0x02, 0x40, 0x7F, 0x80, 0xFF)
    values = [
        good[:n] + bytes([good[n] ^ flip]) + good[n + 1 :]
        for n in range(len(good))
        for flip in flips
    ]
    values += [good[:n] for n in range(len(good))]
    values += [good[:n] + b"\x80" + good[n:] for n in range(5, len(good))]
    values += [good + b"\0", good + good, good + good[5:], good]
    found = decode([good, *values, good])
    assert said(found) == by_rows([good, *values, good])
    assert 10 < found.frame.height < len(values)


@pytest.mark.parametrize(
    "length",
    [b"\xff" * 9 + b"\x01", b"\xfe" * 9 + b"\x01", b"\x01", b"\xff\xff\xff\xff\x0f", b"\xff" * 11],
)
def test_huge_and_negative_lengths_reach_nowhere(length: bytes) -> None:
    good = CODEC.encode(metric())
    place = good.index(b"\x08shop")
    hostile = good[:place] + length + good[place + 1 :]
    assert said(decode([good, hostile, good])) == by_rows([good, hostile, good])


@given(st.binary(max_size=8), st.sampled_from(("request_id", "app", "unit")))
@settings(max_examples=150)
def test_texts_are_utf8_or_refused(raw: bytes, field: str) -> None:
    marked = CODEC.encode(metric(1, **{field: "\x01" * len(raw)}))
    value = marked.replace(b"\x01" * len(raw), raw, 1) if raw else marked
    assert said(decode([value, value])) == by_rows([value, value])


@pytest.mark.parametrize(
    "raw", ["ed9fbf", "eda080", "f48fbfbf", "f4908080", "c080", "e09fbf", "f08fbfbf", "c3", "e282"]
)
def test_the_edges_of_utf8_are_those_of_python(raw: str) -> None:
    text = bytes.fromhex(raw)
    marked = CODEC.encode(metric(1, request_id="\x01" * len(text)))
    value = marked.replace(b"\x01" * len(text), text, 1)
    assert said(decode([value])) == by_rows([value])


def test_what_is_too_large_or_no_metric_is_refused_alone() -> None:
    good = CODEC.encode(metric())
    large = CODEC.encode(metric(1, service="x" * TOPIC.max_bytes))
    values = [large, good, b"", CODEC.encode(example(Observation)), b"\0\0\0\x11\x11" + good[5:]]
    found = decode(values)
    assert said(found) == by_rows(values)
    assert [bad.row for bad in found.bad] == [0, 2, 3, 4]


def test_more_schemas_than_kernels_take_are_read_all_the_same() -> None:
    many = make_codec({number: json.dumps(NEWEST | {"doc": str(number)}) for number in range(20)})
    values = [codec.frame(number, codec.pack(metric(number))) for number in range(20)]
    found = MetricDecoder(many).decode(values, np.full(20, NOW), np.arange(20))
    assert found.frame["value"].to_list() == [float(number) for number in range(20)]


def test_rows_and_series_are_those_of_a_plain_frame() -> None:
    values = [
        CODEC.encode(metric(n, service=f"s{n % 7}", unit=("ms", "s")[n % 2])) for n in range(50)
    ]
    plain = columns.decode(values, MetricReport, CODEC).frame.rename({"_row": "_offset"})
    lean, series = columns.metrics(plain)
    found = MetricDecoder(CODEC).decode(values, np.full(50, NOW), np.arange(50))
    assert found.frame.equals(lean)
    assert found.series.drop("_entry").equals(series)


def test_series_keep_their_names_and_homes_while_the_table_grows() -> None:
    decoder = MetricDecoder(CODEC)
    for first in (0, 3_000, 1_500):
        events = [
            metric(0, service=f"service é {n}", node="n" * (n % 9))
            for n in range(first, first + 3_000)
        ]
        found = decode([CODEC.encode(event) for event in events], decoder)
        assert list(said(found).values()) == events
        wanted = [partition_of(key_of(event), 4) for event in events]
        assert (found.homes[found.frame["_series"]] % 4).tolist() == wanted


def test_a_table_that_is_full_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_series, "MOST_SERIES", 10)
    decoder = MetricDecoder(CODEC)
    for first in range(0, 100, 7):
        values = [CODEC.encode(metric(n, service=f"s{n}")) for n in range(first, first + 7)]
        assert said(decode(values, decoder)) == by_rows(values)
        assert len(decoder._table) <= 17


def test_batches_tell_their_own_series_and_no_others() -> None:
    decoder = MetricDecoder(CODEC)
    frames = []
    for order in ("ab", "ba", "aab", "b", "", "b", "cab", "abc", "ca", "z"):
        found = decode([CODEC.encode(metric(0, app=app)) for app in order], decoder)
        assert found.series["app"].gather(found.frame["_series"]).to_list() == list(order)
        assert set(found.series["app"]) == set(order)
        frames.append(found.series)
    assert frames[0] is frames[1] is frames[2]
    assert frames[6] is frames[7] is not frames[8]


def test_nothing_is_read_from_nothing() -> None:
    found = decode([])
    assert found.frame.is_empty()
    assert found.series.is_empty()
    assert found.frame.columns == ["event_time", "value", "_series", "_offset", "request_id"]


def test_what_cannot_be_cached_is_compiled_all_the_same() -> None:
    space: dict[str, Any] = {}
    exec("def double(number):\n    return 2 * number", space)  # a function without a file
    assert compiled("int64(int64)")(space["double"])(21) == 42


def test_targets_of_programs_are_the_fields_of_a_key() -> None:
    assert len(columns.KEYS) == kernels.KEYS

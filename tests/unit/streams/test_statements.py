"""Where a statement ends and its data begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.embedded.statements import Statement, parse

HEADS = (
    "INSERT INTO t",
    'insert into `format` (`a`, "select")',
    "INSERT INTO TABLE format (a) SETTINGS x = 'FORMAT CSV'",
    "-- FORMAT TSV\nINSERT /* VALUES */ INTO db.t (a, `it''s`)",
)


@given(st.sampled_from(HEADS), st.binary())
def test_data_of_an_insert_is_left_as_it_is(head: str, data: bytes) -> None:
    statement = parse(head.encode() + b" FORMAT Native\n" + data)
    assert statement == Statement("INSERT", head.encode(), "Native", data)


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"INSERT INTO t FORMAT CSV 1,2", b"1,2"),
        (b"INSERT INTO t FORMAT CSV\r\n1,2\n", b"1,2\n"),
        (b"INSERT INTO t FORMAT CSV \n\n1", b"\n1"),
        (b"INSERT INTO t FORMAT CSV", b""),
    ],
)
def test_one_line_break_belongs_to_the_statement(raw: bytes, data: bytes) -> None:
    assert parse(raw).data == data


@pytest.mark.parametrize(
    "raw",
    [
        b"INSERT INTO t VALUES (1, 'FORMAT CSV')",
        b"INSERT INTO t (a) SELECT 1 FORMAT Native",
        b"INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
    ],
)
def test_inserts_without_data_go_to_the_engine_whole(raw: bytes) -> None:
    assert parse(raw) == Statement("INSERT", raw)


@pytest.mark.parametrize(
    ("raw", "verb", "output"),
    [
        (b"select 1 format JSON", "SELECT", "JSON"),
        (b"select 'format CSV'", "SELECT", None),
        (b"select (select 1 format CSV) x", "SELECT", None),
        (b"SELECT 1 FORMAT Native SETTINGS max_threads=1", "SELECT", "Native"),
        (b"(select 1) format TSV", "FORMAT", "TSV"),
        (b"  ", "", None),
        (b"", "", None),
    ],
)
def test_format_clause_of_a_query(raw: bytes, verb: str, output: str | None) -> None:
    statement = parse(raw)
    assert (statement.text, statement.output_format) == (raw, output)
    assert statement.verb == verb


@given(st.binary())
def test_any_bytes_are_taken(raw: bytes) -> None:
    statement = parse(raw)
    assert statement.text in raw
    assert statement.data in raw

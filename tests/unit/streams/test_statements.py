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
    ("raw", "asked"),
    [
        (b"INSERT INTO t FORMAT CSV 1", b"INSERT INTO t FROM INFILE '/f' FORMAT CSV"),
        (
            b"INSERT INTO settings (`settings`) Settings x=1 FORMAT CSV 1",
            b"INSERT INTO settings (`settings`) FROM INFILE '/f' Settings x=1 FORMAT CSV",
        ),
        (b"INSERT INTO t -- why\nFORMAT CSV 1", b"INSERT INTO t -- why FROM INFILE"),
    ],
)
def test_data_of_an_insert_may_stand_in_a_file(raw: bytes, asked: bytes) -> None:
    found = parse(raw).reading("/f")
    assert b" ".join(found.split()).startswith(asked)
    assert b"\nFROM" in found


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
    ("raw", "why"),
    [
        (b"INSERT INTO t SELECT a FROM input('a Int8') FORMAT CSV\n1", "FROM input()"),
        (b"INSERT INTO t WITH 1 AS x SELECT a FROM\nInput ('a Int8') FORMAT CSV\n1", "input()"),
        (b"SYSTEM SHUTDOWN", "SIGTERM"),
        (b"/* now */ system kill", "SIGTERM"),
    ],
)
def test_what_the_engine_must_not_be_asked(raw: bytes, why: str) -> None:
    assert why in parse(raw).beyond


@pytest.mark.parametrize(
    "raw",
    [
        b"INSERT INTO t SELECT input FROM input",
        b"INSERT INTO t SELECT 'input(' FROM x",
        b"INSERT INTO t VALUES (1) -- FROM input('')",
        b"SYSTEM FLUSH LOGS",
    ],
)
def test_what_only_looks_like_it(raw: bytes) -> None:
    assert parse(raw).beyond == ""


@pytest.mark.parametrize(
    ("raw", "verb", "output"),
    [
        (b"select 1 format JSON", "SELECT", "JSON"),
        (b"select 'format CSV'", "SELECT", None),
        (b"select (select 1 format CSV) x", "SELECT", None),
        (b"SELECT 1 FORMAT Native SETTINGS max_threads=1", "SELECT", "Native"),
        (b"(select 1) format TSV", "FORMAT", "TSV"),
        (b"SELECT 1 FORMAT CSV;\n", "SELECT", "CSV"),
        (b"SELECT 1 FORMAT CSV -- as text", "SELECT", "CSV"),
        (b"SELECT format FROM models", "SELECT", None),
        (b"SELECT name, format, size FROM models ORDER BY format", "SELECT", None),
        (b"SELECT 1 AS format SETTINGS max_threads=1", "SELECT", None),
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

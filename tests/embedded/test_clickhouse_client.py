"""What clickhouse-connect offers, asked of the embedded ClickHouse over HTTP."""

import asyncio
import gzip
import io
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from tests.embedded.conftest import Server

NUMBERS = "SELECT number, toString(number) AS s FROM numbers(150000)"
BREAKS = "SELECT number, throwIf(number = 500000, 'boom') FROM numbers(1000000)"
MANY = 150_000


def connected(server: Server, **options: Any) -> Client:
    return clickhouse_connect.get_client(host="127.0.0.1", port=server.port, **options)


@pytest.fixture(scope="module")
def client(clickhouse: Server) -> Iterator[Client]:
    made = connected(clickhouse, session_id=None, autogenerate_session_id=False)
    made.command("CREATE DATABASE IF NOT EXISTS surface")
    made.database = "surface"
    yield made
    made.command("DROP DATABASE surface")
    made.close()


@pytest.fixture
def table(client: Client) -> str:
    client.command(
        "CREATE OR REPLACE TABLE kept (a UInt64, s String, d Nullable(DateTime64(3, 'UTC')), "
        "l Array(Int32)) ENGINE = MergeTree ORDER BY a"
    )
    return "kept"


def contents(client: Client) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query("SELECT a, s FROM kept ORDER BY a").result_rows]


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array([1, 2], pa.uint64()), "s": ["x", "y"]}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("fmt", "block", "compression"),
    [
        ("CSV", b"1,x\n2,y\n", None),
        ("CSV", gzip.compress(b"1,x\n2,y\n", mtime=0), "gzip"),
        ("JSONEachRow", '{"a": 1, "s": "x"}\n{"a": 2, "s": "y"}', None),
        ("TabSeparated", (part for part in (b"1\tx\n", b"2\ty\n")), None),
        ("Parquet", parquet(), None),
    ],
)
def test_raw_inserts(
    client: Client, table: str, fmt: str, block: Any, compression: str | None
) -> None:
    summary = client.raw_insert(table, ["a", "s"], block, fmt=fmt, compression=compression)
    assert summary.written_rows == 2
    assert contents(client) == [(1, "x"), (2, "y")]


def test_inserts_of_every_shape(client: Client, table: str) -> None:
    when = datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=UTC)
    client.insert(table, [[1, "r", when, [1]]])
    client.insert(
        table,
        [[2, 3], ["c", "c"], [None, when], [[], [2, 3]]],
        column_names=["a", "s", "d", "l"],
        column_oriented=True,
    )
    client.insert(table, [[4, "t"]], ["a", "s"], column_type_names=["UInt64", "String"])
    client.insert_df(table, pd.DataFrame({"a": [5], "s": ["it's"]}))
    client.insert_arrow(table, pa.table({"a": pa.array([6], pa.uint64()), "s": ["w"]}))
    client.insert_df_arrow(table, pl.DataFrame({"a": [7], "s": ["p"]}))
    context = client.create_insert_context(table, ["a", "s"])
    for number in (8, 9):
        context.data = [[number, "x"]]
        client.insert(context=context)
    client.command(f"INSERT INTO {table} (a, s) FORMAT CSV", data="10,d\n")
    assert [s for _, s in contents(client)] == ["r", "c", "c", "t", "it's", "w", "p", "x", "x", "d"]
    found = client.query("SELECT d, l FROM kept WHERE a IN (2, 3) ORDER BY a").result_rows
    assert found[0] == (None, [])
    assert (found[1][0].replace(tzinfo=UTC), found[1][1]) == (when, [2, 3])


def test_a_large_list_of_values(client: Client, table: str) -> None:
    values = ",".join(f"({n}, 'name {n}')" for n in range(50_000))
    client.command(f"INSERT INTO {table} (a, s) VALUES {values}")
    assert client.command(f"SELECT count(), max(s) FROM {table}") == ["50000", "name 9999"]


def test_answers_of_every_shape(client: Client) -> None:
    assert client.query(NUMBERS).row_count == MANY
    assert client.query_df(NUMBERS).shape == (MANY, 2)
    assert client.query_np("SELECT number, number FROM numbers(3)").tolist() == [
        [0, 0],
        [1, 1],
        [2, 2],
    ]
    assert client.query_arrow(NUMBERS).shape == (MANY, 2)
    assert client.query_df_arrow(NUMBERS, dataframe_library="polars").shape == (MANY, 2)
    assert client.raw_query("SELECT 1 AS x", fmt="JSONEachRow") == b'{"x":1}\n'
    assert client.raw_query("SELECT 1") == b"1\n"
    assert client.query("SELECT 1 AS x, 'a' AS y LIMIT 0").column_names == ("x", "y")


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip", "deflate"])
def test_streams_of_every_shape(clickhouse: Server, compress: Any) -> None:
    client = connected(clickhouse, compress=compress)
    with client.query_row_block_stream(NUMBERS) as blocks:
        assert sum(len(block) for block in blocks) == MANY
    with client.query_column_block_stream(NUMBERS) as blocks:
        assert sum(len(columns[0]) for columns in blocks) == MANY
    with client.query_rows_stream(NUMBERS) as rows:
        assert sum(1 for _ in rows) == MANY
    with client.query_df_stream(NUMBERS) as frames:
        assert sum(len(frame) for frame in frames) == MANY
    client.close()


def test_an_arrow_stream_is_one_stream(client: Client) -> None:
    with client.query_arrow_stream(NUMBERS) as batches:
        found = pa.Table.from_batches(list(batches))
    assert found["number"].to_pylist() == list(range(MANY))
    with client.query_arrow_stream("SELECT number FROM numbers(0)") as batches:
        assert sum(batch.num_rows for batch in batches) == 0


@pytest.mark.parametrize(
    ("fmt", "lines", "first"),
    [
        ("CSV", 0, b'0,"0"'),
        ("CSVWithNames", 1, b'"number","s"'),
        ("TSVWithNamesAndTypes", 2, b"number\ts"),
        ("JSONEachRow", 0, b'{"number":0,"s":"0"}'),
        ("JSON", 2_000, b"{"),
    ],
)
def test_raw_streams_are_one_document(client: Client, fmt: str, lines: int, first: bytes) -> None:
    with client.raw_stream(NUMBERS, fmt=fmt) as stream:
        found = stream.read().split(b"\n")
    assert found[0] == first
    assert len(found) - 1 >= MANY + lines
    assert found.count(first) == 1
    whole = client.raw_query(NUMBERS, fmt=fmt).split(b"\n")
    assert [line for line in found if b"elapsed" not in line] == [
        line for line in whole if b"elapsed" not in line
    ]


def test_parameters_on_either_side(client: Client) -> None:
    given = {"s": "it's \\ %", "d": date(2026, 5, 4), "l": [1, 2], "n": None}
    bound = client.query("SELECT %(s)s, %(d)s, %(l)s, %(n)s", given).result_rows
    assert bound == [("it's \\ %", "2026-05-04", [1, 2], None)]
    given = {
        "s": "a'b\\c\n\t\"é",
        "d": date(2026, 5, 4),
        "t": datetime.fromisoformat("2026-05-04T03:02:01"),
        "l": ["a'b", "c\\", "d\n"],
        "n": None,
        "p": (1, "x'"),
        "u": uuid.UUID(int=5),
        "b": True,
        "i": "numbers",
        "c": "number",
    }
    sql = (
        "SELECT {s:String}, {d:Date}, {t:DateTime('UTC')}, {l:Array(String)}, {n:Nullable(Int8)}, "
        "{p:Tuple(Int8, String)}, {u:UUID}, {b:Bool}, {c:Identifier} "
        "FROM system.{i:Identifier} LIMIT 1"
    )
    found = client.query(sql, given).result_rows[0]
    names = ("s", "d", "t", "l", "n", "p", "u", "b")
    assert list(found) == [given[name] for name in names] + [0]


def test_parameters_in_a_form(clickhouse: Server) -> None:
    client = connected(clickhouse, form_encode_query_params=True)
    long = "x'" * 20_000
    found = client.query("SELECT {s:String}, {l:Array(Int32)}", {"s": long, "l": [1, 2]})
    assert found.result_rows == [(long, [1, 2])]
    client.close()


def test_external_data_is_a_table_for_one_question(client: Client) -> None:
    people = ExternalData(
        file_name="people.csv",
        fmt="CSV",
        structure=["name String", "age UInt16"],
        data=b'bob,3\n"al,\r\nx",4\n',
    )
    people.add_file(file_name="rates", fmt="CSV", types=["Int8", "Decimal(10,2)"], data=b"1,2.5\n")
    sql = "SELECT name, age, _2 FROM people, rates WHERE age >= {least:UInt8} ORDER BY age"
    found = client.query(sql, {"least": 3}, external_data=people).result_rows
    assert found == [("bob", 3, Decimal("2.5")), ("al,\r\nx", 4, Decimal("2.5"))]
    assert client.raw_query("SELECT sum(age) FROM people", external_data=people) == b"7\n"
    with pytest.raises(DatabaseError) as caught:
        client.query("SELECT * FROM people")
    assert caught.value.code == 60


def test_a_session_outlives_its_questions_and_lends_only_for_one(clickhouse: Server) -> None:
    client = connected(clickhouse, session_id="surface")
    client.command("CREATE TEMPORARY TABLE mine (a Int8)")
    client.insert("mine", [[1], [2]])
    lent = ExternalData(file_name="lent", fmt="CSV", structure="b Int8", data=b"5\n")
    for _ in range(2):
        found = client.query("SELECT sum(a), any(b) FROM mine, lent", external_data=lent)
        assert found.result_rows == [(3, 5)]
    client.close()


def test_limits_and_settings_of_a_client(clickhouse: Server) -> None:
    client = connected(clickhouse, query_limit=7, settings={"max_block_size": 1000})
    assert client.query("SELECT * FROM numbers(100)").row_count == 7
    question = "SELECT getSetting('max_block_size'), getSetting('max_threads')"
    assert client.query(question, settings={"max_threads": 2}).result_rows == [(1000, 2)]
    client.set_client_setting("max_threads", 3)
    assert client.query(question).result_rows == [(1000, 3)]
    client.close()


def test_types_of_today(client: Client) -> None:
    client.command(
        "CREATE OR REPLACE TABLE modern (a Int8, j JSON, v Variant(Int8, String), y Dynamic, "
        "m Map(String, UInt8), e Enum8('x' = 1)) ENGINE = MergeTree ORDER BY a"
    )
    rows = [(1, {"a": {"b": 1}}, 5, "text", {"k": 1}, "x"), (2, {"z": [1]}, "s", "t", {}, "x")]
    client.insert("modern", rows)
    assert client.query("SELECT * FROM modern ORDER BY a").result_rows == rows


def test_a_question_has_its_id(client: Client) -> None:
    found = client.query("SELECT 1", settings={"query_id": "mine-1"})
    assert found.query_id == "mine-1"
    assert found.summary["read_rows"] == "1"
    assert client.ping()


@pytest.mark.parametrize("compress", [False, "lz4"])
def test_an_error_on_the_way_reaches_whoever_reads(clickhouse: Server, compress: Any) -> None:
    client = connected(clickhouse, compress=compress)
    seen = []
    with client.query_row_block_stream(BREAKS) as blocks, pytest.raises(StreamFailureError) as told:
        seen.extend(len(block) for block in blocks)
    assert "Code: 395" in str(told.value)
    assert 0 < sum(seen) < 1_000_000
    assert client.command("SELECT 1") == 1
    client.close()


def test_the_asynchronous_client(clickhouse: Server) -> None:
    async def use() -> None:
        client = await clickhouse_connect.get_async_client(
            host="127.0.0.1", port=clickhouse.port, autogenerate_session_id=False
        )
        await client.command("CREATE OR REPLACE TABLE later (a UInt64) ENGINE = Memory")
        await client.insert("later", [[n] for n in range(1000)], column_names=["a"])
        found = await client.query("SELECT count(), {x:String} FROM later", {"x": "q'"})
        assert found.result_rows == [(1000, "q'")]
        assert (await client.query_df("SELECT * FROM later")).shape == (1000, 1)
        stream = await client.query_row_block_stream(NUMBERS)
        async with stream as blocks:
            assert sum([len(block) async for block in blocks]) == MANY
        sleeps = [client.query("SELECT sleep(0.2)") for _ in range(4)]
        assert len(await asyncio.gather(*sleeps)) == 4
        with pytest.raises(DatabaseError) as caught:
            await client.query("SELECT * FROM nowhere")
        assert caught.value.code == 60
        await client.command("DROP TABLE later")
        await client.close()

    asyncio.run(use())

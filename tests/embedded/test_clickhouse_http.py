"""The embedded ClickHouse, asked by its own client, by curl's means, and by strangers."""

import gzip
import json
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from streams.embedded.serving import Request, Response, _Busy, _Handler, _Server
from tests.embedded.conftest import Server, clickhouse_in

COLUMNS = ["a", "s", "n", "d", "arr", "tup"]
TABLE = (
    "(a UInt64, s LowCardinality(String), n Nullable(String), d DateTime64(3, 'UTC'), "
    "arr Array(String), tup Array(Tuple(key String, value Float64))) "
    "ENGINE = ReplacingMergeTree ORDER BY a"
)
WHEN = datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=UTC)


def rows(count: int) -> list[list[Any]]:
    return [
        [i, f"s{i % 3}", None if i % 2 else "n", WHEN, ["x", "y"], [("k", 0.5)]]
        for i in range(count)
    ]


@pytest.fixture
def client(clickhouse: Server) -> Iterator[Client]:
    made = clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse.port)
    made.command("CREATE DATABASE IF NOT EXISTS tests")
    made.command("DROP TABLE IF EXISTS tests.t")
    made.command(f"CREATE TABLE tests.t {TABLE}")
    yield made
    made.close()


def ask(
    server: Server, query: str = "", body: bytes | None = None, **headers: str
) -> tuple[int, bytes, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/{query}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip", True])
def test_native_inserts_come_back(clickhouse: Server, client: Client, compress: Any) -> None:
    other = clickhouse_connect.get_client(
        host="127.0.0.1", port=clickhouse.port, compress=compress, database="tests"
    )
    assert other.insert("t", rows(1000), column_names=COLUMNS).written_rows == 1000
    found = other.query("SELECT * FROM t ORDER BY a LIMIT 2").result_rows
    assert found[1][:3] == (1, "s1", None)
    assert found[1][3].replace(tzinfo=UTC) == WHEN
    assert client.command("SELECT count() FROM tests.t FINAL") == 1000
    other.close()


def test_arrow_goes_in_and_out(client: Client) -> None:
    table = pa.table({"a": pa.array([1, 2], pa.uint64()), "s": ["x", "y"]})
    client.insert_arrow("tests.t", table)
    found = client.query_arrow("SELECT a, toString(s) AS s FROM tests.t ORDER BY a")
    assert found.to_pydict() == table.to_pydict()


def test_parameters_arrive_as_they_are(client: Client) -> None:
    values = {"s": "a'b\\c\nd\te", "l": ["x'", "y\\"], "n": None, "i": 3}
    found = client.query(
        "SELECT {s:String}, {l:Array(String)}, {n:Nullable(String)}, {i:Int8}", values
    )
    assert found.result_rows == [("a'b\\c\nd\te", ["x'", "y\\"], None, 3)]


def test_settings_and_database_are_those_of_the_question(
    clickhouse: Server, client: Client
) -> None:
    question = "SELECT getSetting('max_threads'), currentDatabase()"
    mine = clickhouse_connect.get_client(
        host="127.0.0.1", port=clickhouse.port, database="system", settings={"max_threads": 1}
    )
    assert mine.query(question).result_rows == [(1, "system")]
    assert mine.query(question, settings={"max_threads": 7}).result_rows == [(7, "system")]
    assert client.query(question).result_rows[0][1] == "default"
    mine.close()


def test_a_session_keeps_tables_and_its_own_settings(client: Client) -> None:
    client.command("CREATE TEMPORARY TABLE mine (a Int8)")
    client.command("SET max_threads = 3")
    client.query("SELECT 1", settings={"max_threads": 5})
    assert client.command("SELECT count() FROM mine") == 0
    assert client.command("SELECT getSetting('max_threads')") == 3


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT nope", 47),
        ("SELECT * FROM nope", 60),
        ("SELECT * FROM nope.t", 81),
        ("SELEC 1", 62),
        ("INSERT INTO tests.t VALUES (1", 62),
        ("SELECT throwIf(1, 'on purpose')", 395),
    ],
)
def test_errors_carry_the_engines_code(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(sql)
    assert caught.value.code == code
    assert client.command("SELECT 1") == 1


def test_unknown_setting_is_refused(clickhouse: Server) -> None:
    status, body, headers = ask(clickhouse, "?query=SELECT+1&max_thread=3")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (404, "115")
    assert b"max_thread" in body


def test_a_browser_and_curl_get_text(clickhouse: Server) -> None:
    assert ask(clickhouse)[1] == b"Ok.\n"
    assert ask(clickhouse, "ping")[1] == b"Ok.\n"
    assert ask(clickhouse, "?query=SELECT+1%2B1")[1] == b"2\n"
    assert ask(clickhouse, body=b"SELECT 1 AS x FORMAT CSVWithNames")[1] == b'"x"\n1\n'
    status, body, headers = ask(clickhouse, "?default_format=JSON", b"SELECT 1 AS x")
    assert (status, json.loads(body)["data"]) == (200, [{"x": 1}])
    assert headers["Content-Type"].startswith("application/json")
    assert headers["X-ClickHouse-Format"] == "JSON"
    assert headers["X-ClickHouse-Timezone"]


def test_text_formats_go_in(clickhouse: Server, client: Client) -> None:
    packed = gzip.compress(b"5,five\n6,six\n")
    insert = "?query=INSERT+INTO+tests.t+(a,s)+FORMAT+CSV"
    status, _, headers = ask(clickhouse, insert, packed, **{"Content-Encoding": "gzip"})
    assert status == 200
    assert json.loads(headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    ask(clickhouse, body=b'INSERT INTO tests.t FORMAT JSONEachRow\n{"a": 7, "s": "seven"}\n')
    found = client.query("SELECT a, s FROM tests.t ORDER BY a").result_rows
    assert found == [(5, "five"), (6, "six"), (7, "seven")]


def test_get_changes_nothing(clickhouse: Server, client: Client) -> None:
    status, _, headers = ask(clickhouse, "?query=DROP+TABLE+tests.t")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "164")
    assert client.command("EXISTS TABLE tests.t") == 1


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}],
)
def test_pages_of_others_are_refused(clickhouse: Server, headers: dict[str, str]) -> None:
    assert ask(clickhouse, "?query=SELECT+1", **headers)[0] == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Encoding": "gzip"}, 400),
        ({"Content-Encoding": "lz4"}, 400),
        ({"Content-Encoding": "zstd"}, 400),
        ({"Content-Encoding": "rot13"}, 415),
        ({"Content-Length": str(1 << 40)}, 413),
        ({"Content-Length": "-1"}, 400),
    ],
)
def test_unreadable_bodies_are_refused(
    clickhouse: Server, headers: dict[str, str], status: int
) -> None:
    assert ask(clickhouse, body=b"SELECT 1", **headers)[0] == status
    assert ask(clickhouse, "ping")[0] == 200


class _Counting(_Server):
    """Counts the connections that it is done with, however they ended."""

    done = 0

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.done += 1


def test_a_client_that_goes_away_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR")

    def answer(request: Request) -> Response:
        return Response(200, b"x" * 4_000_000)

    with _Counting(("127.0.0.1", 0), partial(_Handler, answer, _Busy())) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        for sent in (b"", b"GET /pi", b"GET /ping HTTP/1.1\r\n\r\n", b"no HTTP\r\n\r\n"):
            with socket.create_connection(server.server_address) as rude:
                rude.sendall(sent)
                reset = struct.pack("ii", 1, 0)
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        wait_for(lambda: server.done == 4)
        assert caplog.records == []
        server.finish_request = _fail  # type: ignore[method-assign]  # what is news must be seen
        socket.create_connection(server.server_address).close()
        wait_for(lambda: "connection of" in caplog.text)
        server.shutdown()


def _fail(*_: object) -> None:
    raise ValueError("a fault of ours")


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_questions_run_side_by_side(clickhouse: Server) -> None:
    queries = ["?query=SELECT+sleep(0.5)"] * 4
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda query: ask(clickhouse, query)[1], queries))
    assert answers == [b"0\n"] * 4


def test_data_survives_a_restart_and_a_kill(tmp_path: Path) -> None:
    server = clickhouse_in(tmp_path)
    server.start()
    ask(server, body=b"CREATE DATABASE kept")
    ask(server, body=b"CREATE TABLE kept.t (a Int8) ENGINE = MergeTree ORDER BY a")
    for end in (server.stop, server.kill, server.stop):
        ask(server, body=b"INSERT INTO kept.t VALUES (1), (2)")
        count = ask(server, "?query=SELECT+count()+FROM+kept.t")[1]
        end()
        server.start()
        assert ask(server, "?query=SELECT+count()+FROM+kept.t")[1] == count
    server.stop()
    assert count == b"6\n"


def test_a_password_is_asked_for_when_one_is_set(tmp_path: Path) -> None:
    server = clickhouse_in(tmp_path)
    server.start(WEIR_CLICKHOUSE__PASSWORD="sesame")
    try:
        for password, status in (("sesame", 200), ("", 403), ("other", 403)):
            query = f"?query=SELECT+1&user=default&password={password}"
            assert ask(server, query)[0] == status
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=server.port, username="default", password="sesame"
        )
        assert client.command("SELECT 1") == 1
        client.close()
    finally:
        server.stop()

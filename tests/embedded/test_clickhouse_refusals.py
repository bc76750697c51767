"""How the embedded ClickHouse refuses: codes, statuses, who may ask, and what chDB cannot do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.embedded.conftest import Server, clickhouse_in
from tests.embedded.test_clickhouse_http import ask

FORM = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n--b--\r\n'
IN_FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def client(clickhouse: Server) -> Iterator[Client]:
    made = clickhouse_connect.get_client(
        host="127.0.0.1", port=clickhouse.port, autogenerate_session_id=False
    )
    made.command("CREATE DATABASE IF NOT EXISTS refusals")
    made.command("CREATE TABLE IF NOT EXISTS refusals.t (a Int8) ENGINE = MergeTree ORDER BY a")
    yield made
    made.command("DROP DATABASE refusals")
    made.close()


def get(server: Server, method: str = "GET", **query: Any) -> tuple[int, int, str]:
    """Return status, code and text of an answer."""
    body = b"" if method == "POST" else None
    status, text, headers = ask(server, f"?{urlencode(query)}", body)
    return status, int(headers.get("X-ClickHouse-Exception-Code") or 0), text.decode()


@pytest.mark.parametrize(
    ("sql", "code", "status"),
    [
        ("SELEC 1", 62, 400),
        ("SELECT nope", 47, 404),
        ("SELECT * FROM refusals.nope", 60, 404),
        ("SELECT * FROM nope.t", 81, 404),
        ("SELECT nope(1)", 46, 404),
        ("SELECT 1 FORMAT Nope", 73, 404),
        ("SELECT 1; SELECT 2", 62, 400),
        ("INSERT INTO refusals.t FORMAT CSV x", 117, 400),
        ("INSERT INTO refusals.t VALUES ('x')", 6, 400),
        ("SELECT throwIf(1, 'on purpose')", 395, 500),
        ("SELECT sleepEachRow(0.5) FROM numbers(5) SETTINGS max_execution_time=0.2", 159, 408),
        ("CREATE TABLE refusals.t (a Int8) ENGINE = Memory", 57, 500),
        ("SELECT toDate('x')", 38, 400),
    ],
)
@pytest.mark.usefixtures("client")
def test_codes_have_the_statuses_of_a_server(
    clickhouse: Server, sql: str, code: int, status: int
) -> None:
    found = get(clickhouse, "POST", query=sql)
    assert found[:2] == (status, code), found
    assert f"Code: {code}. DB::Exception: " in found[2]


@pytest.mark.parametrize(
    ("sql", "code", "says"),
    [
        ("SYSTEM SHUTDOWN", 48, "SIGTERM"),
        ("INSERT INTO refusals.t SELECT * FROM input('a Int8') FORMAT CSV 1", 48, "temporary"),
        ("CREATE USER u IDENTIFIED BY 'x'", 497, "Not enough privileges"),
        ("SELECT * FROM system.query_log", 60, "query_log"),
        ("BEGIN TRANSACTION", 48, "Transactions are not supported"),
        ("BACKUP TABLE refusals.t TO File('x')", 318, "backups.allowed_path"),
        (
            "CREATE TABLE refusals.r (a Int8) ENGINE = ReplicatedMergeTree('/x', 'r') ORDER BY a",
            225,
            "ZooKeeper",
        ),
        ("SELECT * FROM cluster('default', system.one)", 701, "not found"),
        ("SYSTEM RELOAD CONFIG", 1, "not supported"),
    ],
)
@pytest.mark.usefixtures("client")
def test_what_only_a_server_can_do(clickhouse: Server, sql: str, code: int, says: str) -> None:
    found = get(clickhouse, "POST", query=sql)
    assert found[1] == code, found
    assert says in found[2]
    assert get(clickhouse, query="SELECT 1") == (200, 0, "1\n")


@pytest.mark.parametrize(
    "form", ["VALUES (5), (50)", "FORMAT CSV 5\n50\n", "FORMAT RowBinary \x05\x32"]
)
def test_an_insert_that_fails_behind_its_parser_is_not_acknowledged(
    clickhouse: Server, client: Client, form: str
) -> None:
    client.command(
        "CREATE OR REPLACE TABLE refusals.small (a Int8, CONSTRAINT small CHECK a < 10) "
        "ENGINE = MergeTree ORDER BY a"
    )
    status, text, headers = ask(clickhouse, body=f"INSERT INTO refusals.small {form}".encode())
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "469")
    assert b"Constraint `small`" in text
    assert client.command("SELECT count() FROM refusals.small") == 0


def test_an_id_of_a_question_is_its_comment(clickhouse: Server) -> None:
    sql = "SELECT Settings['log_comment'], query_id = 'mine-2' FROM system.processes"
    found = get(
        clickhouse, query=f"{sql} WHERE Settings['log_comment'] = 'mine-2'", query_id="mine-2"
    )
    assert found == (200, 0, "mine-2\t0\n")


def test_paths_of_a_server(clickhouse: Server) -> None:
    assert ask(clickhouse, "replicas_status")[:2] == (200, b"Ok.\n")
    status, text, _ = ask(clickhouse, "play")
    assert (status, b"There is no handle /play" in text) == (404, True)


def test_readonly_is_kept(clickhouse: Server, client: Client) -> None:
    write = "INSERT INTO refusals.t VALUES (1)"
    assert get(clickhouse, "POST", query=write, readonly=1)[:2] == (500, 164)
    assert get(clickhouse, "POST", query=write, readonly=2)[:2] == (500, 164)
    assert get(clickhouse, query=write, readonly=0)[:2] == (500, 164)
    setting = "SELECT 1 SETTINGS max_threads=1"
    assert get(clickhouse, query=setting)[0] == 200
    assert get(clickhouse, query=setting, readonly=1)[1] == 164
    assert client.command("SELECT count() FROM refusals.t") == 0


def test_get_is_readonly_in_a_session_only_while_it_lasts(clickhouse: Server) -> None:
    write = "CREATE TEMPORARY TABLE x (a Int8)"
    assert get(clickhouse, query=write, session_id="r")[:2] == (500, 164)
    smuggled = "WITH 1 AS x INSERT INTO refusals.t SELECT x"
    assert get(clickhouse, query=smuggled, session_id="r")[1] == 164
    assert get(clickhouse, "POST", query=write, session_id="r")[0] == 200
    assert get(clickhouse, query="SELECT count() FROM x", session_id="r") == (200, 0, "0\n")


def test_sessions_end(clickhouse: Server) -> None:
    question = {"query": "SELECT getSetting('max_threads')", "session_id": "s"}
    get(clickhouse, "POST", query="SET max_threads = 3", session_id="s", close_session=1)
    assert get(clickhouse, **question)[2] != "3\n"
    assert get(clickhouse, query="SELECT 1", session_id="no", session_check=1)[1] == 372
    assert get(clickhouse, query="SELECT 1", session_id="s", session_timeout="x")[1] == 374


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (FORM % (b"query", b"SELECT {x:Int8}"), IN_FORM, 500),
        (FORM % (b"query", b"SELECT 5"), IN_FORM, 200),
        ((FORM % (b"query", b"SELECT 5"))[:-4], IN_FORM, 400),
        (FORM % (b"query", b"SELECT 5"), {"Content-Type": "multipart/form-data"}, 400),
        (b"SELECT 5", {"Content-Type": "application/x-www-form-urlencoded"}, 200),
        (FORM.replace(b'"%b"', b'"f"; filename="f"') % b"1", IN_FORM, 400),
    ],
)
def test_forms(clickhouse: Server, body: bytes, headers: dict[str, str], status: int) -> None:
    found = ask(clickhouse, "", body, **headers)
    assert found[0] == status, found
    assert status != 200 or found[1] == b"5\n"


def test_answers_are_packed_only_for_who_asks(clickhouse: Server) -> None:
    def encoding(query: str, **headers: str) -> str | None:
        return ask(clickhouse, f"?query=SELECT+1{query}", None, **headers)[2]["Content-Encoding"]

    wanted = {"Accept-Encoding": "br;q=1, gzip"}
    assert encoding("&enable_http_compression=1", **wanted) == "gzip"
    assert encoding("", **wanted) is None
    assert encoding("&enable_http_compression=1", **{"Accept-Encoding": "br"}) is None


def test_what_grafana_sends(clickhouse: Server) -> None:
    """Its plugins send POST with the key in headers, and want JSON with types."""
    status, text, headers = ask(
        clickhouse,
        "?database=system&default_format=JSON",
        b"SELECT name FROM databases WHERE name = 'system'",
        **{"X-ClickHouse-User": "default", "X-ClickHouse-Key": ""},
    )
    found = json.loads(text)
    assert (status, found["meta"], found["data"], found["rows"]) == (
        200,
        [{"name": "name", "type": "String"}],
        [{"name": "system"}],
        1,
    )
    assert json.loads(headers["X-ClickHouse-Summary"])["read_rows"] != "0"


def test_only_who_knows_the_password_may_ask(tmp_path: Path) -> None:
    server = clickhouse_in(tmp_path)
    server.start(WEIR_CLICKHOUSE__PASSWORD="sesame", WEIR_CLICKHOUSE__USERNAME="weir")
    try:
        for headers, status in (
            ({"Authorization": "Basic d2VpcjpzZXNhbWU="}, 200),
            ({"Authorization": "Basic d2VpcjpvdGhlcg=="}, 403),
            ({"Authorization": "Basic ZGVmYXVsdDpzZXNhbWU="}, 403),
            ({"Authorization": "Basic !"}, 403),
            ({"Authorization": "Bearer sesame"}, 403),
            ({"X-ClickHouse-User": "weir", "X-ClickHouse-Key": "sesame"}, 200),
            ({"X-ClickHouse-User": "weir", "X-ClickHouse-Key": "x"}, 403),
            ({}, 403),
        ):
            found = ask(server, "?query=SELECT+1", None, **headers)
            assert found[0] == status, headers
            assert status == 200 or found[2]["X-ClickHouse-Exception-Code"] == "516"
        assert get(server, query="SELECT 1", user="weir", password="sesame")[0] == 200
        assert ask(server, "ping")[0] == 200
        with pytest.raises(DatabaseError) as caught:
            clickhouse_connect.get_client(host="127.0.0.1", port=server.port, username="weir")
        assert caught.value.code == 516
    finally:
        server.stop()


def test_two_servers_do_not_share_a_folder(clickhouse: Server, tmp_path: Path) -> None:
    second = Server(clickhouse.module, clickhouse.arguments, tmp_path / "second.log")
    with pytest.raises(Exception, match="another process may use this folder"):
        second.start()
    assert second.process.returncode == 3
    assert "Traceback" not in second.log.read_text()

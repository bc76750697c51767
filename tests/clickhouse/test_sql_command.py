"""`weir sql` from the outside: what it prints, and how it ends."""

import json
import sys

import pytest
from typer.testing import CliRunner, Result

from schemas.observing import MetricReport
from streams import cli
from tests.clickhouse.messages import store
from workers.clickhouse import Database
from workers.settings import ClickHouseSettings

METRIC = MetricReport(event_time=1, app="digits", metric="latency", value=1.5)


def run(runner: CliRunner, *arguments: str) -> Result:
    return runner.invoke(cli.app, ["sql", *arguments])


def test_rows_in_every_form(commands: CliRunner, database: Database) -> None:
    store(database, METRIC)
    query = "select app, value, request_id from metrics -- the first\n;"
    assert run(commands, query).stdout == "app\tvalue\trequest_id\ndigits\t1.5\t\\N\n"
    rows = json.loads(run(commands, query, "--json").stdout)
    assert rows == [{"app": "digits", "value": 1.5, "request_id": None}]
    assert run(commands, query, "--format", "CSV").stdout == '"digits",1.5,\\N\n'
    assert run(commands, "select 1 as one format JSONEachRow").stdout == '{"one":1}\n'


def test_no_rows_are_an_empty_answer(commands: CliRunner) -> None:
    found = run(commands, "select * from metrics", "--json")
    assert (found.exit_code, found.stdout) == (0, "[]\n")


def test_without_a_query_it_lists_what_there_is(commands: CliRunner, database: Database) -> None:
    store(database, METRIC)
    store(database, METRIC)
    rows = {row["name"]: row for row in json.loads(run(commands, "--json").stdout)}
    assert (rows["metrics"]["kind"], rows["metrics"]["rows"]) == ("table", 1)
    lineage = rows["decision_lineage"]
    assert (lineage["kind"], lineage["rows"]) == ("view", None)
    assert rows["decision_lineage"]["comment"]
    assert run(commands).stdout.startswith("name\tkind\trows\tcomment\n")


def test_a_statement_without_rows(commands: CliRunner, database: Database) -> None:
    made = run(commands, "create table mine (a Int8) engine = Memory", "--write")
    assert (made.exit_code, made.stdout) == (0, "")
    assert "mine\ttable\t0" in run(commands).stdout
    assert run(commands, "drop table mine", "--write").exit_code == 0
    assert database.query("exists table mine").rows == ((0,),)


@pytest.mark.parametrize(
    "query",
    [
        "drop table metrics",
        "truncate table metrics",
        "alter table metrics delete where 1",
        "insert into metrics (app) values ('x')",
        "with 1 as x insert into metrics (app) select toString(x)",
        "set readonly = 0",
    ],
)
def test_nothing_is_changed_unless_asked_for(
    commands: CliRunner, database: Database, query: str
) -> None:
    store(database, METRIC)
    found = run(commands, query)
    assert found.exit_code == 2
    assert "--write" in found.stderr
    assert "readonly mode" in found.stderr
    assert database.query("select count() from metrics").rows == ((1,),)


@pytest.mark.parametrize(
    ("query", "why"),
    [("select nope from metrics", "`nope`"), ("selec 1", "Syntax error"), (" ; ", "empty")],
)
def test_sql_that_is_wrong_is_said(commands: CliRunner, query: str, why: str) -> None:
    found = run(commands, query)
    assert found.exit_code == 2
    assert why in found.stderr
    assert "Traceback" not in found.output


def test_a_database_that_is_not_there_yet(
    commands: CliRunner, settings: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIR_CLICKHOUSE__DATABASE", settings.database)
    found = run(commands, "select 1 from metrics")
    assert found.exit_code == 2
    assert "weir run sink" in found.stderr


@pytest.mark.usefixtures("commands")
def test_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEIR_CLICKHOUSE__PORT", "1")
    monkeypatch.setattr(sys, "argv", ["weir", "sql", "select 1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    assert "127.0.0.1:1 does not answer" in capsys.readouterr().err

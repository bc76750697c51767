"""Tables follow the schemas, and databases follow the tables."""

import re

import pytest

from schemas.closed import WindowsClosed
from schemas.decisions import Snapshot
from schemas.events import EVENTS
from workers.clickhouse import Database, connect
from workers.errors import ClickHouseRefused, ClickHouseUnavailable
from workers.settings import ClickHouseSettings
from workers.sinking.migrations import migrate, outdated, scripts
from workers.sinking.tables import literal, sql_type, tables


def squeezed(kind: str) -> str:
    return re.sub(r"[\s`]", "", kind)


def forget(database: Database, name: str) -> None:
    condition = f"name = {literal(name)}"
    database.execute(f"ALTER TABLE migrations DELETE WHERE {condition} SETTINGS mutations_sync=1")


def test_every_event_but_snapshots_and_rows_of_windows_has_a_table() -> None:
    assert set(EVENTS.values()) - set(tables()) == {Snapshot, WindowsClosed}
    assert len({table.name for table in tables().values()}) == len(tables())


def test_the_database_has_the_declared_columns_with_their_documentation(
    database: Database,
) -> None:
    found = database.query(
        "SELECT table, name, type, comment FROM system.columns WHERE database = {base:String}",
        {"base": database.name},
    )
    there = {(table, name): (squeezed(kind), text) for table, name, kind, text in found.rows}
    for table in tables().values():
        for column in table.columns:
            assert there[table.name, column.name] == (squeezed(column.type), column.comment)


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert migrate(database) == []


def test_numbered_files_are_numbered_once() -> None:
    names = [script.name for script in scripts()]
    assert all(re.fullmatch(r"\d{3}_[a-z_]+\.sql", name) for name in names)
    assert len({name[:3] for name in names}) == len(names)
    assert all(script.statements for script in scripts())


def test_a_field_that_a_schema_gained_becomes_a_column(own: Database) -> None:
    own.execute("ALTER TABLE nodes DROP COLUMN speed")
    own.execute("INSERT INTO nodes (node) VALUES ('old')")
    forget(own, "nodes")
    assert migrate(own) == ["nodes"]
    assert own.query("SELECT node, speed FROM nodes").rows == (("old", 1.0),)


def test_a_field_that_a_nested_record_gained_widens_its_column(own: Database) -> None:
    narrow = "Array(Tuple(service String, weight Float64))"
    own.execute("DROP TABLE ensembles")
    ddl = next(t for t in tables().values() if t.name == "ensembles").ddl()
    own.execute(re.sub(r"Array\(Tuple\(`service` String, `weight`.*?(?= COMMENT)", narrow, ddl))
    own.execute("INSERT INTO ensembles (app, members) VALUES ('a', [('m', 0.5)])")
    own.execute("ALTER TABLE migrations DELETE WHERE name = 'ensembles' SETTINGS mutations_sync=1")
    assert migrate(own) == ["ensembles"]
    found = own.query("SELECT members FROM ensembles").rows[0][0]
    gained = {"role": "", "stage": "", "order": 0, "class_weights": [], "node": ""}
    assert found == [{"service": "m", "weight": 0.5, **gained}]


def test_a_table_that_somebody_dropped_is_made_again(own: Database) -> None:
    own.execute("DROP TABLE metrics")
    assert migrate(own) == ["metrics"]


def test_what_has_no_column_type_is_said() -> None:
    with pytest.raises(TypeError, match="no column type"):
        sql_type({"type": "map", "values": "string"})
    assert sql_type(["null", {"type": "array", "items": "long"}]) == "Array(Int64)"


def test_literals_hold_quotes_and_backslashes(database: Database) -> None:
    text = "it's a \\ 'test' \\' ;"
    assert database.query(f"SELECT {literal(text)}").rows == ((text,),)


def test_errors_say_what_and_where(database: Database, settings: ClickHouseSettings) -> None:
    with pytest.raises(ClickHouseRefused, match=r"identifier `nope`") as refused:
        database.query("SELECT nope FROM metrics")
    assert refused.value.code == 47
    with pytest.raises(ClickHouseUnavailable, match=r"127\.0\.0\.1:1 does not answer.*weir up"):
        connect(settings.model_copy(update={"port": 1}))


def test_what_somebody_changed_by_hand_is_told_and_mended(own: Database) -> None:
    assert outdated(own) == []
    own.execute("DROP VIEW latency_by_service")
    own.execute("ALTER TABLE actions DROP COLUMN reason")
    own.execute("DROP TABLE drifts")
    assert outdated(own) == ["drifts", "actions", "001_latency_by_service.sql"]
    assert migrate(own) == ["drifts", "actions", "001_latency_by_service.sql"]
    assert outdated(own) == []
    assert migrate(own) == []

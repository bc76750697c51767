"""What ClickHouse lacks is read from Kafka again: all of it, nothing twice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from schemas.observing import MetricReport, Observation
from schemas.registrations import MetricDefined, ServiceRegistered, WindowDefined
from streams import cli
from tests.clickhouse.messages import CLUSTER, Stood, insert, rows, stood
from tests.clickhouse.sinking import asking, counted, eventually, metrics, send, send_raw, sinking
from tests.examples import example
from workers.clickhouse import Database
from workers.errors import RecoveryRefused
from workers.settings import Settings
from workers.sinking.backfill import Bound, _Reading, backfill
from workers.sinking.held import Held
from workers.sinking.migrations import migrate
from workers.sinking.tables import tables

TABLES = ("metrics", "observations", "services", "windows", "metric_definitions")
KEEP_ALL = "ALTER TABLE {} DELETE WHERE {} SETTINGS mutations_sync = 2"


def counts(database: Database) -> dict[str, int]:
    """Return how many rows there are, repeats included."""
    return {name: counted(database, f"SELECT count() FROM {name}") for name in TABLES}


def all_kinds(app: str) -> list[MetricReport | Observation | ServiceRegistered]:
    seen = [
        replace(example(Observation), event_id=f"{app}-{n}", app=app, revision=r)
        for n in range(20)
        for r in (0, 1)
    ]
    defined = [replace(example(WindowDefined), name=app), replace(example(MetricDefined), name=app)]
    return [*metrics(app, 300), *seen, example(ServiceRegistered), *defined]


def test_what_was_dropped_comes_back_once(everything: Settings) -> None:
    events = all_kinds("dropped")
    send(everything, *events)
    send_raw(everything, "weir.labels", b"no avro", key="bad")
    kept = "SELECT count() FROM metrics WHERE app = 'dropped'"
    with asking(everything) as database:
        with sinking(everything):
            assert eventually(lambda: counted(database, kept) == 300)
        database.execute("OPTIMIZE TABLE observations FINAL")
        before = counts(database)
        values = "SELECT sum(value), max(_offset) FROM metrics FINAL"
        sums = database.query(values).rows
        letters = counted(database, "SELECT count() FROM dead_letters")
        database.execute(KEEP_ALL.format("metrics", "_offset % 7 = 3 OR _offset > 60"))
        database.execute(KEEP_ALL.format("observations", "event_id LIKE '%5'"))
        database.execute("TRUNCATE TABLE windows")
        database.execute("TRUNCATE TABLE services")
        assert counts(database) != before
        filled = backfill(everything)
        assert counts(database) == before
        assert database.query(values).rows == sums
        assert filled["weir.definitions"].inserted == before["windows"]
        assert filled["weir.labels"].unusable >= 1
        assert all(not outcome.skipped for outcome in filled.values())
        again = backfill(everything)
        assert {
            topic: outcome.inserted for topic, outcome in again.items() if outcome.inserted
        } == {}
        assert counts(database) == before
        assert counted(database, "SELECT count() FROM dead_letters") == letters


def test_it_may_run_beside_the_sink(everything: Settings) -> None:
    stored = "SELECT count() FROM metrics FINAL WHERE app = 'beside'"
    with sinking(everything), asking(everything) as database:
        send(everything, *metrics("beside", 200))
        assert eventually(lambda: counted(database, stored) == 200)
        database.execute(KEEP_ALL.format("metrics", "app = 'beside' AND value < 50"))
        send(everything, *metrics("beside", 100))
        backfill(everything, ("weir.metrics",))
        assert eventually(lambda: counted(database, stored) == 300)


def test_nothing_is_stored_behind_what_the_sink_has_yet_to_store(everything: Settings) -> None:
    send(everything, *metrics("behind", 100))
    with asking(everything) as database:
        migrate(database)
        late = backfill(everything, ("weir.metrics",), Bound(offset=5))["weir.metrics"]
        assert late.inserted == 0
        assert late.skipped
        part = backfill(everything, ("weir.metrics",), last=Bound(offset=5))["weir.metrics"]
        assert counted(database, "SELECT max(_offset) FROM metrics") == 4
        rest = backfill(everything, ("weir.metrics",), Bound(offset=5))["weir.metrics"]
        assert not rest.skipped
        assert part.inserted + rest.inserted == counted(database, "SELECT count() FROM metrics")
        with sinking(everything) as ready:
            assert ready.wait(60)
        assert counted(database, "SELECT count() FROM metrics") == part.inserted + rest.inserted


def test_a_topic_that_is_not_stored_is_refused(everything: Settings) -> None:
    with pytest.raises(RecoveryRefused, match=r"weir\.snapshots.*weir\.metrics"):
        backfill(everything, ("weir.snapshots",))


def message(offset: int, at: int, topic: str = "weir.metrics") -> Stood:
    return Stood(topic, offset, b"", None, 0, at)


@pytest.mark.parametrize(
    ("first", "last", "stored", "taken"),
    [
        (Bound(), Bound(), 0, [0, 1, 2, 3, 4]),
        (Bound(time_ms=20), Bound(), 5, [2, 3, 4]),
        (Bound(time_ms=20), Bound(time_ms=40), 5, [2, 3]),
        (Bound(time_ms=20), Bound(), 2, [2, 3, 4]),
        (Bound(time_ms=20), Bound(), 1, []),
        (Bound(), Bound(time_ms=15), 0, [0, 1]),
    ],
)
def test_bounds_by_time(first: Bound, last: Bound, stored: int, taken: list[int]) -> None:
    """The third message is older than its neighbours: a partition is filled without gaps."""
    reading = _Reading(first, last, {("weir.metrics", 0): stored})
    log = [message(n, at) for n, at in enumerate((0, 10, 20, 15, 40))]
    assert [found.offset() for found in log if reading.takes(found)] == taken
    assert reading.skipped == ({("weir.metrics", 0)} if not taken else set())


def test_what_a_table_holds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sinking.held.WINDOW", 8)
    metric = MetricReport(event_time=1, app="a", metric="m", value=1.0)
    log = [stood(metric, offset) for offset in range(30)]
    there = {0, 1, 2, 7, 8, 20, 29}
    insert(database, rows([log[n] for n in sorted(there)]))
    table = tables()[MetricReport]
    ((_, frame),) = rows(log).frames
    missing = Held(database, CLUSTER).missing(table, frame)["_offset"].to_list()
    assert missing == [n for n in range(30) if n not in there]
    assert Held(database, "another").missing(table, frame).height == 30


def test_a_derived_event_is_held_once_in_its_newest_revision(database: Database) -> None:
    def log(*revisions: int) -> list[Stood]:
        base = replace(example(Observation), event_id="o")
        return [stood(replace(base, revision=r), n) for n, r in enumerate(revisions)]

    insert(database, rows(log(0, 1)[1:]))
    ((table, frame),) = rows(log(0, 1, 1, 2)).frames
    assert Held(database, CLUSTER).missing(table, frame)["_offset"].to_list() == [3]


def run(settings: Settings, folder: Path, *arguments: str) -> Result:
    environment = settings.environment() | {"WEIR_DATA_DIR": str(folder)}
    return CliRunner().invoke(cli.app, ["sink", "backfill", *arguments], env=environment)


def test_the_command(everything: Settings, tmp_path: Path) -> None:
    unmade = run(everything, tmp_path, "--topic", "weir.metrics")
    assert unmade.exit_code == 2
    assert "weir run sink" in unmade.stderr
    send(everything, *metrics("command", 10))
    with asking(everything) as database:
        migrate(database)
        found = run(everything, tmp_path, "--topic", "weir.metrics", "--from", "0", "--json")
        assert found.exit_code == 0, found.output
        (row,) = json.loads(found.stdout)
        assert (row["topic"], row["left to the sink"]) == ("weir.metrics", "")
        assert row["read"] == row["inserted"] == counted(database, "SELECT count() FROM metrics")
    assert "0" in run(everything, tmp_path, "--topic", "weir.metrics", "--to", "9d").stdout
    wrong = run(everything, tmp_path, "--from", "yesterday")
    assert "is no time" in str(wrong.exception)

"""Observations exported from ClickHouse, page by page, as CSV and Parquet."""

import csv
from pathlib import Path

import polars as pl
import pytest

from streams.exporting import COLUMNS, NotExported, Wanted, export, pages
from tests.clickhouse.messages import store
from tests.clickhouse.world import T0, observation
from workers.clickhouse import Database


def fill(database: Database) -> None:
    """Store seven final accuracies of two instants, in no order, one early and one other."""
    store(
        database,
        *(observation(f"w{n}", 1_000 * (n % 2), n / 8, instance=f"i{n}") for n in (3, 1, 6, 0)),
        *(observation(f"w{n}", 1_000 * (n % 2), n / 8, instance=f"i{n}") for n in (5, 4, 2)),
        observation("early", 0, 0.5, final=False),
        observation("other", 0, 0.5, metric="latency"),
        observation("alien", 0, 0.5, app="elsewhere"),
    )


def test_every_page_size_gives_all_rows_once_in_order(database: Database, tmp_path: Path) -> None:
    fill(database)
    expected = ["w0", "w2", "w4", "w6", "w1", "w3", "w5"]
    for page in (1, 2, 7, 100):
        file = tmp_path / f"{page}.parquet"
        assert export(database, Wanted("digits", "accuracy"), file, page) == 7
        frame = pl.read_parquet(file)
        assert frame["event_id"].to_list() == expected
        assert frame.columns == list(COLUMNS)
    tables = list(pages(database, Wanted("digits", "accuracy"), 3))
    assert [table.num_rows for table in tables] == [3, 3, 1]


def test_csv_and_parquet_hold_the_same(database: Database, tmp_path: Path) -> None:
    fill(database)
    rows, file = [], tmp_path / "out.csv"
    assert export(database, Wanted("digits"), file, 3) == 8
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    export(database, Wanted("digits"), tmp_path / "out.parquet")
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert [row["event_id"] for row in rows] == frame["event_id"].to_list()
    assert [float(row["mean"]) for row in rows] == frame["mean"].to_list()
    assert frame["window_end"].dt.epoch("ms").to_list()[0] == T0 + 1_000
    assert frame["window_end"].dtype.time_zone == "UTC"  # type: ignore[attr-defined]  # Datetime
    assert not list(tmp_path.glob(".*"))


def test_times_names_and_windows_choose(database: Database, tmp_path: Path) -> None:
    fill(database)

    def ids(wanted: Wanted) -> list[str]:
        export(database, wanted, tmp_path / "some.parquet")
        return pl.read_parquet(tmp_path / "some.parquet")["event_id"].to_list()

    late = Wanted("digits", "accuracy", since_ms=T0 + 1_001)
    assert ids(late) == ["w1", "w3", "w5"]
    assert ids(Wanted("digits", "latency", until_ms=T0 + 1_001)) == ["other"]
    assert ids(Wanted("digits", until_ms=T0 + 1_000)) == []
    assert ids(Wanted("digits", window="none")) == []
    assert ids(Wanted("digits' OR 1=1 --")) == []


def test_nothing_to_export_still_has_its_columns(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "none.csv"
    assert export(database, Wanted("nobody"), file) == 0
    assert file.read_text("utf-8").replace('"', "").strip().split(",") == list(COLUMNS)


def test_a_file_that_cannot_be_is_told(database: Database, tmp_path: Path) -> None:
    with pytest.raises(NotExported, match=r"\.csv or \.parquet"):
        export(database, Wanted("a"), tmp_path / "out.xlsx")
    with pytest.raises(NotExported, match="No such file"):
        export(database, Wanted("a"), tmp_path / "nowhere" / "out.csv")
    (tmp_path / "file").touch()
    with pytest.raises(NotExported, match="Not a directory"):
        export(database, Wanted("a"), tmp_path / "file" / "out.csv")

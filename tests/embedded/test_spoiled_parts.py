"""A part that a full disk has spoiled: the server ends, and its next start loses nothing."""

import os
import time
from contextlib import closing
from pathlib import Path

import clickhouse_connect
import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from streams.embedded.refusals import QueryRefused
from streams.embedded.spoiled import spoiled_part
from tests.embedded.conftest import clickhouse_in
from workers.clickhouse import connect
from workers.errors import ClickHouseUnavailable
from workers.settings import ClickHouseSettings

PART = "/store/939/939f87bb-5b23-4b07-baee-bd83d566dc13/all_1_2_1"


def test_a_server_that_meets_one_ends_and_starts_again_with_all_rows(tmp_path: Path) -> None:
    server = clickhouse_in(tmp_path)
    server.start()
    with clickhouse_connect.get_client(host="127.0.0.1", port=server.port) as client:
        client.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
        for first in (0, 100):
            client.insert("t", [[n] for n in range(first, first + 100)], column_names=["n"])
        client.command("OPTIMIZE TABLE t FINAL")
        folder = client.command("SELECT path FROM system.parts WHERE table = 't' AND active")
        for marks in Path(str(folder)).glob("*mrk*"):
            marks.write_bytes(b"")
        client.command("SYSTEM DROP MARK CACHE")
    with (
        closing(connect(ClickHouseSettings(port=server.port, database="default"))) as database,
        pytest.raises(ClickHouseUnavailable, match="cannot read a part of its data: Empty marks"),
    ):
        database.query("SELECT sum(n) FROM t")
    assert server.process.wait(60) == 1
    server.start()
    with clickhouse_connect.get_client(host="127.0.0.1", port=server.port) as client:
        assert client.query("SELECT count(), sum(n) FROM t").first_row == (200, 19_900)
        aside = client.query("SELECT reason FROM system.detached_parts").first_row
        assert aside == ("broken-on-start",)
    server.stop()


def test_only_what_a_start_has_not_seen_yet_ends_a_server(tmp_path: Path) -> None:
    part = tmp_path / PART[1:]
    part.mkdir(parents=True)
    now = int(time.time())
    os.utime(part, (now, now))
    said = f"Code: 246. DB::Exception: Empty marks file '{part}/data.cmrk4': 0, must be: 816"
    assert spoiled_part(QueryRefused(246, said), now - 1) == part
    assert spoiled_part(QueryRefused(246, said), now + 1) is None
    assert spoiled_part(QueryRefused(243, said), now - 1) is None
    assert spoiled_part(QueryRefused(246, said.replace("939", "938")), now - 1) is None
    assert spoiled_part(QueryRefused(246, "Code: 246. nothing named"), now - 1) is None


def test_rows_that_cannot_be_held_are_refused_as_a_full_disk_is(tmp_path: Path) -> None:
    server = clickhouse_in(tmp_path)
    server.start()
    with clickhouse_connect.get_client(host="127.0.0.1", port=server.port) as client:
        client.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
        process = psutil.Process(server.process.pid)
        usual = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (0, usual[1]))
        with pytest.raises(DatabaseError, match="NOT_ENOUGH_SPACE"):
            client.insert("t", [[1]], column_names=["n"])
        process.rlimit(psutil.RLIMIT_FSIZE, usual)
        client.insert("t", [[1]], column_names=["n"])
        assert client.query("SELECT count() FROM t").first_row == (1,)
    server.stop()

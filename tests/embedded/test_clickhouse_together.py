"""Many clients of the embedded ClickHouse at a time, and what is left of them when it is killed."""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import clickhouse_connect
import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tests.embedded.conftest import Server, clickhouse_in
from tests.embedded.test_clickhouse_http import ask, wait_for

LONG = "SELECT count() FROM numbers(1000000000000) WHERE cityHash64(number) = 1"
BLOCK, LEAST = 500, 5
TABLE = "(writer UInt8, block UInt32, n UInt32) ENGINE = MergeTree ORDER BY (writer, block, n)"


@contextmanager
def asking(server: Server) -> Iterator[Client]:
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=server.port, autogenerate_session_id=False
    )
    try:
        yield client
    finally:
        client.close()


def running(server: Server, mark: str) -> int:
    sql = f"SELECT count() FROM system.processes WHERE Settings['log_comment'] = '{mark}'"
    return int(ask(server, f"?query={quote(sql)}")[1])


def sent(server: Server, query: str, mark: str) -> socket.socket:
    """Send a question, and return its connection when it runs."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST /?query_id={mark} HTTP/1.1\r\nContent-Length: {len(query)}\r\n\r\n{query}"
    connection.sendall(head.encode())
    wait_for(lambda: running(server, mark) == 1)
    return connection


def test_readers_see_whole_blocks_while_writers_write(clickhouse: Server) -> None:
    written: list[int] = []
    seen: list[int] = []
    began = time.monotonic()

    def enough() -> bool:
        both = min(len(written), len(seen)) >= LEAST
        return time.monotonic() > began + (1.2 if both else 60)

    def write(writer: int) -> None:
        with asking(clickhouse) as client:
            while not enough():
                rows = [(writer, len(written), n) for n in range(BLOCK)]
                client.insert("crowd", rows, column_names=["writer", "block", "n"])
                written.append(writer)

    def read() -> None:
        with asking(clickhouse) as client:
            before = 0
            while not enough():
                known = len(written)
                count, odd = client.query(
                    f"SELECT count(), countIf(c % {BLOCK} != 0) FROM "
                    "(SELECT count() AS c FROM crowd GROUP BY writer)"
                ).result_rows[0]
                total = client.command("SELECT count() FROM crowd")
                assert odd == 0
                assert count <= 2
                assert isinstance(total, int)
                assert total >= max(before, known * BLOCK)
                before = total
                seen.append(total)

    ask(clickhouse, body=f"CREATE OR REPLACE TABLE crowd {TABLE}".encode())
    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(write, 0), pool.submit(write, 1), *(pool.submit(read) for _ in "1234")]
        for done in work:
            done.result(120)
    assert int(ask(clickhouse, "?query=SELECT+count()+FROM+crowd")[1]) == len(written) * BLOCK
    assert min(len(written), len(seen)) >= LEAST


def test_inserts_do_not_wait_for_a_slow_reader(clickhouse: Server) -> None:
    ask(clickhouse, body=f"CREATE OR REPLACE TABLE beside {TABLE}".encode())
    with sent(clickhouse, LONG, "slow-reader"):
        for block in range(10):
            status, _, _ = ask(clickhouse, body=b"INSERT INTO beside VALUES (0, %d, 0)" % block)
            assert status == 200
        assert running(clickhouse, "slow-reader") == 1
    assert ask(clickhouse, "?query=SELECT+count()+FROM+beside")[1] == b"10\n"


def test_a_reader_that_goes_away_takes_its_query_along(clickhouse: Server) -> None:
    sent(clickhouse, LONG, "left").close()
    wait_for(lambda: running(clickhouse, "left") == 0)


def test_a_stream_that_is_left_takes_its_query_along(clickhouse: Server) -> None:
    query = "SELECT * FROM numbers(1000000000000) FORMAT TSV"
    connection = sent(clickhouse, query, "left-stream")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    connection.close()
    wait_for(lambda: running(clickhouse, "left-stream") == 0)


def test_an_insert_goes_on_without_its_client(clickhouse: Server) -> None:
    ask(clickhouse, body=f"CREATE OR REPLACE TABLE alone {TABLE}".encode())
    query = "INSERT INTO alone SELECT 0, sleepEachRow(0.2), number FROM numbers(4)"
    sent(clickhouse, query, "alone").close()
    wait_for(lambda: ask(clickhouse, "?query=SELECT+count()+FROM+alone")[1] == b"4\n")


def test_an_id_runs_once_at_a_time(clickhouse: Server) -> None:
    with sent(clickhouse, LONG, "twice"):
        found = ask(clickhouse, "?query=SELECT+1&query_id=twice")
    assert (found[0], found[2]["X-ClickHouse-Exception-Code"]) == (500, "216")
    wait_for(lambda: running(clickhouse, "twice") == 0)
    assert ask(clickhouse, "?query=SELECT+1&query_id=twice")[0] == 200


class _Writer:
    """Inserts numbered blocks until its server is gone; knows which were acknowledged."""

    def __init__(self, server: Server, number: int, seed: int) -> None:
        self._random = random.Random(seed * 10 + number)
        self._server = server
        self._number = number
        self.acknowledged: dict[int, int] = {}
        self.open: dict[int, int] = {}
        self.tables: set[str] = set()

    def run(self) -> None:
        try:
            with asking(self._server) as client:
                while True:
                    self._insert(client)
        except ClickHouseError:
            return

    def _insert(self, client: Client) -> None:
        block = len(self.acknowledged) + len(self.open)
        size = self._random.choice((1, 100, 10_000))
        self.open[block] = size
        rows = [(self._number, block, n) for n in range(size)]
        client.insert("kept", rows, column_names=["writer", "block", "n"])
        self.acknowledged[block] = self.open.pop(block)
        if self._random.random() < 0.2:
            name = f"made_{self._number}_{block}"
            client.command(f"CREATE TABLE {name} {TABLE}")
            self.tables.add(name)


def _kill_while_it_writes(server: Server, number: int, moments: random.Random) -> list[_Writer]:
    writers = [_Writer(server, 2 * number + k, moments.randrange(1 << 30)) for k in (0, 1)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    wait_for(lambda: all(writer.acknowledged for writer in writers))
    time.sleep(moments.uniform(0, 0.4))
    server.kill()
    for thread in threads:
        thread.join(60)
    return writers


def _check(server: Server, writers: list[_Writer]) -> None:
    with asking(server) as client:
        sql = "SELECT writer, block, count() FROM kept GROUP BY writer, block"
        found = {(w, b): size for w, b, size in client.query(sql).result_rows}
        tables = {name for (name,) in client.query("SHOW TABLES").result_rows}
    for number, writer in enumerate(writers):
        for block, size in writer.acknowledged.items():
            assert found.pop((number, block)) == size, "an acknowledged insert is lost"
        for block, size in writer.open.items():
            assert found.pop((number, block), size) == size, "half an insert is left"
        assert writer.tables <= tables
    assert not found


def _survive(folder: Path, seed: int, times: int) -> None:
    moments = random.Random(seed)
    server = clickhouse_in(folder)
    server.start()
    ask(server, body=f"CREATE TABLE kept {TABLE}".encode())
    writers: list[_Writer] = []
    for number in range(times):
        writers += _kill_while_it_writes(server, number, moments)
        server.start()
        _check(server, writers)
    server.stop()
    assert server.process.returncode == 0


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    _survive(tmp_path, seed=7, times=2)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(5))
def test_what_was_acknowledged_survives_many_kills(
    tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("seed", seed)
    _survive(tmp_path, seed, times=10)

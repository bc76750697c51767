"""What the sink does while ClickHouse is full, away, silent, or refuses a row."""

import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import FileIO
from pathlib import Path

import pytest

from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from tests.clickhouse.proxy import Harm, Proxy, proxied
from tests.clickhouse.sinking import QUICK, asking, counted, eventually, metrics, send, sinking
from workers.clickhouse import Database
from workers.errors import TooManyBad
from workers.settings import Settings
from workers.sinking.sink import run

IMPATIENT = replace(QUICK, silence_ms=150)
COUNTS = "SELECT count() FROM metrics FINAL WHERE app = '{}'"


@pytest.fixture
def proxy(everything: Settings) -> Iterator[Proxy]:
    with proxied(everything.clickhouse.port) as started:
        yield started


def behind(proxy: Proxy, settings: Settings) -> Settings:
    """Return settings of a sink that reaches ClickHouse through a proxy."""
    update = {"clickhouse": settings.clickhouse.model_copy(update={"port": proxy.port})}
    return settings.model_copy(update=update)


def is_stored(database: Database, app: str, count: int) -> bool:
    return eventually(lambda: counted(database, COUNTS.format(app)) == count)


def answer(port: int, path: str = "/ready") -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@contextmanager
def process(settings: Settings, log: Path) -> Iterator[int]:
    """Run `weir run sink`, and yield where it serves /ready."""
    port = free_port()
    command = [sys.executable, "-m", "streams.cli", "run", "sink", "--health-port", str(port)]
    running = launch(command, log, settings.environment())
    try:
        wait_until(lambda: listens(port), running, "sink", log, 60)
        yield port
    finally:
        stop(running, 60)
    assert running.returncode == 0


def test_a_full_disk_is_waited_out_in_quiet(
    everything: Settings, proxy: Proxy, tmp_path: Path
) -> None:
    log = tmp_path / "sink.log"
    with process(behind(proxy, everything), log) as port, asking(everything) as database:
        assert eventually(lambda: answer(port) == 200, 30)
        send(everything, *metrics("full", 50))
        assert is_stored(database, "full", 50)
        proxy.set(Harm.FULL)
        send(everything, *metrics("full", 30))
        assert eventually(lambda: answer(port) == 503)
        assert answer(port, "/live") == 200
        assert eventually(lambda: proxy.harmed >= 3)
        proxy.set(Harm.NONE)
        assert is_stored(database, "full", 80)
        assert eventually(lambda: answer(port) == 200)
    lines = log.read_text().splitlines()
    waits = [line for line in lines if "sink.waits" in line]
    assert len(waits) == 1, waits
    assert "not enough space" in waits[0]
    assert sum("sink.goes-on" in line for line in lines) == 1
    assert not [line for line in lines if "urllib3" in line or "Retry" in line]


def test_what_was_stored_just_before_the_disk_was_full_is_stored_again(
    everything: Settings, proxy: Proxy
) -> None:
    with sinking(behind(proxy, everything)) as ready, asking(everything) as database:
        assert ready.wait(60)
        proxy.set(Harm.SPOILED)
        send(everything, *metrics("spoiled", 20))
        assert eventually(lambda: proxy.harmed >= 1)
        proxy.set(Harm.FULL)
        send(everything, *(replace(metric, service="later") for metric in metrics("spoiled", 5)))
        assert eventually(lambda: not ready.is_set())
        assert counted(database, COUNTS.format("spoiled")) == 0
        proxy.set(Harm.NONE)
        assert is_stored(database, "spoiled", 25)


def test_silence_is_told_and_outlasted(everything: Settings, proxy: Proxy) -> None:
    sink = behind(proxy, everything)
    with sinking(sink, IMPATIENT) as ready, asking(everything) as database:
        assert ready.wait(60)
        proxy.set(Harm.SILENT)
        send(everything, *metrics("silent", 20))
        assert eventually(lambda: not ready.is_set())
        proxy.set(Harm.NONE)
        assert is_stored(database, "silent", 20)
        assert eventually(ready.is_set)


def test_an_answer_that_is_lost_doubles_nothing(everything: Settings, proxy: Proxy) -> None:
    with sinking(behind(proxy, everything)) as ready, asking(everything) as database:
        assert ready.wait(60)
        proxy.set(Harm.LOST)
        send(everything, *metrics("lost", 20))
        assert eventually(lambda: proxy.harmed >= 2)
        proxy.set(Harm.NONE)
        assert eventually(ready.is_set)
        assert is_stored(database, "lost", 20)


def test_a_row_that_clickhouse_refuses_is_a_dead_letter(everything: Settings, proxy: Proxy) -> None:
    proxy.set(Harm.PICKY)
    bad = [replace(metric, unit="poison") for metric in metrics("refused", 3)]
    with sinking(behind(proxy, everything)) as ready, asking(everything) as database:
        assert ready.wait(60)
        send(everything, *metrics("refused", 20), *bad, *metrics("refused", 5))
        assert is_stored(database, "refused", 25)
        letters = "FROM dead_letters FINAL WHERE error = 'refused-by-clickhouse'"
        assert eventually(lambda: counted(database, f"SELECT count() {letters}") == 3)
        found = database.query(f"SELECT topic, processor, message {letters}").rows[0]
        assert found[:2] == ("weir.metrics", "sink")
        assert "table metrics: Constraint `no_poison` is violated" in found[2]
        tries = proxy.harmed
        send(everything, *metrics("later", 10))
        assert is_stored(database, "later", 10)
        assert proxy.harmed == tries
        assert ready.is_set()


@pytest.mark.faults
def test_a_table_that_refuses_most_rows_stops_the_sink(everything: Settings, proxy: Proxy) -> None:
    proxy.set(Harm.PICKY)
    sink, ended = behind(proxy, everything), threading.Event()
    send(everything, *(replace(metric, unit="poison") for metric in metrics("hopeless", 1200)))
    with pytest.raises(TooManyBad, match="sink: 501 of"):
        run(sink, ended, QUICK)


def _mounts() -> bool:
    command = ["unshare", "-rm", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, check=False).returncode == 0


@pytest.mark.faults
@pytest.mark.skipif(not _mounts(), reason="no namespace of its own for a small disk (unshare -rm)")
def test_a_disk_that_is_really_full(everything: Settings, tmp_path: Path) -> None:
    disk, port, log = tmp_path / "disk", free_port(), tmp_path / "server.log"
    disk.mkdir()
    server = f"{sys.executable} -m streams.embedded.clickhouse --port {port} --path {disk}/data"
    mounting = f"mount -t tmpfs -o size=48m tmpfs {disk} && exec {server}"
    running = launch(["unshare", "-rm", "sh", "-c", mounting], log)
    update = {"clickhouse": everything.clickhouse.model_copy(update={"port": port})}
    small = everything.model_copy(update=update)
    try:
        wait_until(lambda: listens(port), running, "clickhouse", log, 60)
        with sinking(small) as ready, asking(small) as database:
            assert ready.wait(60)
            send(everything, *metrics("disk", 50))
            assert is_stored(database, "disk", 50)
            filler = Path(f"/proc/{running.pid}/root{disk}/filler")
            _fill(filler)
            send(everything, *metrics("disk", 2_000))
            assert eventually(lambda: not ready.is_set(), 30)
            filler.unlink()
            assert eventually(ready.is_set, 30)
            assert eventually(lambda: counted(database, COUNTS.format("disk")) == 2_050, 60)
    finally:
        stop(running, 60)


def _fill(filler: Path) -> None:
    """Write a file until the disk is full."""
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        _write_on(file)


def _write_on(file: FileIO) -> None:
    while file.write(bytes(65_536)):
        pass

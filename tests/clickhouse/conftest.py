"""One ClickHouse for all tests here, a database of its own for each that asks."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from workers.clickhouse import Database, connect
from workers.settings import ClickHouseSettings
from workers.sink_migrations import migrate

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    folder: Path = tmp_path_factory.mktemp("clickhouse")
    port, log = free_port(), folder / "server.log"
    module = [sys.executable, "-m", "streams.embedded.clickhouse"]
    process = launch([*module, "--port", str(port), "--path", str(folder / "data")], log)
    try:
        wait_until(lambda: listens(port), process, "clickhouse", log, 30)
        yield ClickHouseSettings(port=port)
    finally:
        stop(process, 5)


@pytest.fixture
def settings(server: ClickHouseSettings) -> ClickHouseSettings:
    return server.model_copy(update={"database": f"weir_{next(_NUMBERS)}"})


@pytest.fixture(scope="session")
def shared(server: ClickHouseSettings) -> Iterator[Database]:
    """A database for tests that look at tables which no other of them uses."""
    opened = connect(server.model_copy(update={"database": "weir_shared"}))
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def database(settings: ClickHouseSettings) -> Iterator[Database]:
    opened = connect(settings)
    migrate(opened)
    yield opened
    opened.close()

"""One ClickHouse for all tests here, a database of its own for each that asks."""

import itertools
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from tests.clickhouse.parts import kafka_with_registry, migrated
from workers.clickhouse import Database, connect
from workers.settings import ClickHouseSettings, KafkaSettings, RegistrySettings, Settings

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    folder: Path = tmp_path_factory.mktemp("clickhouse")
    port, log = free_port(), folder / "server.log"
    module = [sys.executable, "-m", "streams.embedded.clickhouse"]
    process = launch([*module, "--port", str(port), "--path", str(folder / "data")], log)
    try:
        wait_until(lambda: listens(port), process, "clickhouse", log, 60)
        yield ClickHouseSettings(port=port)
    finally:
        stop(process, 60)


@pytest.fixture(scope="package")
def shared(server: ClickHouseSettings) -> Iterator[Database]:
    """A migrated database that tests fill, each a table of its own."""
    yield from migrated(server, "weir_shared")


@pytest.fixture(scope="package")
def reused(server: ClickHouseSettings) -> Iterator[Database]:
    """The database behind `database`."""
    yield from migrated(server, "weir_reused")


@pytest.fixture
def database(reused: Database) -> Database:
    """A migrated database without rows; what stands in it after the test is removed."""
    filled = "SELECT name FROM system.tables WHERE database = {base:String} AND total_rows > 0"
    for (name,) in reused.query(filled, {"base": reused.name}).rows:
        if name != "migrations":
            reused.execute(f"TRUNCATE TABLE `{name}`")
    return reused


@pytest.fixture
def commands(
    server: ClickHouseSettings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CliRunner:
    """Run `weir` on `database`, with wide tables."""
    monkeypatch.setenv("WEIR_CLICKHOUSE__PORT", str(server.port))
    monkeypatch.setenv("WEIR_CLICKHOUSE__DATABASE", database.name)
    monkeypatch.setenv("WEIR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    return CliRunner()


@pytest.fixture
def settings(server: ClickHouseSettings) -> Iterator[ClickHouseSettings]:
    """Settings of a database that is not there yet, and not any more: idle tables cost time."""
    name = f"weir_{next(_NUMBERS)}"
    yield server.model_copy(update={"database": name})
    with closing(connect(server.model_copy(update={"database": "default"}))) as database:
        database.execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def own(settings: ClickHouseSettings) -> Iterator[Database]:
    """A migrated database whose tables a test may change."""
    yield from migrated(settings, settings.database)


@pytest.fixture(scope="module")
def kafka_and_registry(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[KafkaSettings, RegistrySettings]]:
    """A broker of the file's own: its tests count what stands in whole topics."""
    with kafka_with_registry(tmp_path_factory.mktemp("kafka")) as reached:
        yield reached


@pytest.fixture
def everything(
    kafka_and_registry: tuple[KafkaSettings, RegistrySettings], settings: ClickHouseSettings
) -> Settings:
    bootstrap, registry = kafka_and_registry
    return Settings(kafka=bootstrap, registry=registry, clickhouse=settings)

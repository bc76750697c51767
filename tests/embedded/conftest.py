"""Servers that several tests ask, each started once."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from schemas.topics import TOPICS
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import KafkaSettings, RegistrySettings, Settings


@dataclass
class Server:
    """A server process on a port of its own."""

    module: str
    arguments: tuple[str, ...]
    log: Path
    port: int = 0

    def start(self, **environment: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", self.module, "--port", str(self.port), *self.arguments]
        self.process = launch(command, self.log, environment)
        wait_until(lambda: listens(self.port), self.process, self.module, self.log, 60)

    def stop(self) -> None:
        stop(self.process, 60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def clickhouse_in(folder: Path) -> Server:
    arguments = ("--path", str(folder / "clickhouse"))
    return Server("streams.embedded.clickhouse", arguments, folder / "clickhouse.log")


@pytest.fixture(scope="package")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = clickhouse_in(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()
    assert server.process.returncode == 0


@contextmanager
def installed(folder: Path) -> Iterator[Settings]:
    """Run a broker and a registry with all topics and contracts, and no process of Weir."""
    server = Server("streams.embedded.registry", (), folder / "registry.log")
    with Broker(folder / "broker.log") as broker:
        server.start(WEIR_KAFKA__BOOTSTRAP=broker.bootstrap)
        settings = Settings(
            kafka=KafkaSettings(bootstrap=broker.bootstrap, isolation="read_uncommitted"),
            registry=RegistrySettings(url=f"http://127.0.0.1:{server.port}"),
            data_dir=folder,
        )
        kafka.create_topics(settings.kafka, TOPICS.values())
        schemas = Registry(settings.registry)
        schemas.register_all()
        schemas.close()
        yield settings
        server.stop()


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker") / "broker.log") as started:
        yield started


@pytest.fixture(scope="package")
def registry(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("registry") / "registry.log"
    server = Server("streams.embedded.registry", (), log)
    server.start(WEIR_KAFKA__BOOTSTRAP=broker.bootstrap)
    yield server
    server.stop()
    assert server.process.returncode == 0


@pytest.fixture
def url(registry: Server) -> str:
    return f"http://127.0.0.1:{registry.port}"


@pytest.fixture
def client(url: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": url}) as made:
        yield made

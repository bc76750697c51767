"""A broker with a registry that knows every schema, and every topic; migrated databases."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from schemas.topics import TOPICS
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from workers.clickhouse import Database, connect
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import ClickHouseSettings, KafkaSettings, RegistrySettings, Settings
from workers.sinking.migrations import migrate


@contextmanager
def kafka_with_registry(folder: Path) -> Iterator[tuple[KafkaSettings, RegistrySettings]]:
    """Run both while the block runs; logs go to the folder."""
    with Broker(folder / "broker.log") as broker:
        bootstrap = KafkaSettings(bootstrap=broker.bootstrap)
        port, log = free_port(), folder / "registry.log"
        registry = RegistrySettings(url=f"http://127.0.0.1:{port}")
        process = launch(
            [sys.executable, "-m", "streams.embedded.registry", "--port", str(port)],
            log,
            Settings(kafka=bootstrap, registry=registry).environment(),
        )
        try:
            wait_until(lambda: listens(port), process, "registry", log, 60)
            kafka.create_topics(bootstrap, TOPICS.values())
            with closing(Registry(registry)) as client:
                client.register_all()
            yield bootstrap, registry
        finally:
            stop(process, 60)


def migrated(server: ClickHouseSettings, name: str) -> Iterator[Database]:
    """Yield a database with today's tables, and close it."""
    with closing(connect(server.model_copy(update={"database": name}))) as opened:
        migrate(opened)
        yield opened

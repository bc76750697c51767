"""Metric events on Kafka to observations with exact quantiles, against reading them and no more."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from schemas import codec
from schemas.observing import MetricReport
from schemas.topics import TOPICS, key_of
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from tests.bench.measure import Row, child_rate
from tests.bench.metrics import START_MS, reports
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import KafkaSettings, RegistrySettings

EVENTS = 400_000


def rows() -> Iterator[Row]:
    """Measure and yield the lines of the report."""
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "broker.log") as broker:
        settings = KafkaSettings(bootstrap=broker.bootstrap)
        kafka.create_topics(settings, TOPICS.values())
        port, log = free_port(), Path(folder) / "registry.log"
        command = [sys.executable, "-m", "streams.embedded.registry", "--port", str(port)]
        registry = launch(command, log, {"WEIR_KAFKA__BOOTSTRAP": broker.bootstrap})
        wait_until(lambda: listens(port), registry, "the registry", log, 30)
        url = f"http://127.0.0.1:{port}"
        try:
            with closing(Registry(RegistrySettings(url=url))) as client:
                _fill(settings, client.register_all()[MetricReport])
            count = str(EVENTS)
            theirs = child_rate("tests.bench.raw_reader", broker.bootstrap, count, count=EVENTS)
            ours = child_rate("tests.bench.observing", broker.bootstrap, url, count, count=EVENTS)
        finally:
            stop(registry, grace_s=10)
    yield Row("observe, end to end", ours, "raw consumer", theirs, 0.5)


def _fill(settings: KafkaSettings, schema_id: int) -> None:
    """Put the events on weir.metrics, under the key of their series."""
    producer = kafka.producer(settings, linger_ms=50)
    for report in reports(EVENTS):
        key, value = key_of(report), codec.frame(schema_id, codec.pack(report))
        while True:
            try:
                producer.produce("weir.metrics", value, key=key, timestamp=START_MS)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise RuntimeError("the broker did not take all events")

"""A probe on a real client, while broker and registry come late and the broker stands still."""

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from schemas.observing import MetricReport
from schemas.registrations import InstanceReported
from schemas.topics import TOPICS
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from tests.unit.workers.probe_world import until
from workers.kafka import clients as kafka
from workers.kafka.reading import read_all
from workers.probe import Probe
from workers.registry import Registry
from workers.settings import Identity, KafkaSettings, RegistrySettings, Settings

STILL_S = 8.0


@pytest.mark.faults
def test_what_was_told_before_and_meanwhile_arrives_once(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker.log", port=free_port())
    port = free_port()
    settings = Settings(
        kafka=KafkaSettings(bootstrap=broker.bootstrap),
        registry=RegistrySettings(url=f"http://127.0.0.1:{port}"),
        identity=Identity(app="shop", instance="i"),
    )
    probe = Probe(settings)
    for number in range(500):
        probe.report("early", float(number))
    command = [sys.executable, "-m", "streams.embedded.registry", "--port", str(port)]
    with broker:
        log = tmp_path / "registry.log"
        process = launch(command, log, {"WEIR_KAFKA__BOOTSTRAP": broker.bootstrap})
        try:
            wait_until(lambda: listens(port), process, "the registry", log, 60)
            kafka.create_topics(settings.kafka, TOPICS.values())
            registry = Registry(settings.registry)
            registry.register_all((MetricReport, InstanceReported))
            until(lambda: probe.sent == 500, 30)
            told = _while_it_stands_still(broker, probe)
            probe.close(30)
            codec = registry.codec()
            values = [m.value() or b"" for m in read_all(settings.kafka, ["weir.metrics"])]
            found = [codec.decode(value, MetricReport) for value in values]
            registry.close()
        finally:
            stop(process, 60)
    assert Counter(event.metric for event in found) == {"early": 500, "meanwhile": told}
    assert len({(event.metric, event.value) for event in found}) == 500 + told
    assert probe.dropped == 0


def _while_it_stands_still(broker: Broker, probe: Probe) -> int:
    """Report while the broker is stopped; return how much."""
    told, until_s = 0, time.monotonic() + STILL_S
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        while time.monotonic() < until_s:
            probe.report("meanwhile", float(told))
            told += 1
            time.sleep(0.002)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    return told

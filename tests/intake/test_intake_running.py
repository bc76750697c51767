"""The intake as a process: what it refuses to start with, and what it does without Kafka."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from schemas.observing import MetricReport
from schemas.topics import TOPICS
from streams.commands.intake import _targets
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from streams.errors import SettingsError
from workers.errors import HostStopped
from workers.intake.running import Intake
from workers.intake.scraping import NoApplication
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.registry import Registry
from workers.settings import (
    IntakeSettings,
    KafkaSettings,
    RegistrySettings,
    Settings,
    TargetSection,
)


def settings(**intake: object) -> Settings:
    nowhere = free_port()
    return Settings(
        kafka=KafkaSettings(bootstrap=f"127.0.0.1:{nowhere}"),
        registry=RegistrySettings(url=f"http://127.0.0.1:{nowhere}"),
        intake=IntakeSettings(**intake),  # type: ignore[arg-type]  # any setting
    )


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HostStopped, match=f"127.0.0.1:{port}.*--port"):
            Intake(settings(port=port, answer_s=0.1)).run(threading.Event())


def test_a_target_without_application_is_told() -> None:
    target = TargetSection(url="http://127.0.0.1:1/metrics")
    with pytest.raises(NoApplication, match="names no application"):
        Intake(settings(port=0, targets=(target,), answer_s=0.1)).run(threading.Event())


def test_without_kafka_it_lives_is_not_ready_and_lets_go() -> None:
    made, over = Intake(settings(port=0, answer_s=0.1)), threading.Event()
    thread = threading.Thread(target=made.run, args=(over,))
    thread.start()
    while not made.port:
        time.sleep(0.01)
    answer = requests.post(f"http://127.0.0.1:{made.port}/v1/metrics", timeout=60)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert made.live
    assert not made.ready
    over.set()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("url", "every", "why"),
    [
        ("h:9100", "5s", "write http://host:port"),
        ("http://h/m", "soon", "no duration"),
        ("http://h/m", "0s", "no duration"),
        ("http://h/m", "0.01s", "greater than or equal to 0.1"),
    ],
)
def test_wrong_targets_on_the_command_line_are_told(url: str, every: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        _targets([url], every)
    (target,) = _targets(["http://h/m#app=a"], "1min")
    assert (target.every_s, target.labels) == (60.0, {"app": "a"})


@contextmanager
def registry(bootstrap: str, folder: Path) -> Iterator[str]:
    port, log = free_port(), folder / "registry.log"
    command = [sys.executable, "-m", "streams.embedded.registry", "--port", str(port)]
    process = launch(command, log, {"WEIR_KAFKA__BOOTSTRAP": bootstrap})
    wait_until(lambda: listens(port), process, "registry", log, 60)
    yield f"http://127.0.0.1:{port}"
    stop(process, 60)


@contextmanager
def intake(
    environment: dict[str, str], folder: Path, port: int, health: int, *, killed: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `weir intake run` for the block, and end it, unless it is killed therein."""
    weir = Path(sys.executable).with_name("weir")
    command = [str(weir), "intake", "run", "--port", str(port), "--health-port", str(health)]
    log = folder / "intake.log"
    process = launch(command, log, environment)
    wait_until(lambda: listens(health) and _ready(health), process, "intake", log, 60)
    yield process
    if not killed:
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == (-signal.SIGKILL if killed else 0)


def _ready(port: int) -> bool:
    return requests.get(f"http://127.0.0.1:{port}/ready", timeout=60).status_code == 200


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[KafkaSettings, Registry, dict[str, str]]]:
    """A broker with topics, a registry with contracts, and the variables that name both."""
    with Broker(folder / "broker.log") as broker, registry(broker.bootstrap, folder) as url:
        reached = KafkaSettings(bootstrap=broker.bootstrap)
        kafka.create_topics(reached, [t for t in TOPICS.values() if t.name != "weir.snapshots"])
        contracts = Registry(RegistrySettings(url=url))
        contracts.register_all()
        environment = {"WEIR_KAFKA__BOOTSTRAP": broker.bootstrap, "WEIR_REGISTRY__URL": url}
        yield reached, contracts, environment
        contracts.close()


def values(reached: KafkaSettings, contracts: Registry) -> list[float]:
    codec = contracts.codec()
    return [
        codec.decode(message.value() or b"", MetricReport).value
        for message in kafka_reading.read_all(reached, ["weir.metrics"])
    ]


@pytest.mark.faults
def test_a_process_takes_what_a_real_exporter_sends_and_counts_it(tmp_path: Path) -> None:
    with cluster(tmp_path) as (reached, contracts, environment):
        port, health = free_port(), free_port()
        with intake(environment, tmp_path, port, health):
            exporter = OTLPMetricExporter(f"http://127.0.0.1:{port}/v1/metrics")
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
            resource = Resource.create({"service.namespace": "shop", "service.name": "d"})
            provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
            counter = provider.get_meter("test").create_counter("reqs")
            for more in (5, 3):
                counter.add(more)
                assert provider.force_flush()
            counted = requests.get(f"http://127.0.0.1:{health}/metrics", timeout=60).text
            assert 'weir_intake_events_total{source="otlp-metrics"} 2.0' in counted
            provider.shutdown()
        assert values(reached, contracts) == [5.0, 3.0, 0.0]


def body(number: int) -> bytes:
    point = {"asDouble": number, "timeUnixNano": "5"}
    metric = {"name": "m", "gauge": {"dataPoints": [point]}}
    who = [{"key": "service.name", "value": {"stringValue": "d"}}]
    resource = {"resource": {"attributes": who}, "scopeMetrics": [{"metrics": [metric]}]}
    return json.dumps({"resourceMetrics": [resource]}).encode()


def send(port: int, first: int, taken: list[int]) -> None:
    """Send one number after the other until nobody answers; note those that were taken."""
    with requests.Session() as session:
        for number in range(first, first + 100_000):
            try:
                answer = session.post(
                    f"http://127.0.0.1:{port}/v1/metrics",
                    data=body(number),
                    headers={"Content-Type": "application/json"},
                    timeout=10,
                )
            except requests.RequestException:
                return
            if answer.ok:
                taken.append(number)


@pytest.mark.faults
def test_what_was_answered_is_in_kafka_whenever_the_intake_is_killed(tmp_path: Path) -> None:
    taken: list[int] = []
    with cluster(tmp_path) as (reached, contracts, environment):
        for turn in range(5):
            port, health = free_port(), free_port()
            with intake(environment, tmp_path, port, health, killed=True) as process:
                senders = [
                    threading.Thread(target=send, args=(port, 10**6 * (4 * turn + n), taken))
                    for n in range(4)
                ]
                for sender in senders:
                    sender.start()
                before = len(taken)
                while len(taken) < before + 50 * (turn + 1):
                    time.sleep(0.001)
                process.kill()
                for sender in senders:
                    sender.join(60)
        assert len(taken) > 750
        assert set(taken) <= set(values(reached, contracts))

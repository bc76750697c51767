"""A worker whose broker is taken away and brought back, while local callers ask it."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from schemas.inference import InferenceResult
from schemas.topics import TOPICS
from streams.embedded.apache import Apache
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port
from tests.broker.cluster import kafka_or_skip
from tests.embedded.conftest import Server
from tests.embedded.worker_world import Surroundings, placement, service, task, until
from tests.unit.workers.tiny_models import classifier
from workers.kafka import clients as kafka
from workers.kafka.reading import read_all

AWAY_S = 12.0


@dataclass
class Callers:
    """One local caller that asks every 20 ms, and what it was told."""

    port: int
    answered: list[str] = field(default_factory=list)
    refused: list[tuple[int, Any]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Callers":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.02):
            status, told = ask(self.port, number % 3)
            number += 1
            if status == 200:
                self.answered.append(told["parameters"]["request_id"])
            else:
                self.refused.append((status, told))


def ask(port: int, largest: int) -> tuple[int, dict[str, Any]]:
    """Ask for the largest of three numbers, and return the status and what was told."""
    values = [5.0 if n == largest else 0.0 for n in range(3)]
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": values}
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        link.request("POST", "/v2/models/sharp/infer", json.dumps({"inputs": [tensor]}))
        answer = link.getresponse()
        told = json.loads(answer.read())
    finally:
        link.close()
    if answer.status == 200:
        assert told["outputs"][0]["data"] == [largest]
    return answer.status, told


def served(port: int) -> bool:
    try:
        return ask(port, 0)[0] == 200
    except OSError:
        return False


def results_of(world: Surroundings, worker: str) -> list[InferenceResult]:
    """Return all results of a worker in the topic, partition by partition."""
    values = [m.value() or b"" for m in read_all(world.settings.kafka, ["weir.results"])]
    found = [world.codec.decode(value, InferenceResult) for value in values]
    return [result for result in found if result.worker == worker]


def all_there_once_and_in_order(world: Surroundings, worker: str, asked: set[str]) -> None:
    """Check what ClickHouse would hold: every request, one result per event id, times in order."""
    until(lambda: asked <= {r.request_id for r in results_of(world, worker)}, 40)
    found = results_of(world, worker)
    one = {result.event_id: result for result in found}
    of_asked = [result for result in one.values() if result.request_id in asked]
    assert len(of_asked) == len(asked), "none is there under two ids"
    assert {result.status for result in of_asked} == {"ok"}
    same = [one[result.event_id] == result for result in found]
    assert all(same), "what is there twice says the same"
    by_partition: dict[int, dict[str, int]] = {}
    for message in read_all(world.settings.kafka, ["weir.results"]):
        result = world.codec.decode(message.value() or b"", InferenceResult)
        if result.request_id in asked:
            first = by_partition.setdefault(int(message.partition() or 0), {})
            first.setdefault(result.event_id, result.finished_at)
    for times in by_partition.values():
        assert list(times.values()) == sorted(times.values())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return classifier(tmp_path / "sharp.onnx", 2.0)


@pytest.fixture
def apache_alone(tmp_path: Path) -> Iterator[Apache]:
    with kafka_or_skip(tmp_path / "kafka") as cluster:
        yield cluster


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_apache_taken_away_and_brought_back(
    apache_alone: Apache, model: Path, tmp_path: Path
) -> None:
    world, port = surroundings(apache_alone.bootstrap, tmp_path, model)
    registry = world[1]
    try:
        _cut_and_back(world[0], port, apache_alone)
    finally:
        world[0].close()
        registry.stop()


def surroundings(
    bootstrap: str, folder: Path, model: Path
) -> tuple[tuple[Surroundings, Server], int]:
    registry = Server("streams.embedded.registry", (), folder / "registry.log")
    registry.start(WEIR_KAFKA__BOOTSTRAP=bootstrap)
    world = Surroundings(bootstrap, f"http://127.0.0.1:{registry.port}", folder)
    world.send(service("sharp", model), placement("sharp", "edge"))
    return (world, registry), free_port()


def _cut_and_back(world: Surroundings, port: int, cluster: Apache) -> None:
    process = world.worker("edge", "edge-1", WEIR_LOCAL_CALLS__PORT=str(port))
    until(lambda: world.health("sharp.edge", "edge-1") == "ready", 40)
    until(lambda: served(port))
    tasks = [task(n, "sharp", "edge-1", "edge") for n in range(20)]
    world.send(*tasks)
    world.await_results("edge-1", tasks)
    with Callers(port) as callers:
        until(lambda: len(callers.answered) > 20)
        os.kill(cluster.pid, signal.SIGSTOP)
        stopped = len(callers.answered)
        try:
            time.sleep(AWAY_S)
        finally:
            os.kill(cluster.pid, signal.SIGCONT)
        meanwhile = len(callers.answered) - stopped
        assert meanwhile > AWAY_S / 0.02 * 0.4, "they are answered as if nothing had happened"
        until(lambda: "worker.back" in log_of(world, "edge-1"), 40)
        time.sleep(1.0)
    assert callers.refused == []
    log = log_of(world, "edge-1")
    assert (log.count("worker.cut_off"), log.count("worker.back")) == (1, 1)
    all_there_once_and_in_order(world, "edge-1", set(callers.answered))
    more = [task(n, "sharp", "edge-1", "edge") for n in range(100, 120)]
    world.send(*more)
    world.await_results("edge-1", more)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def log_of(world: Surroundings, worker: str) -> str:
    return (world.logs / f"{worker}.log").read_text("utf-8")


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_killed_and_started_again_without_a_broker_it_serves_and_loses_nothing(
    apache_alone: Apache, model: Path, tmp_path: Path
) -> None:
    (world, registry), port = surroundings(apache_alone.bootstrap, tmp_path, model)
    try:
        first = world.worker("edge", "edge-1", WEIR_LOCAL_CALLS__PORT=str(port))
        until(lambda: served(port), 40)
        asked = [ask(port, n % 3)[1]["parameters"]["request_id"] for n in range(30)]
        os.kill(apache_alone.pid, signal.SIGSTOP)
        asked += [ask(port, n % 3)[1]["parameters"]["request_id"] for n in range(30)]
        first.kill()
        first.wait()
        second = world.worker("edge", "edge-1", WEIR_LOCAL_CALLS__PORT=str(port))
        until(lambda: served(port), 30)
        asked += [ask(port, n % 3)[1]["parameters"]["request_id"] for n in range(30)]
        assert second.poll() is None
        os.kill(apache_alone.pid, signal.SIGCONT)
        all_there_once_and_in_order(world, "edge-1", set(asked))
        until(lambda: world.health("sharp.edge", "edge-1") == "ready", 40)
    finally:
        os.kill(apache_alone.pid, signal.SIGCONT)
        world.close()
        registry.stop()


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_another_cluster_comes_back_in_its_place(model: Path, tmp_path: Path) -> None:
    broker_port = free_port()
    with Broker(tmp_path / "first.log", port=broker_port) as broker:
        (world, registry), port = surroundings(broker.bootstrap, tmp_path, model)
        world.worker("edge", "edge-1", WEIR_LOCAL_CALLS__PORT=str(port))
        until(lambda: served(port), 40)
        world.await_results("edge-1", _sent(world, range(10)))
        os.kill(broker.pid, signal.SIGKILL)
        registry.kill()
        until(lambda: "worker.cut_off" in log_of(world, "edge-1"), 30)
        asked = {ask(port, n % 3)[1]["parameters"]["request_id"] for n in range(30)}
    with Broker(tmp_path / "second.log", port=broker_port):
        again = _registry_at(registry.port, world.settings.kafka.bootstrap, tmp_path)
        kafka.create_topics(world.settings.kafka, TOPICS.values())
        other = Surroundings(world.bootstrap, world.registry, world.logs)
        try:
            all_there_once_and_in_order(other, "edge-1", asked)
            assert served(port), "nothing was placed here yet, which ends nothing"
            other.send(service("sharp", model), placement("sharp", "edge"))
            until(lambda: other.health("sharp.edge", "edge-1") == "ready", 40)
            other.await_results("edge-1", _sent(other, range(20, 30)))
        finally:
            world.close()
            other.close()
            again.stop()


def _sent(world: Surroundings, numbers: range) -> list[Any]:
    tasks = [task(n, "sharp", "edge-1", "edge") for n in numbers]
    world.send(*tasks)
    return tasks


def _registry_at(port: int, bootstrap: str, folder: Path) -> Server:
    """Start a registry on the port of a former one."""
    import sys

    from streams.embedded.processes import launch, listens, wait_until

    made = Server("streams.embedded.registry", (), folder / "registry2.log", port)
    command = [sys.executable, "-m", made.module, "--port", str(port)]
    made.process = launch(command, made.log, {"WEIR_KAFKA__BOOTSTRAP": bootstrap})
    wait_until(lambda: listens(port), made.process, made.module, made.log, 60)
    return made

"""A worker with a model that hangs and one that is fetched: the one fails, the other is served."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from schemas.records import KeyValue, Tensor
from streams.embedded.broker import Broker
from tests.embedded.conftest import Server
from tests.embedded.worker_world import Surroundings, placement, service, task, until
from tests.unit.workers.artifact_server import ObjectStore, serving
from tests.unit.workers.tiny_models import classifier, endless

pytestmark = pytest.mark.faults
NODE, WORKER = "edge", "edge-9"


@pytest.fixture
def world(broker: Broker, registry: Server, tmp_path: Path) -> Iterator[Surroundings]:
    made = Surroundings(broker.bootstrap, f"http://127.0.0.1:{registry.port}", tmp_path)
    yield made
    made.close()


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[ObjectStore]:
    model = classifier(tmp_path / "sharp.onnx", 2.0)
    with serving(ObjectStore({"/sharp.onnx": model.read_bytes()}, faults=[100, -503])) as store:
        yield store


def test_a_model_that_hangs_takes_its_own_service_down_alone(
    world: Surroundings, objects: ObjectStore, tmp_path: Path
) -> None:
    options = (
        KeyValue(key="runtime.isolated", value="true"),
        KeyValue(key="runtime.deadline_ms", value="500"),
    )
    hanging = replace(service("endless", endless(tmp_path / "e.onnx")), environment=options)
    fetched = service("sharp", tmp_path / "sharp.onnx")
    world.send(hanging, replace(fetched, artifact=f"{objects.url}/sharp.onnx"))
    world.send(placement("endless", NODE), placement("sharp", NODE))
    process = world.worker(NODE, WORKER)
    until(lambda: world.health(f"endless.{NODE}", WORKER) == "ready", 30)
    until(lambda: world.health(f"sharp.{NODE}", WORKER) == "ready", 30)
    child = psutil.Process(process.pid).children()[0]
    zero = Tensor(name="x", dtype="float32", shape=(1,), data=np.zeros(1, "<f4").tobytes())
    stuck = task(0, "endless", WORKER, NODE, inputs=(zero,))
    good = [task(number, "sharp", WORKER, NODE) for number in range(20)]
    world.send(stuck, *good)
    results = {result.task_id: result for result in world.await_results(WORKER, [stuck, *good])}
    assert "it gave no answer in 500 ms" in (results[stuck.task_id].reason or "")
    assert {results[asked.task_id].status for asked in good} == {"ok"}
    assert not child.is_running()
    until(lambda: world.health(f"endless.{NODE}", WORKER) == "ready", 30)
    again = psutil.Process(process.pid).children()[0]
    os.kill(again.pid, signal.SIGKILL)
    once = Tensor(name="x", dtype="float32", shape=(1,), data=np.full(1, 2, "<f4").tobytes())
    lost = task(1, "endless", WORKER, NODE, inputs=(once,))
    world.send(lost)
    (result,) = world.await_results(WORKER, [lost])
    assert "its process ended by SIGKILL" in (result.reason or "")
    until(lambda: world.health(f"endless.{NODE}", WORKER) == "starting")
    until(lambda: world.health(f"endless.{NODE}", WORKER) == "ready", 30)
    served = task(2, "endless", WORKER, NODE, inputs=(once,))
    world.send(served)
    assert world.await_results(WORKER, [served])[0].status == "ok"

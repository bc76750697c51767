"""The worker as a process, on the embedded broker: real models, broken ones, the end of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from schemas.records import Tensor
from schemas.topics import task_topic
from streams.embedded.broker import Broker
from tests.commanding import command
from tests.embedded.conftest import Server
from tests.embedded.worker_world import Surroundings, placement, service, task, until
from tests.unit.workers.tiny_models import classifier
from workers.handover.summary_lists import check
from workers.kafka import clients as kafka
from workers.kafka.reading import read_all


@pytest.fixture(scope="module")
def world(
    broker: Broker, registry: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Surroundings]:
    made = Surroundings(
        broker.bootstrap,
        f"http://127.0.0.1:{registry.port}",
        tmp_path_factory.mktemp("workers"),
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    classifier(folder / "sharp.onnx", 2.0)
    classifier(folder / "soft.onnx", 0.5)
    (folder / "broken.onnx").write_bytes(b"no model at all")
    return folder


def test_it_serves_what_is_placed_and_says_what_is_broken(
    world: Surroundings, models: Path
) -> None:
    names = ("sharp", "soft", "broken")
    world.send(*(service(name, models / f"{name}.onnx") for name in names))
    world.send(*(placement(name, "edge") for name in names))
    world.worker("edge", "edge-1", WEIR_LOCAL__HOLD="true", WEIR_LOCAL__OVERHEAD_MIB="400")
    until(lambda: world.health("sharp.edge", "edge-1") == "ready")
    until(lambda: world.health("soft.edge", "edge-1") == "ready")
    until(lambda: world.health("broken.edge", "edge-1") == "failed")
    reported = world.instances()
    assert "Protobuf parsing failed" in (reported["broken.edge"].message or "")
    assert reported["sharp.edge"].task_topic == task_topic("edge-1")
    good = [task(n, name, "edge-1", "edge") for n in range(6) for name in ("sharp", "soft")]
    bad_input = (Tensor(name="x", dtype="float32", shape=(2,), data=b"\0" * 8),)
    odd = [
        task(100, "sharp", "edge-1", "edge", inputs=bad_input),
        task(101, "broken", "edge-1", "edge"),
        task(102, "soft", "edge-1", "edge", deadline=1),
    ]
    world.send(*good, *odd)
    results = {r.task_id: r for r in world.await_results("edge-1", [*good, *odd])}
    for asked in good:
        result = results[asked.task_id]
        number = int(asked.task_id.split("-")[2])
        assert (result.status, result.label) == ("ok", str(number % 3))
        assert len(result.scores) == 3
        assert result.classes == ("0", "1", "2")
        assert (result.runtime, result.provider) == ("onnxruntime", "CPUExecutionProvider")
        assert result.confidence is not None
        assert result.execution_ms > 0
        (summary,) = result.input_summary
        assert (summary.name, summary.missing) == ("x", 0.0)
        assert summary.low <= summary.mean <= summary.high
    why = [results[asked.task_id].reason or "" for asked in odd]
    assert why[0] == "input x has shape 1x2; the model takes ?x3"
    assert why[1] == "broken.edge is not ready on edge"
    assert [results[asked.task_id].status for asked in odd] == ["failed", "failed", "expired"]


def test_unreadable_tasks_are_dead_lettered_and_others_go_on(world: Surroundings) -> None:
    producer = kafka.producer(world.settings.kafka)
    producer.produce(task_topic("edge-1"), b"rubbish", key="k")
    assert producer.flush(60) == 0
    asked = task(200, "sharp", "edge-1", "edge")
    world.send(asked)
    assert world.await_results("edge-1", [asked])[0].status == "ok"
    letters = list(kafka_messages(world, "weir.deadletters"))
    assert task_topic("edge-1").encode() in [message.key() for message in letters]


def kafka_messages(world: Surroundings, topic: str) -> Iterator[kafka.RawMessage]:
    yield from read_all(world.settings.kafka, [topic])


def test_services_come_and_go_while_others_are_served(world: Surroundings, models: Path) -> None:
    world.send(placement("soft", generation=2))
    until(lambda: world.health("soft.edge", "edge-1") == "stopped")
    assert world.health("sharp.edge", "edge-1") == "ready"
    classifier(models / "broken.onnx", 1.0)
    world.send(service("broken", models / "broken.onnx"))
    until(lambda: world.health("broken.edge", "edge-1") == "ready")
    world.send(service("broken", models / "broken.onnx", digest="0" * 64))
    until(lambda: "SHA-256" in (world.instances()["broken.edge"].message or ""))
    assert world.health("broken.edge", "edge-1") == "ready"


def test_asked_to_end_it_finishes_what_waits(world: Surroundings) -> None:
    (process,) = world.processes
    asked = [task(n, "sharp", "edge-1", "edge") for n in range(300, 700)]
    world.send(*asked)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    results = world.await_results("edge-1", asked)
    assert Counter(result.status for result in results) == {"ok": 400}
    until(lambda: world.health("sharp.edge", "edge-1") == "stopped")


def test_what_it_has_done_can_be_asked_from_anywhere(world: Surroundings) -> None:
    environ = world.settings.environment()
    done = command("status", "worker", "edge", "--json", environ=environ)
    (told,) = json.loads(done.stdout)
    assert (told["worker"], told["state"]) == ("edge-1", "stopped")
    sharp = next(one for one in told["services"] if one["instance"] == "sharp.edge")
    assert sharp["arrived"] == sharp["in_time"] + sharp["failed"] + sum(
        reason["count"] for reason in sharp["reasons"] if reason["what"] != "failed"
    )
    assert sharp["in_time"] >= 400
    assert sharp["execution_p95_ms"] > 0
    used = next(one for one in told["uses"] if one["instance"] == "sharp.edge")
    assert used["tasks"] >= 400
    assert used["cpu_ms"] > 0
    assert told["memory_limit_mib"] >= 400 + 64
    assert set(told["cores"]) == os.sched_getaffinity(0)
    form = "inferedge-orchestration-summary-v1"
    exported = command("status", "worker", "edge", "--format", form, environ=environ)
    document = json.loads(exported.stdout)
    check(document, "edge")
    assert document["tasks"]["sharp.edge"]["executed"] == sharp["in_time"] + sharp["late"]
    shown = command("status", "worker", environ=environ)
    assert "sharp.edge" in shown.stdout
    assert "ms of CPU a task" in shown.stdout
    assert command("status", "worker", "nowhere", environ=environ).returncode == 4


@pytest.mark.faults
def test_a_benchmark_becomes_a_registration_and_changes_it(
    world: Surroundings, models: Path, tmp_path: Path
) -> None:
    environ = world.settings.environment()
    file = tmp_path / "result.json"
    file.write_text('{"expected_latency_ms": 42.2}', "utf-8")
    given = ("services", "import-result", str(file), "--service", "gauge", "--register", "--json")
    refused = command(*given, environ=environ)
    assert refused.returncode == 4
    assert "give --app, --stage, --artifact too" in refused.stderr
    model = str(models / "sharp.onnx")
    first = ("--app", "shapes", "--stage", "classify", "--artifact", model)
    made = json.loads(command(*given, *first, environ=environ).stdout)
    assert (made["budget_ms"], made["changed"]) == (64.0, True)
    assert json.loads(command(*given, environ=environ).stdout)["changed"] is False
    again = json.loads(command(*given, "--multiplier", "2", environ=environ).stdout)
    assert (again["changed"], again["service_id"]) == (True, made["service_id"])
    known = json.loads(command("services", "get", "gauge", environ=environ).stdout)
    assert known["latency_ms"] == 42.2
    assert {"key": "serve.budget_ms", "value": "85"} in known["environment"]
    nobody = command("dispatch", "plan", "gauge", environ=environ)
    assert nobody.returncode == 3
    assert "no other worker hosts it" in nobody.stdout


def test_killed_and_started_again_it_loses_nothing(world: Surroundings) -> None:
    world.send(placement("sharp", "far", generation=3))
    nodes = '[{"name": "far", "cpu_milli": 100, "memory_mib": 64, "speed": 0.01}]'
    patient = {"WEIR_WORKER__QUEUE_MS": "600000"}
    process = world.worker("far", "far-1", WEIR_LOCAL__NODES=nodes, **patient)
    until(lambda: world.health("sharp.far", "far-1") == "ready")
    asked = [task(n, "sharp", "far-1", "far") for n in range(400)]
    world.send(*asked)
    until(lambda: len(world.results("far-1")) > 40)
    process.kill()
    process.wait()
    done = len({result.task_id for result in world.results("far-1")})
    assert done < 400
    until(lambda: world.instances()["sharp.far"].expires_at < time.time() * 1000)
    world.worker("far", "far-1", **patient)
    results = world.await_results("far-1", asked)
    assert {result.status for result in results} == {"ok"}
    each_ms = [result.execution_ms / result.batch_size for result in results]
    slow, quick = min(each_ms[:20]), min(each_ms[-20:])
    assert slow > 3 * quick, "the first worker played a slow node"


def test_it_ends_with_its_parent(world: Surroundings, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'streams.cli', 'worker', '--node', 'lone',"
        " '--worker', 'lone-1'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )

    environment = os.environ | world.settings.environment()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        until(lambda: task_topic("lone-1") in kafka.partition_counts(world.settings.kafka))
        parent.kill()
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)

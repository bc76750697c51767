"""What the worker adds to one request while it is idle, through a real broker.

A worker process reads its tasks from the embedded broker, as it always does; beside it a process
that reads a message and sends it back, with the same clients and settings. Requests go to one and
the other by turns, each when the former is answered. What the worker adds is the median of its
answers, less the executions they tell of, less the median of the echo: decoding, deciding,
encoding, and what its loop makes a task wait beyond what Kafka does.
"""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from schemas.codec import Codec
from schemas.decisions import Assignment, PlacementDecided
from schemas.inference import InferenceResult, InferenceTask
from schemas.records import Tensor
from schemas.registrations import InstanceReported
from schemas.topics import TOPICS, key_of, task_topic, topic_named, topic_of
from streams.bench.ledger_app import SERVICE, registrations
from streams.bench.worker_overload import Say
from streams.embedded.broker import Broker
from streams.embedded.cluster import Cluster
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from streams.errors import StackError
from workers.catalogue import CatalogueReader
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import KafkaSettings, RegistrySettings, Settings

NODE, WORKER = "bench", "bench-1"
INSTANCE = f"{SERVICE}.{NODE}"
ECHO, BACK = task_topic("bench-echo"), task_topic("bench-back")
GOAL_MS = 2.0
_PATIENCE_S = 30.0
_REST_S = 0.02
_WARM = 10


def measure(folder: Path, requests: int, say: Say) -> dict[str, Any]:
    """Return the median (ms) that the worker adds, and the medians of both ways.

    Raises StackError when a process does not start or an answer does not come.
    """
    with ExitStack() as open_things:
        settings = open_things.enter_context(surroundings(folder))
        registry = Registry(settings.registry)
        open_things.callback(registry.close)
        registry.register_all()
        made = [*TOPICS.values(), *(topic_named(name) for name in (ECHO, BACK))]
        kafka.create_topics(settings.kafka, made)
        codec = registry.codec()
        _place(settings.kafka, codec)
        open_things.enter_context(_echo(settings.kafka))
        open_things.enter_context(_worker(settings, folder))
        _await_ready(settings, codec)
        found = _Client(settings.kafka, codec).compare(requests)
    say(f"idle: {found['idle_added_ms']:.2f} ms added, {found['idle']['echo_ms']:.2f} ms of echo")
    return found


@contextmanager
def surroundings(folder: Path, cluster: Cluster | None = None) -> Iterator[Settings]:
    """Run a cluster, an embedded broker by default, and a registry; yields the way to them."""
    folder.mkdir(parents=True, exist_ok=True)
    with _running(cluster or Broker(folder / "broker.log")) as kafka_settings:
        port, log = free_port(), folder / "registry.log"
        settings = Settings(
            kafka=kafka_settings,
            registry=RegistrySettings(url=f"http://127.0.0.1:{port}"),
            data_dir=folder,
        )
        command = [sys.executable, "-m", "streams.embedded.registry", "--port", str(port)]
        process = launch(command, log, settings.environment())
        try:
            wait_until(lambda: listens(port), process, "registry", log, _PATIENCE_S)
            yield settings
        finally:
            stop(process, grace_s=5)


@contextmanager
def _running(cluster: Cluster) -> Iterator[KafkaSettings]:
    cluster.launch()
    try:
        cluster.wait()
        yield cluster.reached(KafkaSettings())
    finally:
        cluster.stop()


@contextmanager
def _worker(settings: Settings, folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "streams.cli", "worker", "--node", NODE, "--worker", WORKER]
    process = launch(command, folder / "worker.log", settings.environment())
    try:
        yield
    finally:
        stop(process, grace_s=10)


@contextmanager
def _echo(settings: KafkaSettings) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=_send_back, args=(settings,))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _send_back(settings: KafkaSettings) -> None:
    """Send every message of a topic back by another, until killed."""
    reader, producer = kafka.reader(settings), kafka.producer(settings, linger_ms=0)
    kafka.assign_all(reader, settings, [ECHO])
    while True:
        for message in kafka.drain(reader, 100, 0.05):
            if message.error() is None:
                producer.produce(BACK, message.value(), key=message.key())
        producer.poll(0)


def _place(settings: KafkaSettings, codec: Codec) -> None:
    """Register the service, and place it on the worker's node."""
    placed = PlacementDecided(
        event_id="bench",
        service=SERVICE,
        app=NODE,
        generation=1,
        status="placed",
        replicas=1,
        assignments=(
            Assignment(
                node=NODE, instance=INSTANCE, variant="cpu-fp32", cpu_milli=100, memory_mib=64
            ),
        ),
        score=1.0,
        algorithm="bench",
        reason="bench",
        decided_at=wall_ms(),
    )
    producer = kafka.producer(settings, linger_ms=0)
    for event in (*registrations(wall_ms()), placed):
        producer.produce(topic_of(event), codec.encode(event), key=key_of(event))
    producer.flush(_PATIENCE_S)


def _await_ready(settings: Settings, codec: Codec) -> None:
    with CatalogueReader(settings.kafka, codec, (InstanceReported,)) as reader:

        def ready() -> bool:
            known = reader.current().of(InstanceReported).get(INSTANCE)
            return known is not None and known.health == "ready"

        _await(ready, "the worker did not get ready")


def _await(holds: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > until:
            raise StackError(otherwise)
        time.sleep(0.01)


class _Client:
    """Sends one request at a time, and waits for what comes back."""

    def __init__(self, settings: KafkaSettings, codec: Codec) -> None:
        self._codec = codec
        self._producer = kafka.producer(settings, linger_ms=0)
        self._reader = kafka.reader(settings)
        kafka.assign_all(self._reader, settings, ["weir.results", BACK])

    def compare(self, requests: int) -> dict[str, Any]:
        """Ask worker and echo by turns; times in ms."""
        served, echoed, executed = [], [], []
        for number in range(_WARM + requests):
            task = self._codec.encode(_task(number))
            value, took_ms = self._exchange(task_topic(WORKER), task)
            result = self._codec.decode(value, InferenceResult)
            if result.status != "ok":
                raise StackError(f"the worker answered {result.status}: {result.reason}")
            served.append(took_ms - result.execution_ms)
            executed.append(result.execution_ms)
            echoed.append(self._exchange(ECHO, value)[1])
        of_worker, of_echo = median(served[_WARM:]), median(echoed[_WARM:])
        return {
            "idle_added_ms": of_worker - of_echo,
            "idle": {
                "requests": requests,
                "worker_ms": of_worker,
                "echo_ms": of_echo,
                "execution_ms": median(executed[_WARM:]),
            },
        }

    def _exchange(self, topic: str, value: bytes) -> tuple[bytes, float]:
        """Return the answer to a message, and how long (ms) it took to come."""
        time.sleep(_REST_S)
        began = time.perf_counter()
        self._producer.produce(topic, value, key="bench")
        self._producer.poll(0)
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            for message in kafka.drain(self._reader, 1, 0.05):
                if message.error() is None:
                    return message.value() or b"", (time.perf_counter() - began) * 1000
        raise StackError(f"no answer came to a message on {topic}")


def _task(number: int) -> InferenceTask:
    values = np.array([0.0, 1.0, 0.5], "<f4")
    return InferenceTask(
        task_id=f"bench-{number}",
        request_id=f"bench-{number}",
        app=NODE,
        stage=NODE,
        service=SERVICE,
        instance=INSTANCE,
        worker=WORKER,
        attempt=0,
        created_at=wall_ms(),
        deadline=wall_ms() + 60_000,
        generation=1,
        inputs=(Tensor(name="x", dtype="float32", shape=(3,), data=values.tobytes()),),
    )

"""Tiny models, and a worker process with everything that it needs around it."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import Assignment, PlacementDecided
from schemas.inference import InferenceResult, InferenceTask
from schemas.records import Tensor
from schemas.registrations import InstanceReported, ServiceRegistered
from schemas.resources import Variant
from schemas.topics import TOPICS, key_of, topic_of
from streams.embedded.processes import launch
from workers.catalogue import CatalogueReader
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import KafkaSettings, RegistrySettings, Settings


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def now() -> int:
    return time.time_ns() // 1_000_000


def service(name: str, path: Path, digest: str | None = "") -> ServiceRegistered:
    known = hashlib.sha256(path.read_bytes()).hexdigest() if digest == "" else digest
    return ServiceRegistered(
        service=name,
        service_id=name,
        app="shapes",
        stage="classify",
        model=name,
        image="",
        artifact=path.as_uri(),
        digest=known,
        format="onnx",
        variants=(Variant(name="cpu-fp32", precision="fp32", device="cpu"),),
        cpu_milli=100,
        memory_mib=64,
        registered_at=now(),
        event_id=name,
    )


def placement(name: str, *nodes: str, generation: int = 1) -> PlacementDecided:
    return PlacementDecided(
        event_id=f"{name}-{generation}",
        service=name,
        app="shapes",
        generation=generation,
        status="placed" if nodes else "retired",
        replicas=len(nodes),
        assignments=tuple(
            Assignment(
                node=node,
                instance=f"{name}.{node}",
                variant="cpu-fp32",
                cpu_milli=100,
                memory_mib=64,
            )
            for node in nodes
        ),
        score=1.0,
        algorithm="test",
        reason="test",
        decided_at=now(),
    )


def task(number: int, name: str, worker: str, node: str, **fields: object) -> InferenceTask:
    values = np.array([0.0, 0.0, 0.0], "<f4")
    values[number % 3] = 5.0
    known = {
        "task_id": f"{worker}-{number}-{name}",
        "request_id": f"{worker}-r{number}",
        "app": "shapes",
        "stage": "classify",
        "service": name,
        "instance": f"{name}.{node}",
        "worker": worker,
        "attempt": 0,
        "created_at": now(),
        "deadline": now() + 300_000,
        "generation": 1,
        "inputs": (Tensor(name="x", dtype="float32", shape=(3,), data=values.tobytes()),),
    }
    return InferenceTask(**known | fields)  # type: ignore[arg-type]


@dataclass
class Surroundings:
    """Broker and registry with everything registered; sends events, sees instances and results."""

    bootstrap: str
    registry: str
    logs: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = Settings(
            kafka=KafkaSettings(bootstrap=self.bootstrap),
            registry=RegistrySettings(url=self.registry),
            data_dir=self.logs,
        )
        self._registry = Registry(self.settings.registry)
        self._registry.register_all()
        kafka.create_topics(self.settings.kafka, TOPICS.values())
        self.codec = self._registry.codec()
        self._producer = kafka.producer(self.settings.kafka, linger_ms=0)
        self._reader = kafka.reader(self.settings.kafka)
        kafka.assign_all(self._reader, self.settings.kafka, ["weir.results"])
        self._results: list[InferenceResult] = []
        kinds = (InstanceReported,)
        self._catalogue = CatalogueReader(self.settings.kafka, self.codec, kinds).start()

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self._reader.close()
        self._catalogue.stop()
        self._registry.close()

    def send(self, *events: Event) -> None:
        for event in events:
            self._producer.produce(topic_of(event), self.codec.encode(event), key=key_of(event))
        assert self._producer.flush(60) == 0

    def worker(self, node: str, worker: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "streams.cli", "worker", "--node", node]
        process = launch(
            [*command, "--worker", worker],
            self.logs / f"{worker}.log",
            self.settings.environment() | environment,
        )
        self.processes.append(process)
        return process

    def instances(self) -> dict[str, InstanceReported]:
        current: Catalogue = self._catalogue.current()
        return dict(current.of(InstanceReported))

    def health(self, instance: str, worker: str) -> str:
        known = self.instances().get(instance)
        return known.health if known is not None and known.worker == worker else ""

    def results(self, worker: str) -> list[InferenceResult]:
        """Return all results of a worker so far, repeated ones included."""
        for message in kafka.drain(self._reader, 5_000, 0.02):
            if message.error() is None:
                self._results.append(self.codec.decode(message.value() or b"", InferenceResult))
        return [result for result in self._results if result.worker == worker]

    def await_results(self, worker: str, tasks: Iterable[InferenceTask]) -> list[InferenceResult]:
        wanted = {task.task_id for task in tasks}
        until(lambda: wanted <= {result.task_id for result in self.results(worker)})
        return [result for result in self.results(worker) if result.task_id in wanted]

"""What the benches of routing stand on: a broker, a registry, a router, members, and who asks."""

import os
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import numpy as np
import psutil

from schemas.base import Event
from schemas.codec import Codec
from schemas.decisions import EnsembleMember, EnsembleSelected
from schemas.graphs import Stage
from schemas.identity import stable_id
from schemas.inference import InferenceRequest, InferenceResponse
from schemas.registrations import ApplicationRegistered, InstanceReported, ServiceRegistered
from schemas.topics import TOPICS, key_of, task_topic, topic_named, topic_of
from streams.bench.ensemble_members import APP, CLASSES, SERVICES, STAGE
from streams.bench.request_source import arrivals
from streams.bench.worker_idle import surroundings
from streams.embedded.broker import Broker
from streams.embedded.cluster import Cluster
from streams.embedded.processes import launch, stop
from streams.errors import StackError
from workers.catalogue import CatalogueReader
from workers.client import tensors
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.kafka.steady import meet
from workers.registry import Registry
from workers.settings import Settings

NODES = ("bench-1", "bench-2")
RESPONSES = "weir.responses"
START_S = 60.0
END = -1


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a run: per request its latency in ms, None without an answer, and the answer.

    `cpu_s` is how long each process had a processor meanwhile.
    """

    latencies: list[float | None]
    answers: list[InferenceResponse | None]
    cpu_s: dict[str, float]

    @property
    def router_s(self) -> float:
        """How long the router had a processor."""
        return self.cpu_s["router"]


class Bed:
    """The processes of one bench, all on this machine."""

    def __init__(self, settings: Settings, codec: Codec, folder: Path, broker_pid: int) -> None:
        self.settings = settings
        self._broker_pid = broker_pid
        self.codec = codec
        self._folder = folder
        self.members: dict[str, Popen[bytes]] = {}
        self.router = self._launch("router", ["streams.cli", "run", "route"])

    def _launch(self, name: str, arguments: Sequence[str]) -> Popen[bytes]:
        command = [sys.executable, "-m", *arguments]
        return launch(command, self._folder / f"{name}.log", self.settings.environment())

    def serve(self, node: str, *slow: str) -> None:
        """Begin to play the members of a node; `slow` as `ensemble_members` takes it."""
        self.members[node] = self._launch(node, ["streams.bench.ensemble_members", node, *slow])

    def kill(self, node: str) -> None:
        """Kill the members of a node."""
        process = self.members.pop(node)
        process.kill()
        process.wait()

    def cpu_s(self) -> dict[str, float]:
        """Return how long each process has had a processor, s; that of the bench is who asks."""
        pids = {"router": self.router.pid, "asker": os.getpid(), "broker": self._broker_pid}
        pids |= {node: process.pid for node, process in self.members.items()}
        return {name: _cpu_s(pid) for name, pid in pids.items() if pid}

    def end(self) -> None:
        """Stop all processes."""
        for process in self.members.values():
            process.kill()
            process.wait()
        stop(self.router, grace_s=5)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def bed(
    folder: Path, nodes: Sequence[str] = NODES[:1], *slow: str, cluster: Cluster | None = None
) -> Iterator[Bed]:
    """Run everything that a bench of routing needs, on an embedded broker by default.

    Raises StackError when it does not start.
    """
    cluster = cluster or Broker(folder / "broker.log")
    with surroundings(folder, cluster) as settings:
        registry = Registry(settings.registry)
        registry.register_all()
        own_topics = (topic_named(task_topic(node)) for node in NODES)
        kafka.create_topics(settings.kafka, [*TOPICS.values(), *own_topics])
        made = Bed(settings, registry.codec(), folder, cluster.pid)
        try:
            _register(made)
            for node in nodes:
                made.serve(node, *slow)
            _await(made, len(nodes) * len(SERVICES))
            yield made
        finally:
            made.end()
            registry.close()


def _register(made: Bed) -> None:
    producer = kafka.producer(made.settings.kafka, linger_ms=1)
    for event in _registrations(wall_ms()):
        producer.produce(topic_of(event), made.codec.encode(event), key=key_of(event))
    producer.flush(START_S)


def _registrations(now_ms: int) -> Iterator[Event]:
    for service in SERVICES:
        yield ServiceRegistered(
            service=service,
            service_id=stable_id("service", APP, service),
            app=APP,
            stage=STAGE,
            model="",
            image="",
            artifact="",
            format="",
            cpu_milli=100,
            memory_mib=64,
            latency_ms=1.0,
            registered_at=now_ms,
            event_id=stable_id("bench", service),
        )
    stage = Stage(stage=STAGE, stage_id=stable_id("stage", APP, STAGE), services=SERVICES)
    yield ApplicationRegistered(
        app=APP,
        app_id=stable_id("app", APP),
        run="bench",
        user="bench",
        owner="bench",
        stages=(stage,),
        registered_at=now_ms,
        event_id=stable_id("bench", APP),
        classes=CLASSES,
    )
    members = tuple(EnsembleMember(service=s, weight=1.0, role="active") for s in SERVICES)
    yield EnsembleSelected(
        event_id=stable_id("bench", "ensemble"),
        app=APP,
        contract="",
        generation=1,
        algorithm="bench",
        combine="weighted_vote",
        members=members,
        predicted_latency_ms=1.0,
        predicted_accuracy=1.0,
        predicted_cost=0.0,
        score=1.0,
        gap=0.0,
        reason="bench",
        selected_at=now_ms,
    )


def _await(made: Bed, count: int) -> None:
    """Wait until all instances are known and the router answers."""
    until = time.monotonic() + START_S
    with CatalogueReader(made.settings.kafka, made.codec, (InstanceReported,)) as reader:
        while len(reader.current().of(InstanceReported)) < count:
            if time.monotonic() > until:
                raise StackError("the members did not come up; see their logs")
            time.sleep(0.05)
    asker = Asker(made)
    while time.monotonic() < until:
        (answer,) = asker.ask(1.0, 1.0, 2_000, most=1).answers
        if answer is not None and answer.label is not None:
            asker.close()
            return
    raise StackError("the router does not answer; see its log")


class Asker:
    """Sends requests at the instants of a Poisson process, and notes when answers are heard."""

    def __init__(self, made: Bed) -> None:
        self._bed = made
        self._producer = kafka.producer(made.settings.kafka, linger_ms=1)
        meet(self._producer)
        self._reader = kafka.reader(made.settings.kafka)
        partitions = kafka.partition_counts(made.settings.kafka)[RESPONSES]
        kafka.assign_more(self._reader, {(RESPONSES, p): END for p in range(partitions)})
        kafka.drain(self._reader, 1, 0.5)
        self._heard: dict[bytes, tuple[float, bytes]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._inputs = tensors({"x": np.asarray([[0.1, 0.9, 0.3]], dtype=np.float32)})

    def close(self) -> None:
        """Hear no more."""
        self._stop.set()
        self._thread.join(5)
        self._reader.close()

    def ask(
        self, rate: float, seconds: float, deadline_ms: int, *, seed: int = 1, most: int = 1 << 62
    ) -> Asked:
        """Ask at a rate, per second, and wait for the answers until after the last deadline.

        Latency counts from the instant at which a request was due.
        """
        self._heard.clear()
        run = random.SystemRandom().getrandbits(48)
        begun_cpu, start = self._bed.cpu_s(), time.perf_counter()
        due: dict[bytes, float] = {}
        for number, at in enumerate(arrivals(rate, seconds, seed)):
            if number >= most:
                break
            time.sleep(max(0.0, start + at - time.perf_counter()))
            key = f"{run:x}-{number}"
            due[key.encode()] = start + at
            self._send(key, deadline_ms)
        until = time.perf_counter() + deadline_ms / 1000 + 3.0
        while len(self._heard) < len(due) and time.perf_counter() < until:
            self._producer.poll(0)
            time.sleep(0.01)
        now_cpu = self._bed.cpu_s()
        spent = {name: now_cpu[name] - s for name, s in begun_cpu.items() if name in now_cpu}
        return self._told(due, spent)

    def _told(self, due: dict[bytes, float], cpu_s: dict[str, float]) -> Asked:
        latencies: list[float | None] = []
        answers: list[InferenceResponse | None] = []
        for key, at in due.items():
            heard = self._heard.get(key)
            latencies.append(None if heard is None else 1000 * (heard[0] - at))
            known = None if heard is None else self._bed.codec.decode(heard[1], InferenceResponse)
            answers.append(known)
        return Asked(latencies, answers, cpu_s)

    def _send(self, key: str, deadline_ms: int) -> None:
        now = wall_ms()
        request = InferenceRequest(
            request_id=key,
            app=APP,
            created_at=now,
            deadline=now + deadline_ms,
            inputs=self._inputs,
        )
        self._producer.produce("weir.requests", self._bed.codec.encode(request), key=key)
        self._producer.poll(0)

    def _listen(self) -> None:
        while not self._stop.is_set():
            messages = kafka.drain(self._reader, 500, 0.05)
            now = time.perf_counter()
            for message in messages:
                if message.error() is None:
                    self._heard.setdefault(message.key() or b"", (now, message.value() or b""))

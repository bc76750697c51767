"""A small world for route: applications, services, instances, and events about them."""

from collections.abc import Iterable

from processors.routing.params import RouteParams
from processors.routing.route import REQUESTS, RESPONSES, RESULTS, Router
from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.decisions import EnsembleMember, EnsembleSelected
from schemas.graphs import Stage
from schemas.inference import (
    InferenceRequest,
    InferenceResponse,
    InferenceResult,
    InferenceTask,
)
from schemas.processing import Batch, Output, Record
from schemas.records import Tensor
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    InstanceReported,
    NodeReported,
    ServiceRegistered,
)
from schemas.topics import key_of, task_topic, topic_of

T0 = 1_700_000_000_000
APP = "digits"
PIXELS = Tensor(name="x", dtype="float32", shape=(2,), data=b"\0" * 8)


def application(
    name: str = APP, services: tuple[str, ...] = ("a", "b", "c"), /, **fields: object
) -> Event:
    stage = Stage(stage="classify", stage_id="s1", services=services, modality="image")
    known = {
        "app": name,
        "app_id": "app-1",
        "run": "run",
        "user": "user",
        "owner": "owner",
        "stages": (stage,),
        "registered_at": T0,
        "event_id": f"app-{name}",
    }
    return ApplicationRegistered(**known | fields)  # type: ignore[arg-type]


def service(name: str, latency_ms: float | None = None) -> Event:
    return ServiceRegistered(
        service=name,
        service_id=name,
        app=APP,
        stage="classify",
        model="",
        image="",
        artifact=f"file:///models/{name}.onnx",
        format="onnx",
        cpu_milli=100,
        memory_mib=64,
        latency_ms=latency_ms,
        registered_at=T0,
        event_id=f"service-{name}",
    )


def instance(
    of: str,
    node: str,
    health: str = "ready",
    queue_ms: float = 0.0,
    heartbeat: int = T0,
    lives_ms: int = 2_500,
    worker: str = "",
) -> Event:
    worker = worker or f"{node}-1"
    return InstanceReported(
        instance=f"{of}.{node}",
        service=of,
        app=APP,
        stage="classify",
        node=node,
        worker=worker,
        task_topic=task_topic(worker),
        model_version="1",
        run="",
        user="",
        method="",
        role="worker",
        health=health,
        queue_ms=queue_ms,
        heartbeat=heartbeat,
        expires_at=heartbeat + lives_ms,
    )


def node(name: str, status: str) -> Event:
    return NodeReported(
        node=name,
        cpu_milli=1000,
        memory_mib=1000,
        architecture="amd64",
        operating_system="linux",
        status=status,
        heartbeat=T0,
        expires_at=T0 + 5_000,
    )


def ensemble(
    weights: dict[str, float], shadows: Iterable[str] = (), combine: str = "weighted_vote"
) -> Event:
    members = [EnsembleMember(service=s, weight=w, role="member") for s, w in weights.items()]
    members += [EnsembleMember(service=s, weight=0.0, role="shadow") for s in shadows]
    return EnsembleSelected(
        event_id="ensemble-1",
        app=APP,
        contract="",
        generation=7,
        algorithm="enumeration",
        combine=combine,
        members=tuple(members),
        predicted_latency_ms=1.0,
        predicted_accuracy=0.9,
        predicted_cost=0.0,
        score=1.0,
        gap=0.0,
        reason="test",
        selected_at=T0,
    )


def consumer(**fields: object) -> Event:
    known = {"consumer": "kim", "registered_at": T0, "event_id": "consumer-kim"}
    return ConsumerRegistered(**known | fields)  # type: ignore[arg-type]


def catalogue(*events: Event, base: Catalogue | None = None) -> Catalogue:
    base = base or Catalogue()
    return base.apply(
        Update(topic_of(event), 0, offset, key_of(event), event)
        for offset, event in enumerate(events)
    )


def usual(*more: Event) -> Catalogue:
    """Return three services on a node each, in one ensemble, and further entries."""
    names = ("a", "b", "c")
    return catalogue(
        application(),
        *(service(name) for name in names),
        *(instance(name, f"n{number}") for number, name in enumerate(names)),
        ensemble({"a": 2.0, "b": 1.0, "c": 1.5}),
        *more,
    )


def request(number: int = 0, **fields: object) -> InferenceRequest:
    known = {
        "request_id": f"r{number}",
        "app": APP,
        "created_at": T0,
        "deadline": T0 + 500,
        "inputs": (PIXELS,),
    }
    return InferenceRequest(**known | fields)  # type: ignore[arg-type]


def result(task: InferenceTask, label: str = "7", **fields: object) -> InferenceResult:
    known = {
        "event_id": f"result-{task.task_id}",
        "task_id": task.task_id,
        "request_id": task.request_id,
        "app": task.app,
        "stage": task.stage,
        "service": task.service,
        "instance": task.instance,
        "node": "n",
        "worker": task.worker,
        "attempt": task.attempt,
        "status": "ok",
        "label": label,
        "confidence": 0.9,
        "queue_ms": 1.0,
        "execution_ms": 2.0,
        "received_at": T0,
        "finished_at": T0,
        "runtime": "onnxruntime",
        "provider": "CPUExecutionProvider",
        "variant": "",
        "batch_size": 1,
        "model_version": "1",
        "input_digest": "",
        "deadline_missed": False,
        "generation": task.generation,
        "shadow": task.shadow,
    }
    return InferenceResult(**known | fields)  # type: ignore[arg-type]


class World:
    """A router of the only partition, fed step by step; offsets count up per topic."""

    def __init__(self, known: Catalogue, **params: object) -> None:
        self.params = RouteParams(partitions=1, **params)  # type: ignore[arg-type]
        self.router = Router(self.params, 0)
        self.known = known
        self._offsets = {REQUESTS: 0, RESULTS: 0, RESPONSES: 0}

    def step(self, now_ms: int, *events: Event) -> list[Output]:
        """Process events at a time, ms after T0."""
        records = tuple(self._record(event) for event in events)
        return list(self.router.process(Batch(records, T0 + now_ms, self.known)))

    def learn(self, *events: Event) -> None:
        """Change the catalogue."""
        self.known = catalogue(*events, base=self.known)

    def restart(self) -> None:
        """Go on with a new router that took over a snapshot."""
        data = self.router.snapshot()
        self.router = Router(self.params, 0)
        self.router.restore(data)
        assert self.router.snapshot() == data

    def _record(self, event: Event) -> Record:
        topic = topic_of(event)
        offset = self._offsets[topic]
        self._offsets[topic] = offset + 1
        return Record(event, topic, 0, offset, T0)


def tasks(outputs: Iterable[Output]) -> list[InferenceTask]:
    return [output for output in outputs if isinstance(output, InferenceTask)]


def responses(outputs: Iterable[Output]) -> list[InferenceResponse]:
    return [output for output in outputs if isinstance(output, InferenceResponse)]

"""The example application of the generated incidents: its graph, its nodes, where it runs.

Seeing and hearing: two first stages take pictures and sound, a third takes what the first found,
the last one joins both ways. Six nodes of unequal speed carry two copies of each service.
"""

from dataclasses import dataclass, field

import numpy as np

from schemas.base import Event
from schemas.decisions import Assignment, EnsembleMember, EnsembleSelected, PlacementDecided
from schemas.graphs import Stage
from schemas.partitioning import partition_of
from schemas.registrations import (
    ApplicationRegistered,
    InstanceReported,
    NodeReported,
    ServiceRegistered,
)
from schemas.resources import Link
from schemas.topics import PARTITIONS

APP = "watch"
PARTITION = partition_of(APP, PARTITIONS)
START = 1_700_000_000_000
STEP_MS = 5_000
NODES = ("edge-1", "edge-2", "edge-3", "edge-4", "edge-5", "cloud")
STAGES = (
    Stage(stage="detect", stage_id="detect", services=("yolo-s", "yolo-m"), modality="video"),
    Stage(stage="listen", stage_id="listen", services=("wave", "mel"), modality="audio"),
    Stage(
        stage="classify",
        stage_id="classify",
        services=("resnet", "vit", "mobile"),
        inputs=("detect",),
    ),
    Stage(stage="fuse", stage_id="fuse", services=("join",), inputs=("classify", "listen")),
)
SERVICES = {service: stage for stage in STAGES for service in stage.services}
EXECUTION_MS = {
    "yolo-s": 18.0, "yolo-m": 34.0, "wave": 12.0, "mel": 16.0,
    "resnet": 15.0, "vit": 28.0, "mobile": 7.0, "join": 5.0,
}  # fmt: skip
ACCURACY = {
    "yolo-s": 0.86, "yolo-m": 0.91, "wave": 0.85, "mel": 0.88,
    "resnet": 0.88, "vit": 0.93, "mobile": 0.84, "join": 0.94,
}  # fmt: skip
COPIES = 2
ROOM_MIB = 700.0
"""Memory that an instance may take more of until it suffers in full; it does from half on."""


@dataclass(slots=True)
class World:
    """Where everything runs, and how it is now: what faults change."""

    node_of: dict[str, str]
    service_of: dict[str, str]
    slow: dict[str, float] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)
    link_ms: dict[tuple[str, str], float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    memory_base: dict[str, float] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    spoiled: dict[str, float] = field(default_factory=dict)
    drift: dict[str, float] = field(default_factory=dict)
    version: dict[str, int] = field(default_factory=dict)
    service_speed: dict[str, float] = field(default_factory=dict)
    bursts: dict[str, tuple[int, float]] = field(default_factory=dict)
    load: float = 1.0
    generation: int = 1

    def instances(self, service: str) -> list[str]:
        """Return the copies of a service, lost ones included."""
        return [name for name, of in self.service_of.items() if of == service]

    def alive(self, service: str) -> list[str]:
        """Return the copies of a service that answer."""
        return [name for name in self.instances(service) if name not in self.lost]


def world_of(rng: np.random.Generator) -> World:
    """Return a world in which copies of a service are on different nodes, drawn anew each time."""
    node_of, service_of = {}, {}
    for service in SERVICES:
        for number, node in enumerate(rng.choice(len(NODES), COPIES, replace=False)):
            name = f"{service}-{number}"
            node_of[name], service_of[name] = NODES[int(node)], service
    made = World(node_of, service_of)
    made.memory = {name: float(rng.uniform(200, 500)) for name in node_of}
    made.memory_base = dict(made.memory)
    return made


def links() -> list[tuple[str, str]]:
    """Return every way between two nodes, once."""
    return [(a, b) for at, a in enumerate(NODES) for b in NODES[at + 1 :]]


def registrations() -> list[Event]:
    """Return what does not depend on where things run."""
    app = ApplicationRegistered(
        app=APP,
        app_id=APP,
        run="",
        user="",
        owner="",
        stages=STAGES,
        registered_at=START,
        event_id="registered-app",
    )
    return [app, *(service(name, 1, START) for name in SERVICES), ensemble(1, START)]


def service(name: str, version: int, now_ms: int, *, again: bool = False) -> ServiceRegistered:
    """Return a service in a version; `again` registers the same model with another priority."""
    return ServiceRegistered(
        service=name,
        service_id=name,
        app=APP,
        stage=SERVICES[name].stage,
        model=name,
        image="",
        artifact=f"file:///{name}-{version}.onnx",
        digest=f"{name}-{version}",
        format="onnx",
        cpu_milli=400,
        memory_mib=512,
        priority=int(again),
        registered_at=now_ms,
        event_id=f"registered-{name}-{version}-{now_ms}",
    )


def ensemble(generation: int, now_ms: int, weight: float = 1.0) -> EnsembleSelected:
    """Return the selection of all services; `weight` is that of the first."""
    members = tuple(
        EnsembleMember(service=name, weight=weight if not at else 1.0, role="active")
        for at, name in enumerate(SERVICES)
    )
    return EnsembleSelected(
        event_id=f"ensemble-{generation}",
        app=APP,
        contract="desk",
        generation=generation,
        algorithm="exact",
        combine="vote",
        members=members,
        predicted_latency_ms=50.0,
        predicted_accuracy=0.9,
        predicted_cost=1.0,
        score=1.0,
        gap=0.0,
        reason="the best known",
        selected_at=now_ms,
    )


def placement(world: World, name: str, now_ms: int) -> PlacementDecided:
    """Return where a service is placed now."""
    assignments = tuple(
        Assignment(
            node=world.node_of[one], instance=one, variant="cpu", cpu_milli=400, memory_mib=512
        )
        for one in world.instances(name)
    )
    return PlacementDecided(
        event_id=f"placed-{name}-{now_ms}",
        service=name,
        app=APP,
        generation=world.generation,
        status="placed",
        replicas=len(assignments),
        assignments=assignments,
        score=1.0,
        algorithm="fragmentation",
        reason="fits",
        decided_at=now_ms,
    )


def heartbeat(world: World, name: str, now_ms: int) -> InstanceReported:
    """Return the heartbeat of an instance."""
    of = world.service_of[name]
    return InstanceReported(
        instance=name,
        service=of,
        app=APP,
        stage=SERVICES[of].stage,
        node=world.node_of[name],
        worker=f"worker-{world.node_of[name]}",
        task_topic=f"weir.tasks.{world.node_of[name]}",
        model_version=str(world.version.get(name, 1)),
        run="",
        user="",
        method="",
        role="active",
        health="ready",
        heartbeat=now_ms,
        expires_at=now_ms + STEP_MS + 2_500,
    )


def node(
    world: World, name: str, cpu: float, rtts: dict[tuple[str, str], float], now_ms: int
) -> NodeReported:
    """Return the heartbeat of a node; its links are those that it measures."""
    used = sum(world.memory[one] for one, place in world.node_of.items() if place == name)
    return NodeReported(
        node=name,
        cpu_milli=4_000,
        cpu_used_milli=int(4_000 * min(1.0, cpu)),
        memory_mib=8_192,
        memory_used_mib=int(1_500 + used),
        disk_mib=10_000,
        links=tuple(
            Link(node=b, latency_ms=round(rtt, 3)) for (a, b), rtt in rtts.items() if a == name
        ),
        architecture="amd64",
        operating_system="linux",
        status="ready",
        heartbeat=now_ms,
        expires_at=now_ms + 3 * STEP_MS,
    )

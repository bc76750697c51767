"""Builders of catalogue entries for the tests of placement."""

from collections.abc import Iterable
from typing import Any

from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.decisions import Assignment, PlacementDecided
from schemas.records import KeyValue
from schemas.registrations import (
    ApplicationRegistered,
    InstanceReported,
    NodeReported,
    PolicySelected,
    ServiceRegistered,
)
from schemas.resources import Gpu
from schemas.topics import key_of, topic_of

T0 = 1_700_000_000_000


def catalogue_of(events: Iterable[Event], base: Catalogue | None = None) -> Catalogue:
    """Return a catalogue to which the events were written, one after another."""
    catalogue = base or Catalogue()
    for offset, event in enumerate(events, sum(catalogue.positions.values())):
        update = Update(topic_of(event), 0, offset, key_of(event), event)
        catalogue = catalogue.apply([update])
    return catalogue


def without(catalogue: Catalogue, event: Event) -> Catalogue:
    """Return the catalogue after a tombstone for the event's key."""
    return catalogue.apply([Update(topic_of(event), 0, 1_000_000, key_of(event), None)])


def node(name: str, cpu: int = 4000, memory: int = 4096, **more: Any) -> NodeReported:
    """Return a node that is ready for an hour after T0."""
    gpus = tuple(
        Gpu(index=index, model=model, memory_mib=16_384)
        for index, model in enumerate(more.pop("gpus", ()))
    )
    fields: dict[str, Any] = {
        "architecture": "amd64",
        "operating_system": "linux",
        "status": "ready",
        "heartbeat": T0,
        "expires_at": T0 + 3_600_000,
    }
    return NodeReported(node=name, cpu_milli=cpu, memory_mib=memory, gpus=gpus, **(fields | more))


def service(name: str, cpu: int = 1000, memory: int = 512, **more: Any) -> ServiceRegistered:
    """Return a service of application `digits`."""
    fields: dict[str, Any] = {
        "app": "digits",
        "stage": "classify",
        "artifact": f"file:///models/{name}.onnx",
        "registered_at": T0,
    }
    return ServiceRegistered(
        service=name,
        service_id=name,
        model="",
        image="",
        format="onnx",
        cpu_milli=cpu,
        memory_mib=memory,
        event_id=f"service-{name}",
        **(fields | more),
    )


def application(name: str, owner: str = "") -> ApplicationRegistered:
    """Return an application."""
    return ApplicationRegistered(
        app=name,
        app_id=name,
        run="",
        user="",
        owner=owner,
        registered_at=T0,
        event_id=f"app-{name}",
    )


def decided(
    name: str, nodes: Iterable[str], generation: int = 1, replicas: int | None = None
) -> PlacementDecided:
    """Return a placement of a service on nodes."""
    assignments = tuple(
        Assignment(
            node=node, instance=f"{name}.{node}", variant="cpu", cpu_milli=1000, memory_mib=512
        )
        for node in nodes
    )
    wanted = len(assignments) if replicas is None else replicas
    return PlacementDecided(
        event_id=f"placed-{name}-{generation}",
        service=name,
        app="digits",
        generation=generation,
        status="placed" if assignments else "retired",
        replicas=wanted,
        assignments=assignments,
        score=1.0,
        algorithm="weighted",
        reason="test",
        decided_at=T0,
    )


def instance(name: str, node: str, health: str = "ready", **more: Any) -> InstanceReported:
    """Return the heartbeat of a copy of a service on a node."""
    fields: dict[str, Any] = {"worker": f"{node}-1", "expires_at": T0 + 3_600_000}
    return InstanceReported(
        instance=f"{name}.{node}",
        service=name,
        app="digits",
        stage="classify",
        node=node,
        task_topic="",
        model_version="1",
        run="",
        user="",
        method="",
        role="worker",
        health=health,
        heartbeat=T0,
        **(fields | more),
    )


def policy(scope: str, mode: str) -> PolicySelected:
    """Return a policy that sets a mode."""
    return PolicySelected(
        scope=scope,
        component=scope.partition("/")[0],
        algorithm="default",
        parameters=(KeyValue(key="by", value="test"),),
        mode=mode,
        selected_at=T0,
        event_id=f"policy-{scope}-{mode}",
    )

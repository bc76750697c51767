"""Other workers that could do a task, as the catalogue knows them. Pure.

Where a worker is comes from its own heartbeat in the catalogue, never from a request.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from schemas.catalogue import Catalogue
from schemas.registrations import InstanceReported, NodeReported, ServiceRegistered

UNDECLARED_MS = 5.0
"""What an execution is expected to take of which nothing is known."""
HEALTHY, CONSTRAINED = "healthy", "constrained"
USABLE = (HEALTHY, CONSTRAINED)
"""States in which a worker is asked, the better first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A worker that hosts what is wanted; times in ms, instants in ms since the epoch.

    `address` is where it answers, empty when it answers nobody. `queue_ms` is the predicted work
    that waits there, `expected_ms` the time of one execution. It counts as gone after `expires_at`.
    """

    worker: str
    node: str = ""
    instance: str = ""
    address: str = ""
    health: str = HEALTHY
    message: str = ""
    backends: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    capacity: int = 0
    queue_ms: float = 0.0
    expected_ms: float = UNDECLARED_MS
    heartbeat: float = 0.0
    expires_at: float = 0.0


def peers_of(catalogue: Catalogue, service: str, own: str = "") -> list[Peer]:
    """Return the workers that have said they host a service, by name; `own` is left out.

    The queue of a worker is that of all its instances, since it executes one task at a time.
    """
    loads: dict[str, float] = {}
    for one in catalogue.of(InstanceReported).values():
        loads[one.worker] = loads.get(one.worker, 0.0) + one.queue_ms
    return sorted(_hosting(catalogue, service, own, loads), key=lambda peer: peer.worker)


def _hosting(
    catalogue: Catalogue, service: str, own: str, loads: Mapping[str, float]
) -> Iterator[Peer]:
    registered = catalogue.get(ServiceRegistered, service)
    declared = registered.latency_ms if registered else None
    for one in catalogue.of(InstanceReported).values():
        if one.service != service or one.role != "worker" or one.worker == own:
            continue
        known = {entry.key: entry.value for entry in one.metadata}
        health, message = _health(one, catalogue.get(NodeReported, one.node))
        yield Peer(
            worker=one.worker,
            node=one.node,
            instance=one.instance,
            address=one.address or "",
            health=health,
            message=message,
            backends=tuple(known[key] for key in ("runtime", "provider") if key in known),
            devices=_devices(registered, known.get("variant", "")),
            queue_ms=loads[one.worker],
            expected_ms=UNDECLARED_MS if declared is None else declared,
            heartbeat=float(one.heartbeat),
            expires_at=float(one.expires_at),
        )


def _health(one: InstanceReported, node: NodeReported | None) -> tuple[str, str]:
    if node is not None and node.status == "failed":
        return "failed", f"node {one.node} has failed"
    return (HEALTHY, "") if one.health == "ready" else (one.health, one.message or "")


def _devices(registered: ServiceRegistered | None, variant: str) -> tuple[str, ...]:
    found = registered.variants if registered else ()
    return tuple(one.device for one in found if one.name == variant)

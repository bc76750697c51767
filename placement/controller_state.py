"""What place remembers, as Avro-compatible dataclasses; a snapshot is a `PlaceState`."""

from dataclasses import dataclass

from schemas.decisions import Assignment, PlacementDecided


@dataclass(slots=True, kw_only=True)
class ServiceState:
    """One service: what is asked of it, since which request, and its newest decision.

    `answered` says whether the request has been decided on; `decided` is the status of the newest
    decision, empty before the first.
    """

    service: str
    app: str
    replicas: int = 0
    request: str = ""
    reason: str = ""
    answered: bool = True
    generation: int = 0
    decided: str = ""
    decided_replicas: int = 0
    assignments: tuple[Assignment, ...] = ()


@dataclass(slots=True, kw_only=True)
class PlaceState:
    """Everything: services by name, the ids of the last requests, the next look (ms)."""

    next_look: int = 0
    seen: tuple[str, ...] = ()
    services: tuple[ServiceState, ...] = ()


def state_of(decided: PlacementDecided) -> ServiceState:
    """Return what a decision tells of a service, as the state to go on from."""
    return ServiceState(
        service=decided.service,
        app=decided.app,
        replicas=decided.replicas,
        request=decided.causes[0] if decided.causes else "",
        reason=decided.reason,
        generation=decided.generation,
        decided=decided.status,
        decided_replicas=decided.replicas,
        assignments=decided.assignments,
    )

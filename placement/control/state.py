"""What place remembers, as Avro-compatible dataclasses; a snapshot is a `PlaceState`."""

from dataclasses import dataclass

from schemas.decisions import Assignment, PlacementDecided


@dataclass(slots=True, kw_only=True)
class ServiceState:
    """One service: what is asked of it, since which request, and its newest decision.

    `leaving` are those of the assignments that go as soon as enough of the others serve.
    `answered` says whether the request has been decided on; `decided` is the status of the newest
    decision, empty before the first. `scaled` says that a request of kind load set the number of
    copies last. `moved_at` is when a copy last moved without need, `waiting_since` since when
    copies wait for room; 0: never.
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
    scaled: bool = False
    moved_at: int = 0
    waiting_since: int = 0
    leaving: tuple[Assignment, ...] = ()


@dataclass(slots=True, kw_only=True)
class PlaceState:
    """Everything: services by name, the ids of the last requests, the next look (ms).

    `moves` are the clocks of moves without need that the budget still counts, `refused` the ids of
    the last refusals of policies.
    """

    next_look: int = 0
    seen: tuple[str, ...] = ()
    services: tuple[ServiceState, ...] = ()
    moves: tuple[int, ...] = ()
    refused: tuple[str, ...] = ()


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
        waiting_since=decided.waiting_since or 0,
    )

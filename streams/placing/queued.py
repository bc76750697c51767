"""What waits for a place, why, and since when. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from placement import authority
from schemas.authority import REASON, frozen, parameter, paused
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided, PlacementRequested
from schemas.registrations import ServiceRegistered

_SENSITIVITY = {"both": 0, "memory": 1, "cpu": 1}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A service of which copies wait; `since` is ms since the epoch."""

    service: str
    app: str
    copies: int
    priority: int
    sensitivity: str
    since: int
    why: str


ORDERS: Mapping[str, Callable[[Waiting], tuple[int, ...]]] = {
    "priority": lambda one: (-one.priority, one.since),
    "sensitivity": lambda one: (_SENSITIVITY.get(one.sensitivity, 2), -one.priority, one.since),
    "age": lambda one: (one.since,),
}
"""What comes first, by the name of the order; what is equal, by name."""


def waiting(
    catalogue: Catalogue, asked: Iterable[PlacementRequested], order: str = "priority"
) -> list[Waiting]:
    """Return what found no room, and what place has not answered; `asked` as they were sent."""
    found = {one.service: one for one in _without_room(catalogue)}
    found |= {one.service: one for one in _unanswered(catalogue, asked)}
    return sorted(found.values(), key=lambda one: (ORDERS[order](one), one.service))


def _without_room(catalogue: Catalogue) -> Iterable[Waiting]:
    for decided in catalogue.of(PlacementDecided).values():
        lacking = decided.replicas - len(decided.assignments)
        if lacking > 0:
            since = decided.waiting_since or decided.decided_at
            yield _made(catalogue, decided.service, decided.app, lacking, since, decided.reason)


def _unanswered(catalogue: Catalogue, asked: Iterable[PlacementRequested]) -> Iterable[Waiting]:
    newest: dict[str, tuple[PlacementRequested, int]] = {}
    for request in asked:
        for demand in request.demands:
            newest[demand.service] = (request, max(0, demand.replicas))
    for service, (request, copies) in newest.items():
        decided = catalogue.get(PlacementDecided, service)
        known = decided.replicas if decided is not None else 0
        late = decided is not None and decided.decided_at > request.requested_at
        if copies <= known or late:
            continue
        why = f"{request.reason}; {_held(catalogue, request.app)}"
        yield _made(catalogue, service, request.app, copies - known, request.requested_at, why)


def _held(catalogue: Catalogue, app: str) -> str:
    stop = frozen(catalogue, app)
    if stop is not None:
        return f"deeds are frozen: {parameter(stop, REASON) or stop.scope}"
    if paused(catalogue):
        return "placement is paused"
    if not authority.may_decide(catalogue, app):
        return "the mode is observe"
    return "place has not answered yet"


def _made(
    catalogue: Catalogue, service: str, app: str, copies: int, since: int, why: str
) -> Waiting:
    known = catalogue.get(ServiceRegistered, service)
    priority, sensitivity = (known.priority, known.sensitivity) if known else (0, "none")
    return Waiting(service, app, copies, priority, sensitivity, since, why)


def deeds_of(decided: PlacementDecided, actions: Sequence[tuple[tuple[str, ...], str]]) -> str:
    """Return what came of a decision: actions are (causes, words)."""
    return "; ".join(words for causes, words in actions if decided.event_id in causes)

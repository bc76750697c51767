"""place: where the copies of services run.

Answers every PlacementRequested, and looks at the nodes twice a second: services on nodes that
failed, expired or are gone are placed elsewhere, and those that found no node are tried again. One
instance for all. Decisions of a service have rising generations; nothing is said where nothing
changes. The algorithm is that of the policy for `place` (placement.scores.ALGORITHMS), and in
mode `observe` nothing is decided.

Bounds: one entry per service that is registered and was ever asked for, or that is asked for; the
ids of the last 256 requests.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from placement.authority import mode_of
from placement.controller_state import PlaceState, ServiceState, state_of
from placement.controller_words import decision, reason_of
from placement.errors import InvalidParameters
from placement.model import Demand, NodeView, demand_of, node_view
from placement.occupancy import Occupancy
from placement.planner import Plan, Want, plan
from placement.scores import ALGORITHMS
from placement.watch import Watch
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import PlacementDecided, PlacementRequested
from schemas.identity import stable_id
from schemas.processing import Batch, Spec
from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered

_SEEN = 256
DEFAULT_ALGORITHM = "weighted"


@dataclass(frozen=True, slots=True)
class PlaceParams:
    """`look_ms`: how often nodes are looked at; `algorithm`: unless a policy names another."""

    look_ms: int = 500
    algorithm: str = DEFAULT_ALGORITHM


class Place:
    """The placements of all services.

    What follows from the catalogue is kept beside the state, so that the work of a batch grows
    with what changed, and with the nodes, not with all services.
    """

    def __init__(self, params: PlaceParams) -> None:
        self._params = params
        self._services: dict[str, ServiceState] = {}
        self._seen: dict[str, None] = {}
        self._next_look = 0
        self._begin()

    def _begin(self) -> None:
        self._registered: Mapping[str, ServiceRegistered] = {}
        self._placements: Mapping[str, PlacementDecided] = {}
        self._occupied = Occupancy()
        self._watch = Watch()
        self._watch.touch(self._services)

    def process(self, batch: Batch) -> Sequence[Event]:
        """Apply requests one by one; when it is time, look at nodes and services."""
        self._follow(batch.catalogue)
        views = self._views(batch)
        out: list[Event] = []
        if batch.now_ms >= self._next_look:
            step = self._params.look_ms
            turn = batch.now_ms // step
            self._next_look = (turn + 1) * step
            moved = self._occupied.services_on(self._watch.changed(views))
            out += self._decide(batch, views, moved | self._watch.due(turn))
        for record in batch.records:
            if isinstance(record.event, PlacementRequested):
                out += self._decide(batch, views, self._apply(record.event, batch.catalogue))
        return out

    def wake_at(self) -> int | None:
        """Return when the nodes are looked at next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return as Avro what the catalogue, as last seen, does not tell as well."""
        services = tuple(s for _, s in sorted(self._services.items()) if not self._is_told(s))
        state = PlaceState(next_look=self._next_look, seen=tuple(self._seen), services=services)
        return pack_state(state)

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, PlaceState)
        self._next_look = state.next_look
        self._seen = dict.fromkeys(state.seen)
        self._services = {service.service: service for service in state.services}
        self._begin()

    def _is_told(self, state: ServiceState) -> bool:
        decided = self._placements.get(state.service)
        if decided is None or not state.answered:
            return False
        causes = (state.request,) if state.request else ()
        known = (decided.generation, decided.replicas, decided.assignments, decided.causes)
        return known == (state.generation, state.replicas, state.assignments, causes)

    def _views(self, batch: Batch) -> dict[str, NodeView]:
        """Return the nodes as they are now, when this batch may have to decide."""
        if not batch.records and batch.now_ms < self._next_look:
            return {}
        return {n: node_view(r, batch.now_ms) for n, r in batch.catalogue.of(NodeReported).items()}

    def _follow(self, catalogue: Catalogue) -> None:
        """Take over what has changed in the catalogue: registrations, newer decisions."""
        registered, placements = catalogue.of(ServiceRegistered), catalogue.of(PlacementDecided)
        if registered is not self._registered:
            known, self._registered = self._registered, registered
            for service in known.keys() | registered.keys():
                if known.get(service) is not registered.get(service):
                    self._note(service)
        if placements is not self._placements:
            before, self._placements = self._placements, placements
            for service in before.keys() - placements.keys():
                self._forget_if(service, at_end=True)
            for service, decided in placements.items():
                self._adopt(service, decided)

    def _adopt(self, service: str, decided: PlacementDecided) -> None:
        """Go on from a decision that is newer than what is known of a service."""
        known = self._services.get(service)
        if known is not None and known.generation >= decided.generation:
            self._forget_if(service, at_end=known.generation == decided.generation)
            return
        newer = state_of(decided)
        if known is not None and not known.answered:
            newer.replicas, newer.reason = known.replicas, known.reason
            newer.request, newer.answered = known.request, False
        self._services[service] = newer
        self._note(service)

    def _note(self, service: str) -> None:
        """Count what a service takes now, and let it be looked at."""
        state, registered = self._services.get(service), self._registered.get(service)
        self._occupied.drop(service)
        if state is None:
            return
        if registered is not None:
            self._occupied.put(demand_of(registered), state.assignments)
        self._watch.touch([service])
        decided = self._placements.get(service)
        told = decided is not None and decided.generation >= state.generation
        self._forget_if(service, at_end=told)

    def _forget_if(self, service: str, *, at_end: bool) -> None:
        """Let go of a service that is retired and removed, once the catalogue says so too."""
        state = self._services.get(service)
        if state is None or state.replicas or not state.answered or service in self._registered:
            return
        if at_end or not state.generation:
            del self._services[service]
            self._watch.forget(service)

    def _apply(self, request: PlacementRequested, catalogue: Catalogue) -> set[str]:
        """Take over what a request asks for; return the services concerned, none if it is old."""
        if request.event_id in self._seen:
            return set()
        self._seen[request.event_id] = None
        while len(self._seen) > _SEEN:
            del self._seen[next(iter(self._seen))]
        for demand in request.demands:
            service = demand.service
            if service not in self._services:
                decided = catalogue.get(PlacementDecided, service)
                fresh = ServiceState(service=service, app=request.app)
                self._services[service] = fresh if decided is None else state_of(decided)
            state = self._services[service]
            state.app, state.replicas = request.app, max(0, demand.replicas)
            state.request, state.reason, state.answered = request.event_id, request.reason, False
        return {demand.service for demand in request.demands}

    def _decide(
        self, batch: Batch, views: dict[str, NodeView], services: Collection[str]
    ) -> list[Event]:
        """Plan services and return decisions where something changed; retirements come first."""
        catalogue, now = batch.catalogue, batch.now_ms
        known = {s for s in services if s in self._services}
        chosen = {s for s in known if mode_of(catalogue, "place", self._app(s)) != "observe"}
        self._watch.postpone(known - chosen)
        if not chosen:
            return []
        algorithm = self._algorithm(catalogue)
        plans = self._plan(views, algorithm, chosen)
        decided: list[Event] = []
        for service, planned in sorted(plans.items(), key=lambda p: (p[1].replicas > 0, p[0])):
            state = self._services[service]
            if _changes(state, planned):
                registered = service in self._registered
                reason = reason_of(state, planned, views, registered)
                state.generation += 1
                state.decided, state.decided_replicas = planned.status, planned.replicas
                state.assignments = planned.assignments
                decided.append(decision(state, planned, reason, algorithm, now, catalogue))
            state.answered = True
            self._settle(state, views)
        return decided

    def _settle(self, state: ServiceState, views: dict[str, NodeView]) -> None:
        registered = self._registered.get(state.service)
        if not state.replicas and not state.generation:
            del self._services[state.service]
            self._watch.forget(state.service)
        elif registered is not None:
            self._occupied.put(demand_of(registered), state.assignments)
            self._watch.settle(state, views)

    def _plan(
        self, views: dict[str, NodeView], algorithm: str, services: set[str]
    ) -> dict[str, Plan]:
        wants, plans = [], {}
        for service in services:
            state, found = self._services[service], self._registered.get(service)
            self._occupied.drop(service)
            if found is None:
                plans[service] = Plan(service=service, replicas=state.replicas, assignments=())
                continue
            wants.append(
                Want(demand=demand_of(found), replicas=state.replicas, present=state.assignments)
            )
        nodes = tuple(views.values())
        return plans | plan(wants, nodes, algorithm, self._occupied, self._mix(algorithm))

    def _mix(self, algorithm: str) -> tuple[Demand, ...]:
        """Return the workload that fragmentation is judged by, where an algorithm asks for it."""
        if not ALGORITHMS[algorithm].fragmentation:
            return ()
        return tuple(demand_of(s) for _, s in sorted(self._registered.items()))

    def _algorithm(self, catalogue: Catalogue) -> str:
        policy = catalogue.get(PolicySelected, "place")
        named = policy.algorithm if policy is not None else self._params.algorithm
        return named if named in ALGORITHMS else self._params.algorithm

    def _app(self, service: str) -> str:
        return self._services[service].app


def _changes(state: ServiceState, planned: Plan) -> bool:
    if not state.generation and not planned.replicas:
        return False
    before = (state.decided, state.decided_replicas, state.assignments)
    return before != (planned.status, planned.replicas, planned.assignments)


def spec(params: PlaceParams | None = None) -> Spec:
    """Return how hosts know this processor.

    Raises placement.errors.InvalidParameters.
    """
    chosen = params or PlaceParams()
    if chosen.look_ms < 1:
        raise InvalidParameters(f"PlaceParams.look_ms is {chosen.look_ms}; it must be at least 1")
    if chosen.algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise InvalidParameters(f"no algorithm {chosen.algorithm!r}; known: {known}")
    return Spec(
        name="place",
        inputs=("weir.control",),
        outputs=(PlacementDecided,),
        build=lambda _: Place(chosen),
        parameters=stable_id("parameters", repr(chosen)),
        state=PlaceState,
        format=2,
        portable=True,
        singleton=True,
        catalogue=(
            NodeReported,
            ServiceRegistered,
            PlacementDecided,
            PolicySelected,
        ),
    )

"""place: where the copies of services run.

Answers every PlacementRequested, and looks at the nodes twice a second: services on nodes that
failed, expired or are gone are placed elsewhere, and those that found no node are tried again. One
instance for all. Decisions of a service have rising generations; nothing is said where nothing
changes. The algorithm is that of the policy for `place` (placement.scores.ALGORITHMS), and in
mode `observe` nothing is decided.

Bounds: one entry per service that is registered and was ever asked for, or that is asked for; the
ids of the last 256 requests.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from placement.authority import mode_of
from placement.controller_state import PlaceState, ServiceState, state_of
from placement.controller_words import decision, reason_of
from placement.errors import InvalidParameters
from placement.model import NodeView, demand_of, node_view
from placement.planner import Plan, Want, plan
from placement.scores import ALGORITHMS
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
    """The placements of all services."""

    def __init__(self, params: PlaceParams) -> None:
        self._params = params
        self._services: dict[str, ServiceState] = {}
        self._seen: dict[str, None] = {}
        self._next_look = 0

    def process(self, batch: Batch) -> Sequence[Event]:
        """Apply requests one by one; when it is time, look at nodes and all services."""
        out: list[Event] = []
        if batch.now_ms >= self._next_look:
            step = self._params.look_ms
            self._next_look = (batch.now_ms // step + 1) * step
            self._adopt(batch.catalogue)
            out += self._decide(batch, set(self._services))
        for record in batch.records:
            if isinstance(record.event, PlacementRequested):
                self._adopt(batch.catalogue)
                out += self._decide(batch, self._apply(record.event, batch.catalogue))
        return out

    def wake_at(self) -> int | None:
        """Return when the nodes are looked at next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return requests and decisions as Avro."""
        services = tuple(state for _, state in sorted(self._services.items()))
        state = PlaceState(next_look=self._next_look, seen=tuple(self._seen), services=services)
        return pack_state(state)

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, PlaceState)
        self._next_look = state.next_look
        self._seen = dict.fromkeys(state.seen)
        self._services = {service.service: service for service in state.services}

    def _adopt(self, catalogue: Catalogue) -> None:
        """Go on from newer decisions of the catalogue; let go of what is retired and removed."""
        for service, decided in catalogue.of(PlacementDecided).items():
            known = self._services.get(service)
            if known is None:
                self._services[service] = state_of(decided)
            elif known.generation < decided.generation:
                newer = state_of(decided)
                if not known.answered:
                    newer.replicas, newer.reason = known.replicas, known.reason
                    newer.request, newer.answered = known.request, False
                self._services[service] = newer
        registered = catalogue.of(ServiceRegistered)
        for service, state in list(self._services.items()):
            if service not in registered and not state.replicas and state.answered:
                del self._services[service]

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

    def _decide(self, batch: Batch, services: Collection[str]) -> list[Event]:
        """Plan services and return decisions where something changed; retirements come first."""
        catalogue, now = batch.catalogue, batch.now_ms
        chosen = {s for s in services if mode_of(catalogue, "place", self._app(s)) != "observe"}
        if not chosen:
            return []
        views = {n: node_view(r, now) for n, r in catalogue.of(NodeReported).items()}
        algorithm = self._algorithm(catalogue)
        plans = self._plan(catalogue, views, algorithm, chosen)
        decided: list[Event] = []
        for service, planned in sorted(plans.items(), key=lambda p: (p[1].replicas > 0, p[0])):
            state = self._services[service]
            if _changes(state, planned):
                registered = catalogue.get(ServiceRegistered, service) is not None
                reason = reason_of(state, planned, views, registered)
                state.generation += 1
                state.decided, state.decided_replicas = planned.status, planned.replicas
                state.assignments = planned.assignments
                decided.append(decision(state, planned, reason, algorithm, now, catalogue))
            state.answered = True
        return decided

    def _plan(
        self,
        catalogue: Catalogue,
        views: dict[str, NodeView],
        algorithm: str,
        services: set[str],
    ) -> dict[str, Plan]:
        registered = catalogue.of(ServiceRegistered)
        wants, plans = [], {}
        for service, state in self._services.items():
            found = registered.get(service)
            if found is not None:
                wants.append(
                    Want(
                        demand=demand_of(found),
                        replicas=state.replicas,
                        present=state.assignments,
                    )
                )
            elif service in services:
                plans[service] = Plan(service=service, replicas=state.replicas, assignments=())
        mix = tuple(demand_of(s) for _, s in sorted(registered.items()))
        return plans | plan(wants, tuple(views.values()), algorithm, services, mix)

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
        portable=True,
        singleton=True,
        catalogue=(
            NodeReported,
            ServiceRegistered,
            PlacementDecided,
            PolicySelected,
        ),
    )

"""place: where the copies of services run.

Answers every PlacementRequested, and looks at the nodes twice a second: services on nodes that
failed, expired or are gone are placed elsewhere, and those that wait for room are tried again in
the order of the queue. One instance for all. Decisions of a service have rising generations;
nothing is said where nothing changes.

The policy for `place` names the algorithm (placement.algorithms.names, or one of a plug-in), and by
its parameter `queue` who of those that wait comes first: `priority`, `sensitivity` or `age`. Where
`placement.authority` does not let place decide, requests wait.

Bounds: one entry per service that is registered and was ever asked for, or that is asked for; the
ids of the last 256 requests.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from placement.algorithms.names import DEFAULT, OWN, Maker
from placement.authority import PLACE, may_decide
from placement.choosing.chooser import Filter
from placement.control.asked import asked_for, terms_changed
from placement.control.deciding import Deciding
from placement.control.estate import Estate
from placement.control.moving import Budget
from placement.control.plans import Plan
from placement.control.state import PlaceState, ServiceState, state_of
from placement.control.watch import Watch
from placement.control.words import decision, reason_of
from placement.errors import InvalidParameters
from schemas.authority import draining
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import (
    ActionTaken,
    Assignment,
    EnsembleSelected,
    PlacementDecided,
    PlacementRequested,
)
from schemas.identity import stable_id
from schemas.processing import Batch, Spec
from schemas.registrations import (
    InstanceReported,
    NodeReported,
    PolicySelected,
    ServiceRegistered,
)

_SEEN = 256
_REFUSALS = 64


@dataclass(frozen=True, slots=True)
class PlaceParams:
    """`look_ms`: how often nodes are looked at; `algorithm`: unless a policy names another."""

    look_ms: int = 500
    algorithm: str = DEFAULT


class Place:
    """The placements of all services.

    What follows from the catalogue is kept beside the state, so that the work of a batch grows
    with what changed, and with the nodes, not with all services.
    """

    def __init__(
        self,
        params: PlaceParams,
        others: Mapping[str, Maker] | None = None,
        filters: Mapping[str, Filter] | None = None,
    ) -> None:
        self._params = params
        self._makers = {**(others or {}), **OWN}
        self._filters = filters or {}
        self._services: dict[str, ServiceState] = {}
        self._seen: dict[str, None] = {}
        self._budget = Budget()
        self._refused: dict[str, None] = {}
        self._next_look = 0
        self._begin()

    def _begin(self) -> None:
        self._placements: Mapping[str, PlacementDecided] = {}
        self._selected: Mapping[str, PolicySelected] = {}
        self._judged: Mapping[str, PolicySelected] = self._selected
        self._estate = Estate(self._makers, self._filters)
        self._deciding = Deciding(
            self._estate, self._services, self._makers, self._params.algorithm
        )
        self._unsettled: set[str] = set()
        self._watch = Watch()
        self._watch.touch(self._services)

    def process(self, batch: Batch) -> Sequence[Event]:
        """Apply requests one by one; when it is time, look at nodes and services."""
        self._follow(batch.catalogue)
        looks = batch.now_ms >= self._next_look
        out: list[Event] = []
        if looks or batch.records:
            self._watch.touch(self._moved(batch))
        if looks:
            step = self._params.look_ms
            turn = batch.now_ms // step
            self._next_look = (turn + 1) * step
            out += self._refuse(batch)
            self._watch.touch(self._unsettled)
            self._watch.touch(self._deciding.stirred(self._watch.waiting, batch))
            key = self._deciding.turn
            due = self._watch.due(turn, self._estate.chance, lambda s: key(s, batch))
            out += self._decide(batch, due)
            out += self._say(batch, self._deciding.rebalance(batch, turn, self._budget))
        for record in batch.records:
            if isinstance(record.event, PlacementRequested):
                out += self._decide(batch, self._apply(record.event, batch.catalogue))
        return out

    def _moved(self, batch: Batch) -> set[str]:
        """Look at the nodes; return services with copies on those that changed."""
        catalogue = batch.catalogue
        reports, leaving = catalogue.of(NodeReported), draining(catalogue)
        return self._estate.look(reports, batch.now_ms, leaving, self._services)

    def wake_at(self) -> int | None:
        """Return when the nodes are looked at next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return as Avro what the catalogue, as last seen, does not tell as well."""
        services = tuple(s for _, s in sorted(self._services.items()) if not self._is_told(s))
        state = PlaceState(
            next_look=self._next_look,
            seen=tuple(self._seen),
            services=services,
            moves=self._budget.moves,
            refused=tuple(self._refused),
        )
        return pack_state(state)

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, PlaceState)
        self._next_look = state.next_look
        self._seen = dict.fromkeys(state.seen)
        self._refused = dict.fromkeys(state.refused)
        self._budget = Budget(state.moves)
        self._services = {service.service: service for service in state.services}
        self._begin()

    def _is_told(self, state: ServiceState) -> bool:
        decided = self._placements.get(state.service)
        untold = state.scaled or state.moved_at or state.leaving or not state.answered
        if decided is None or untold:
            return False
        causes = (state.request,) if state.request else ()
        known = (decided.generation, decided.replicas, decided.assignments, decided.causes)
        return known == (state.generation, state.replicas, state.assignments, causes)

    def _follow(self, catalogue: Catalogue) -> None:
        """Take over what has changed in the catalogue: registrations, newer decisions."""
        registered = catalogue.of(ServiceRegistered)
        for service in self._estate.follow(registered, catalogue.of(PolicySelected)):
            self._note(service)
        placements = catalogue.of(PlacementDecided)
        if placements is not self._placements:
            before, self._placements = self._placements, placements
            for service in before.keys() - placements.keys():
                self._forget_if(service, at_end=True)
            for service, decided in placements.items():
                if before.get(service) is not decided:
                    self._adopt(service, decided)
        selected, known = catalogue.of(PolicySelected), self._selected
        if selected is not known:
            self._selected = selected
            self._watch.touch(terms_changed(known, selected) & self._services.keys())

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
        """Let a service be looked at, and those that are bound to where it runs."""
        state = self._services.get(service)
        self._estate.renew(service)
        if state is None:
            return
        self._watch.touch([service])
        decided = self._placements.get(service)
        told = decided is not None and decided.generation >= state.generation
        self._forget_if(service, at_end=told)

    def _forget_if(self, service: str, *, at_end: bool) -> None:
        """Let go of a service that is retired and removed, once the catalogue says so too."""
        state = self._services.get(service)
        if state is None or state.replicas or not state.answered or service in self._estate.demands:
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
            asked_for(self._services[service], request, demand, catalogue)
        return {demand.service for demand in request.demands}

    def _decide(self, batch: Batch, services: Collection[str]) -> list[Event]:
        """Plan services, where place may decide; those of others wait."""
        known = {s for s in services if s in self._services}
        chosen = {s for s in known if may_decide(batch.catalogue, self._services[s].app)}
        self._watch.postpone(known - chosen)
        return self._say(batch, self._deciding.plan(chosen, batch)) if chosen else []

    def _say(self, batch: Batch, plans: Mapping[str, Plan]) -> list[Event]:
        """Return decisions where plans change something; retirements come first.

        Where copies left, those that found no room before are tried again at the next look.
        """
        catalogue, now = batch.catalogue, batch.now_ms
        algorithm = self._deciding.algorithm(catalogue)
        decided: list[Event] = []
        freed = False
        for service, planned in sorted(plans.items(), key=lambda p: (p[1].replicas > 0, p[0])):
            state = self._services[service]
            if not planned.missing:
                state.waiting_since = 0
            elif not state.waiting_since:
                state.waiting_since = now
            if _changes(state, planned):
                nodes = self._estate.roster.machines
                reason = reason_of(state, planned, nodes, self._estate.demands)
                freed |= not _instances(state.assignments) <= _instances(planned.assignments)
                state.generation += 1
                state.decided, state.decided_replicas = planned.status, planned.replicas
                state.assignments, state.leaving = planned.assignments, planned.leaving
                state.moved_at = now if planned.moves else state.moved_at
                decided.append(decision(state, planned, reason, algorithm, now, catalogue))
            state.answered = True
            self._settle(state, planned)
        if freed:
            waiting = {service for service, planned in plans.items() if planned.missing}
            self._watch.postpone(waiting & self._estate.demands.keys())
        return decided

    def _refuse(self, batch: Batch) -> list[Event]:
        """Return refusals of parameters, once for each policy."""
        if self._judged is self._selected:
            return []
        self._judged = self._selected
        scopes = [scope.partition("/") for scope in self._selected]
        apps = sorted({app for place, _, app in scopes if place == PLACE})
        refusals = self._deciding.policies.refusals
        found = [one for app in apps for one in refusals(app, batch.catalogue)]
        fresh = {one.event_id: one for one in found if one.event_id not in self._refused}
        self._refused = dict.fromkeys([*self._refused, *fresh][-_REFUSALS:])
        return list(fresh.values())

    def _settle(self, state: ServiceState, planned: Plan) -> None:
        unsettled = planned.waits or bool(planned.leaving)
        (self._unsettled.add if unsettled else self._unsettled.discard)(state.service)
        if not state.replicas and not state.generation:
            del self._services[state.service]
            self._watch.forget(state.service)
        elif state.service in self._estate.demands:
            self._watch.settle(state, self._estate.roster.machines, self._estate.chance)


def _instances(assignments: Iterable[Assignment]) -> set[str]:
    return {one.instance for one in assignments}


def _changes(state: ServiceState, planned: Plan) -> bool:
    if not state.generation and not planned.replicas:
        return False
    before = (state.decided, state.decided_replicas, state.assignments)
    return before != (planned.status, planned.replicas, planned.assignments)


def spec(
    params: PlaceParams | None = None,
    plugins: Mapping[str, Maker] | None = None,
    filters: Mapping[str, Filter] | None = None,
) -> Spec:
    """Return how hosts know this processor; with algorithms and filters of others, by name.

    Raises placement.errors.InvalidParameters.
    """
    chosen = params or PlaceParams()
    if chosen.look_ms < 1:
        raise InvalidParameters(f"PlaceParams.look_ms is {chosen.look_ms}; it must be at least 1")
    known = {**(plugins or {}), **OWN}
    if chosen.algorithm not in known:
        told = ", ".join(sorted(known))
        raise InvalidParameters(f"no algorithm {chosen.algorithm!r}; known: {told}")
    return Spec(
        name="place",
        inputs=("weir.control",),
        outputs=(PlacementDecided, ActionTaken),
        build=lambda _: Place(chosen, plugins, filters),
        parameters=stable_id("parameters", repr(chosen)),
        state=PlaceState,
        format=2,
        portable=True,
        singleton=True,
        catalogue=(
            NodeReported,
            ServiceRegistered,
            InstanceReported,
            EnsembleSelected,
            PlacementDecided,
            PolicySelected,
        ),
    )

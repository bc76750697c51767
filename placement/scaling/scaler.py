"""scale: how many copies of each service run, by what they bear and what was promised.

Services whose registration sets `max_replicas` are scaled between `min_replicas` and that, once
they are placed. Load is the share of time that instances executed (observations of `execution`,
divided by the tasks per execution that workers report), and the work that waits. A violated clause
on time or availability asks for one more copy of the service that contributed most. A service
without requests goes down to its least number, none included; it comes back when its application
is asked. What it decides is a PlacementRequested of kind load or verdict, for one service.

Of every service it says, as a policy `takes/<service>`, what copies are seen to take beside what
is declared (`taking`).

Policies for `place` set the parameters (`sizing.ScalePolicy`); in mode `observe` nothing is asked
for. Wrong parameters are refused by an event, once per policy.

Bounds: per application with such a service, 64 broken clauses; per such service, one window for
each of at most 256 instances and one call for each number of copies; the ids of 64 refusals.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from placement.authority import may_decide
from placement.errors import InvalidParameters
from placement.policies import Policies
from placement.scaling.sizing import ScalePolicy
from placement.scaling.state import AppLoad, ScaleState
from placement.scaling.steps import Standing, Step, batches_of, blamed_by, take
from placement.scaling.taking import TakePolicy, correction, uses_of
from schemas.authority import mode_of
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken, EnsembleSelected, PlacementDecided, PlacementRequested
from schemas.identity import stable_id
from schemas.observing import ContractViolated, Observation
from schemas.partitioning import partition_of
from schemas.processing import Batch, Home, Spec
from schemas.registrations import InstanceReported, PolicySelected, ServiceRegistered
from schemas.topics import PARTITIONS
from schemas.working import WorkerReported

_REFUSALS = 64


@dataclass(frozen=True, slots=True)
class ScaleParams:
    """`look_ms`: how often (ms, at least 1) it is decided whether a number should change."""

    look_ms: int = 1_000


class Scale:
    """The numbers of copies of the applications whose key falls into one partition."""

    def __init__(self, partition: int, params: ScaleParams, partitions: int = PARTITIONS) -> None:
        self._partition = partition
        self._partitions = partitions
        self._params = params
        self._apps: dict[str, AppLoad] = {}
        self._refused: dict[str, None] = {}
        self._next_look = 0
        self._policies = Policies(ScalePolicy)
        self._taking = Policies(TakePolicy)
        self._heard: Mapping[str, WorkerReported] = {}
        self._registered: Mapping[str, ServiceRegistered] = {}
        self._scaled: dict[str, tuple[ServiceRegistered, ...]] = {}

    def process(self, batch: Batch) -> Sequence[Event]:
        """Look when it is time, then take note of what the batch tells."""
        self._follow(batch.catalogue)
        out: list[Event] = []
        if batch.now_ms >= self._next_look:
            step = self._params.look_ms
            self._next_look = (batch.now_ms // step + 1) * step
            out += self._look(batch)
            out += self._correct(batch)
        for record in batch.records:
            event = record.event
            if isinstance(event, Observation) and event.app in self._scaled:
                take(self._state(event.app), event, self._scaled[event.app])
            elif isinstance(event, ContractViolated) and event.app in self._scaled:
                blamed_by(self._state(event.app), event)
        return out

    def wake_at(self) -> int | None:
        """Return when it looks next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return all applications' states as Avro."""
        apps = tuple(state for _, state in sorted(self._apps.items()))
        refused = tuple(self._refused)
        return pack_state(ScaleState(next_look=self._next_look, refused=refused, apps=apps))

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, ScaleState)
        self._next_look = state.next_look
        self._refused = dict.fromkeys(state.refused)
        self._apps = {app.app: app for app in state.apps}

    def _state(self, app: str) -> AppLoad:
        return self._apps.setdefault(app, AppLoad(app=app))

    def _follow(self, catalogue: Catalogue) -> None:
        """Find the applications of this partition that have a service to scale."""
        registered = catalogue.of(ServiceRegistered)
        if registered is self._registered:
            return
        self._registered = registered
        found: dict[str, list[ServiceRegistered]] = {}
        for service in registered.values():
            if self._is_mine(service) and service.max_replicas > 0:
                found.setdefault(service.app, []).append(service)
        self._scaled = {a: tuple(sorted(s, key=lambda s: s.service)) for a, s in found.items()}

    def _look(self, batch: Batch) -> list[Event]:
        out: list[Event] = []
        for app in self._apps.keys() - self._scaled.keys():
            del self._apps[app]
        for app, services in sorted(self._scaled.items()):
            out += self._refuse(app, batch.catalogue)
            if mode_of(batch.catalogue, "place", app) != "observe":
                out += self._steps(app, services, batch)
        return out

    def _correct(self, batch: Batch) -> list[Event]:
        """Say what copies are seen to take, when workers have told something new."""
        catalogue = batch.catalogue
        heard = catalogue.of(WorkerReported)
        if heard is self._heard:
            return []
        self._heard = heard
        out: list[Event] = []
        for name, uses in sorted(uses_of(catalogue, batch.now_ms).items()):
            service = self._registered.get(name)
            if service is None or not self._is_mine(service):
                continue
            policy = self._taking.of(service.app, catalogue)
            if may_decide(catalogue, service.app):
                told = correction(service, uses, catalogue, policy, batch.now_ms)
                out += () if told is None else (told,)
        return out

    def _is_mine(self, service: ServiceRegistered) -> bool:
        return partition_of(service.app, self._partitions) == self._partition

    def _refuse(self, app: str, catalogue: Catalogue) -> Iterator[Event]:
        refusals = [each.refusals(app, catalogue) for each in (self._policies, self._taking)]
        for refusal in chain(*refusals):
            if refusal.event_id not in self._refused:
                self._refused[refusal.event_id] = None
                yield refusal
        while len(self._refused) > _REFUSALS:
            del self._refused[next(iter(self._refused))]

    def _steps(
        self, app: str, services: tuple[ServiceRegistered, ...], batch: Batch
    ) -> Iterator[Event]:
        catalogue, policy = batch.catalogue, self._policies.of(app, batch.catalogue)
        batches = batches_of(catalogue)
        names = {service.service for service in services}
        state = self._state(app)
        state.services = tuple(s for s in state.services if s.service in names)
        for service in services:
            standing = Standing(state, service, catalogue, policy, batch.now_ms)
            asked = Step(standing, batches).run()
            if asked is not None:
                yield asked


def _share(states: Sequence[ScaleState], partition: int, home: Home) -> ScaleState:
    return ScaleState(
        next_look=max(state.next_look for state in states),
        refused=tuple(dict.fromkeys(r for state in states for r in state.refused)),
        apps=tuple(app for state in states for app in state.apps if home(app.app) == partition),
    )


def spec(params: ScaleParams | None = None, partitions: int = PARTITIONS) -> Spec:
    """Return how hosts know this processor on so many partitions.

    Raises placement.errors.InvalidParameters.
    """
    chosen = params or ScaleParams()
    if chosen.look_ms < 1:
        raise InvalidParameters(f"ScaleParams.look_ms is {chosen.look_ms}; it must be at least 1")
    return Spec(
        name="scale",
        inputs=("weir.observations", "weir.violations"),
        outputs=(PlacementRequested, ActionTaken, PolicySelected),
        build=lambda partition: Scale(partition, chosen, partitions),
        parameters=stable_id("parameters", repr(chosen)),
        state=ScaleState,
        sized=lambda count: spec(params, count),
        share=_share,
        portable=True,
        catalogue=(
            ServiceRegistered,
            InstanceReported,
            EnsembleSelected,
            PlacementDecided,
            PolicySelected,
            WorkerReported,
        ),
    )

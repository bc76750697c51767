"""select: which services answer an application's requests, with which weights.

The first ensemble comes from declared profiles. From then on profiles are observed. When drift, a
violated contract or a grave verdict on quality says that the present ensemble has got worse, the
candidates that too little is known of since then run as shadows on live requests (a trial); then
all ensembles are compared exactly (`processors.selecting.ensembles`) and the best one takes over if
it gains enough. Without such a reason nothing is selected again.

Bounds: per application that the catalogue holds, one profile per service, each of at most
`windows` windows of accuracy and of latency.
"""

from collections.abc import Mapping, Sequence

from processors.params import identity, require
from processors.selecting.own import algorithms
from processors.selecting.parameters import SelectParams
from processors.selecting.proposals import Selector
from processors.selecting.state import AppState, SelectState
from processors.selecting.steps import Steps, dissolve, retired
from processors.selecting.triggers import take
from processors.selecting.world import Views, consumers_of
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken, EnsembleSelected, PlacementRequested
from schemas.observing import ContractViolated, DriftDetected, Observation, QualityEvaluated
from schemas.partitioning import partition_of
from schemas.processing import Batch, Home, Spec
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    InstanceReported,
    PolicySelected,
    ServiceRegistered,
)
from schemas.topics import PARTITIONS

INPUTS = ("weir.observations", "weir.drifts", "weir.violations", "weir.quality")
_SEEN = (Observation, DriftDetected, ContractViolated, QualityEvaluated)


class Select:
    """The selections of the applications whose key falls into one partition."""

    def __init__(
        self,
        partition: int,
        params: SelectParams,
        partitions: int = PARTITIONS,
        others: Mapping[str, Selector] | None = None,
    ) -> None:
        self._partition = partition
        self._partitions = partitions
        self._params = params
        self._algorithms = algorithms(others)
        self._apps: dict[str, dict[str, AppState]] = {}
        self._next_look = 0
        self._views = Views(self._algorithms)
        self._registered: Mapping[str, ApplicationRegistered] = {}
        self._mine: tuple[str, ...] = ()

    def process(self, batch: Batch) -> Sequence[Event]:
        """Apply a batch; when it is time, look at every application of this partition."""
        out: list[Event] = []
        if batch.now_ms >= self._next_look:
            step = self._params.look_ms
            self._next_look = (batch.now_ms // step + 1) * step
            for app in self._owned(batch.catalogue):
                out += self._look(app, batch)
        for record in batch.records:
            if isinstance(record.event, _SEEN) and self._owns(record.event.app):
                app = record.event.app
                if self._views.of(app, batch.catalogue, batch.now_ms) is not None:
                    for consumer in self._consumers(app, batch):
                        take(self._state(app, consumer), record.event, self._params.windows)
                        out += self._advance(app, consumer, batch)
        return out

    def wake_at(self) -> int | None:
        """Return when the catalogue is looked at next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return all applications' states as Avro."""
        apps = tuple(
            state for _, own in sorted(self._apps.items()) for _, state in sorted(own.items())
        )
        return pack_state(SelectState(next_look=self._next_look, apps=apps))

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, SelectState)
        self._next_look = state.next_look
        self._apps = {}
        for app in state.apps:
            self._apps.setdefault(app.app, {})[app.consumer] = app

    def _owns(self, app: str) -> bool:
        return partition_of(app, self._partitions) == self._partition

    def _owned(self, catalogue: Catalogue) -> list[str]:
        registered = catalogue.of(ApplicationRegistered)
        if registered is not self._registered:
            self._registered = registered
            self._mine = tuple(filter(self._owns, registered))
        return sorted({*self._mine, *self._apps})

    def _state(self, app: str, consumer: str = "") -> AppState:
        """Return the state of an application's ensemble, or of a consumer's own one.

        What was observed of the application is known to a new one from the beginning.
        """
        own = self._apps.setdefault(app, {})
        if consumer not in own:
            own[consumer] = _known(own.get(""), app, consumer)
        return own[consumer]

    def _consumers(self, app: str, batch: Batch) -> tuple[str, ...]:
        return ("", *consumers_of(app, batch.catalogue, batch.now_ms))

    def _look(self, app: str, batch: Batch) -> list[Event]:
        if self._views.of(app, batch.catalogue, batch.now_ms) is None:
            gone = self._apps.pop(app)
            ended = [
                e for name, s in sorted(gone.items()) if name for e in retired(s, batch.now_ms)
            ]
            return [*ended, *dissolve(gone.get("", AppState(app=app)), batch.now_ms)]
        wanted = self._consumers(app, batch)
        out: list[Event] = []
        for name in sorted(self._apps.get(app, {}).keys() - set(wanted)):
            out += retired(self._apps[app].pop(name), batch.now_ms)
        for name in wanted:
            out += self._advance(app, name, batch, look=True)
        return out

    def _elsewhere(self, app: str, consumer: str) -> dict[str, int]:
        """Return the copies that the other ensembles of an application need, one of each."""
        others = [s for name, s in self._apps.get(app, {}).items() if name != consumer]
        return {
            name: 1
            for state in others
            for name in (*state.services, *state.explaining, *state.shadows)
        }

    def _advance(self, app: str, consumer: str, batch: Batch, *, look: bool = False) -> list[Event]:
        view = self._views.of(app, batch.catalogue, batch.now_ms, consumer)
        if view is None:
            return []
        steps = Steps(
            self._state(app, consumer),
            view,
            self._params,
            batch.now_ms,
            batch.catalogue,
            self._algorithms,
            self._elsewhere(app, consumer),
        )
        if look:
            if steps.idle():
                return []
            steps.adopt()
            steps.look_at_instances()
        return steps.run()


def _known(whole: AppState | None, app: str, consumer: str) -> AppState:
    fresh = AppState(app=app, consumer=consumer)
    if whole is not None and consumer:
        fresh.since, fresh.labelled, fresh.classes = whole.since, whole.labelled, whole.classes
        fresh.profiles, fresh.failed = whole.profiles, whole.failed
        fresh.correlation, fresh.evidence = whole.correlation, whole.evidence
    return fresh


def _share(states: Sequence[SelectState], partition: int, home: Home) -> SelectState:
    return SelectState(
        next_look=max(state.next_look for state in states),
        apps=tuple(app for state in states for app in state.apps if home(app.app) == partition),
    )


def spec(
    params: SelectParams | None = None,
    partitions: int = PARTITIONS,
    *,
    plugins: Mapping[str, Selector] | None = None,
) -> Spec:
    """Return how hosts know this processor on so many partitions, with selectors of others.

    Raises processors.errors.InvalidParameters.
    """
    chosen = params or SelectParams()
    require(chosen, trial_min=1, trial_ms=1, min_gain=0.0, cooldown_ms=0, look_ms=1, windows=1)
    require(chosen, explore_ms=1, trial_most_ms=1, serve_ms=1)
    return Spec(
        name="select",
        inputs=INPUTS,
        outputs=(EnsembleSelected, PlacementRequested, ActionTaken),
        build=lambda partition: Select(partition, chosen, partitions, plugins),
        parameters=identity(chosen),
        state=SelectState,
        format=6,
        sized=lambda count: spec(params, count, plugins=plugins),
        share=_share,
        portable=True,
        catalogue=(
            ApplicationRegistered,
            ServiceRegistered,
            ContractRegistered,
            InstanceReported,
            EnsembleSelected,
            PolicySelected,
            ConsumerRegistered,
        ),
    )

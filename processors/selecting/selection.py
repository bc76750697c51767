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
from processors.selecting.state import AppState, SelectState
from processors.selecting.steps import SelectParams, Steps, dissolve
from processors.selecting.triggers import take
from processors.selecting.world import Views
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import EnsembleSelected, PlacementRequested
from schemas.observing import ContractViolated, DriftDetected, Observation, QualityEvaluated
from schemas.partitioning import partition_of
from schemas.processing import Batch, Home, Spec
from schemas.registrations import (
    ApplicationRegistered,
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

    def __init__(self, partition: int, params: SelectParams, partitions: int = PARTITIONS) -> None:
        self._partition = partition
        self._partitions = partitions
        self._params = params
        self._apps: dict[str, AppState] = {}
        self._next_look = 0
        self._views = Views()
        self._registered: Mapping[str, ApplicationRegistered] = {}
        self._mine: tuple[str, ...] = ()

    def process(self, batch: Batch) -> Sequence[Event]:
        """Apply a batch; when it is time, look at every application of this partition."""
        out: list[Event] = []
        if batch.now_ms >= self._next_look:
            step = self._params.look_ms
            self._next_look = (batch.now_ms // step + 1) * step
            for app in self._owned(batch.catalogue):
                out += self._advance(app, batch, look=True)
        for record in batch.records:
            if isinstance(record.event, _SEEN) and self._owns(record.event.app):
                app = record.event.app
                if self._views.of(app, batch.catalogue, batch.now_ms) is not None:
                    take(self._state(app), record.event, self._params.windows)
                    out += self._advance(app, batch)
        return out

    def wake_at(self) -> int | None:
        """Return when the catalogue is looked at next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return all applications' states as Avro."""
        apps = tuple(state for _, state in sorted(self._apps.items()))
        return pack_state(SelectState(next_look=self._next_look, apps=apps))

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, SelectState)
        self._next_look = state.next_look
        self._apps = {app.app: app for app in state.apps}

    def _owns(self, app: str) -> bool:
        return partition_of(app, self._partitions) == self._partition

    def _owned(self, catalogue: Catalogue) -> list[str]:
        registered = catalogue.of(ApplicationRegistered)
        if registered is not self._registered:
            self._registered = registered
            self._mine = tuple(filter(self._owns, registered))
        return sorted({*self._mine, *self._apps})

    def _state(self, app: str) -> AppState:
        return self._apps.setdefault(app, AppState(app=app))

    def _advance(self, app: str, batch: Batch, *, look: bool = False) -> list[Event]:
        view = self._views.of(app, batch.catalogue, batch.now_ms)
        if view is None:
            return dissolve(self._apps.pop(app), batch.now_ms)
        steps = Steps(self._state(app), view, self._params, batch.now_ms, batch.catalogue)
        if look:
            if steps.idle():
                return []
            steps.adopt()
            steps.look_at_instances()
        return steps.run()


def _share(states: Sequence[SelectState], partition: int, home: Home) -> SelectState:
    return SelectState(
        next_look=max(state.next_look for state in states),
        apps=tuple(app for state in states for app in state.apps if home(app.app) == partition),
    )


def spec(params: SelectParams | None = None, partitions: int = PARTITIONS) -> Spec:
    """Return how hosts know this processor on so many partitions.

    Raises processors.errors.InvalidParameters.
    """
    chosen = params or SelectParams()
    require(chosen, trial_min=1, trial_ms=1, min_gain=0.0, cooldown_ms=0, look_ms=1, windows=1)
    return Spec(
        name="select",
        inputs=INPUTS,
        outputs=(EnsembleSelected, PlacementRequested),
        build=lambda partition: Select(partition, chosen, partitions),
        parameters=identity(chosen),
        state=SelectState,
        sized=lambda count: spec(params, count),
        share=_share,
        portable=True,
        catalogue=(
            ApplicationRegistered,
            ServiceRegistered,
            ContractRegistered,
            InstanceReported,
            EnsembleSelected,
            PolicySelected,
        ),
    )

"""Results to drifts of data: inputs and outputs that are no longer as they were, without labels.

The inputs of a service are what its workers sum up of each input tensor, its outputs the label, the
confidence and the scores. Windows of results are compared with a reference by the distance of
Kolmogorov and Smirnov and the stability index of each feature, and the mean discrepancy of all
together (`processors.drifting.samples`), or by what a policy of `drift/APP/inputs` or
`drift/APP/outputs` says: ks, psi, mmd, two-sample for all three, or off; its parameter
`significance` is the chance that one window of a steady service differs.

Requests fall into partitions by their ids, so that those of one partition are a fair sample: each
application is judged in one partition alone, and each of its drifts is told once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processors.drifting.detectors import SCOPE, metric_of, number
from processors.errors import InvalidParameters
from processors.params import identity, require
from processors.recent import Recent
from processors.refusals import policy_refused
from processors.scoped import Scoped
from processors.shifting import vectors
from processors.shifting.judging import ALL, OFF, TESTS
from processors.shifting.spaces import Sizes, Space, SpaceState
from processors.shifting.telling import Key, drift_of
from processors.vocabulary import DATA, INPUTS, OUTPUTS
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.inference import InferenceResult
from schemas.observing import DriftDetected
from schemas.partitioning import partition_of
from schemas.processing import Batch, Output, Record, Spec
from schemas.registrations import PolicySelected
from schemas.topics import PARTITIONS

ROOM = 7_000_000
"""Bytes of vectors per partition: so many fit into a snapshot."""
_Series = tuple[str, str, str, str]
"""Application, stage, service, and inputs or outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """By which test a space is judged, and how rarely a steady one may differ."""

    test: str = ALL
    significance: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftParams:
    """How data is judged unless a policy says otherwise, in samples of which sizes.

    `max_spaces` inputs and outputs of services are kept per partition, fewer where they have many
    features (see ROOM); the longest unused go.
    """

    choice: Choice = field(default_factory=Choice)
    sizes: Sizes = field(default_factory=Sizes)
    max_spaces: int = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryState:
    """One space, with the labels by number where it is of outputs."""

    key: tuple[str, ...]
    labels: tuple[str, ...]
    space: SpaceState


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftState:
    """All spaces, the longest unused first, and the policies that were refused."""

    entries: tuple[EntryState, ...]
    refused: tuple[str, ...]


@dataclass(slots=True)
class _Entry:
    space: Space
    labels: tuple[str, ...] = ()


class Shift:
    """Judges the applications that belong to one partition of `partitions`."""

    def __init__(self, params: ShiftParams, partition: int, partitions: int) -> None:
        self._params = params
        self._partition, self._partitions = partition, partitions
        self._entries: Recent[_Series, _Entry] = Recent(params.max_spaces)
        self._selected: object = None
        self._policies: Scoped[Choice] = Scoped({}, SCOPE, read)
        self._refused: tuple[str, ...] = ()
        self._mine: dict[str, bool] = {}

    def process(self, batch: Batch) -> Sequence[Output]:
        """Take results; return what is told of their data, in their order."""
        if not batch.records:
            return []
        outputs: list[Output] = [*self._select(batch)]
        for record in batch.records:
            event = record.event
            if isinstance(event, InferenceResult) and not event.shadow and self._is_mine(event.app):
                outputs += self._take(record, event)
        return outputs

    def wake_at(self) -> int | None:
        """Return None: only results tell of data."""
        return None

    def snapshot(self) -> bytes:
        """Return all spaces."""
        entries = tuple(
            EntryState(key=key, labels=one.labels, space=one.space.state())
            for key, one in self._entries.items()
        )
        return pack_state(ShiftState(entries=entries, refused=self._refused))

    def restore(self, data: bytes) -> None:
        """Take over all spaces."""
        state = unpack_state(data, ShiftState)
        self._entries = Recent(self._params.max_spaces)
        for one in state.entries:
            app, stage, service, metric = one.key
            entry = _Entry(Space.of(self._params.sizes, one.space), one.labels)
            self._entries.put((app, stage, service, metric), entry)
        self._refused, self._selected = state.refused, None

    def _is_mine(self, app: str) -> bool:
        mine = self._mine.get(app)
        if mine is None:
            if len(self._mine) >= 10_000:
                self._mine.clear()
            mine = partition_of(app, self._partitions) == self._partition
            self._mine[app] = mine
        return mine

    def _select(self, batch: Batch) -> list[ActionTaken]:
        selected = batch.catalogue.of(PolicySelected)
        if selected is self._selected:
            return []
        self._selected = selected
        own = {name: one for name, one in selected.items() if metric_of(name) in DATA}
        self._policies = Scoped(own, SCOPE, read)
        known, self._refused = self._refused, tuple(self._policies.refused)
        return [
            policy_refused("shift", event_id, *said, batch.now_ms)
            for event_id, said in self._policies.refused.items()
            if event_id not in known
        ]

    def _take(self, record: Record, event: InferenceResult) -> Iterator[DriftDetected]:
        names = vectors.names_of_inputs(event)
        if names:
            yield from self._add(record, event, INPUTS, names)
        names = vectors.names_of_outputs(event)
        if names:
            yield from self._add(record, event, OUTPUTS, names)

    def _add(
        self, record: Record, event: InferenceResult, metric: str, names: tuple[str, ...]
    ) -> Iterator[DriftDetected]:
        choice = self._policies.of(event.app, metric) or self._params.choice
        if choice.test == OFF:
            return
        key: Key = (event.app, event.stage, event.service)
        entry, _ = self._entries.use((*key, metric), lambda: _Entry(self._space(names)))
        if entry.space.names != names:
            entry.space = self._space(names)
        if entry.space.empty:
            self._make_room()
        if metric == INPUTS:
            vector = vectors.inputs(event)
        else:
            entry.labels, place = vectors.numbered(entry.labels, event.label or "")
            vector = vectors.outputs(event, names, place)
        change = entry.space.add(
            vector, event.finished_at, record.offset, choice.test, choice.significance
        )
        if change is not None:
            yield drift_of(key, metric, change, record, choice.test)

    def _make_room(self) -> None:
        size = sum(one.space.size for _, one in self._entries.items())
        for series, one in self._entries.items():
            if size <= ROOM or len(self._entries) == 1:
                break
            self._entries.drop(series)
            size -= one.space.size

    def _space(self, names: tuple[str, ...]) -> Space:
        return Space(self._params.sizes, names)


def read(policy: PolicySelected) -> Choice | str:
    """Return what a policy for inputs or outputs chooses, or why it cannot be heeded."""
    known = (*TESTS, ALL, OFF)
    if policy.algorithm not in known:
        return f"test {policy.algorithm!r} is unknown; known: {', '.join(known)}"
    significance = Choice().significance
    for parameter in policy.parameters:
        if parameter.key != "significance":
            return f"parameter {parameter.key!r} is unknown; known: significance"
        significance = number(parameter.value)
    if not 0.0 < significance <= 0.5:
        return "significance must be above 0, and 0.5 at most"
    return Choice(test=policy.algorithm, significance=significance)


def spec(params: ShiftParams | None = None, partitions: int = PARTITIONS) -> Spec:
    """Return how hosts run shift on so many partitions.

    Raises InvalidParameters.
    """
    chosen = params or ShiftParams()
    if chosen.choice.test not in (*TESTS, ALL, OFF):
        raise InvalidParameters(f"ShiftParams.choice.test is {chosen.choice.test!r}")
    require(chosen, max_spaces=1)
    require(chosen.sizes, reference=50, window=20)
    return Spec(
        name="shift",
        inputs=("weir.results",),
        outputs=(DriftDetected, ActionTaken),
        build=lambda partition: Shift(chosen, partition, partitions),
        parameters=identity(chosen),
        state=ShiftState,
        catalogue=(PolicySelected,),
        sized=lambda count: spec(chosen, count),
    )

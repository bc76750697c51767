"""Verdicts to their root causes, third tier of quality: what is at fault when something is wrong.

While any verdict, violation or fresh drift is in force an application has a spell. `settle_ms`
after it was noticed, and again while it lasts, less and less often, all that has moved is
gathered: series against their own pasts (`pasts`), heartbeats that ceased, drifts; and what was
changed just before (`changes`). Causes that the graph of services and nodes makes conceivable
(`hypotheses`) are ranked by how well they explain it (`ranking`). A diagnosis is told when its
ranking says something new, and withdrawn when all has been well for `clear_ms`.

Only what the past holds counts: each series is compared with its own windows before the spell.
How nodes are is read from their heartbeats in the catalogue, as series of their own.

Bounds: `max_series` series per partition, the longest unused is forgotten, of 128 windows at most;
per application 256 open verdicts, 64 changes, 64 drifts, 1,024 facts, 16 diagnoses a spell.
"""

from collections.abc import Iterator, Mapping, Sequence

from processors.diagnosing import spells
from processors.diagnosing.changes import follow, losses
from processors.diagnosing.gathering import Pasts
from processors.diagnosing.graph import Graph, graph_of
from processors.diagnosing.hypotheses import hypotheses
from processors.diagnosing.ranking import Ranked, ranked
from processors.diagnosing.spells import DiagnoseParams
from processors.diagnosing.state import AppState, DiagnoseState, Spell
from processors.diagnosing.symptoms import strongest
from processors.diagnosing.telling import TIER, differs, root_causes, told, withdrawn
from processors.params import identity, require
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import EnsembleSelected, PlacementDecided
from schemas.observing import ContractViolated, DriftDetected, Observation, QualityEvaluated
from schemas.partitioning import partition_of
from schemas.processing import Batch, Home, Spec
from schemas.registrations import (
    ApplicationRegistered,
    InstanceReported,
    NodeReported,
    PolicySelected,
    ServiceRegistered,
)
from schemas.topics import PARTITIONS

INPUTS = ("weir.observations", "weir.drifts", "weir.violations", "weir.quality")


class Diagnose:
    """Diagnoses the applications whose key falls into one partition."""

    def __init__(
        self, partition: int, params: DiagnoseParams, partitions: int = PARTITIONS
    ) -> None:
        self._partition = partition
        self._partitions = partitions
        self._params = params
        self._apps: dict[str, AppState] = {}
        self._pasts = Pasts(params.max_series)
        self._next_look = 0
        self._registered: Mapping[str, ApplicationRegistered] = {}
        self._mine: tuple[str, ...] = ()

    def process(self, batch: Batch) -> Sequence[Event]:
        """Look when it is time, then take note of what the batch tells."""
        out: list[Event] = []
        self._follow(batch.catalogue)
        if batch.now_ms >= self._next_look:
            step = self._params.look_ms
            self._next_look = (batch.now_ms // step + 1) * step
            for app in sorted({*self._mine, *self._apps}):
                out += self._look(app, batch)
        for record in batch.records:
            self._take(record.event, batch.now_ms)
        return out

    def wake_at(self) -> int | None:
        """Return when it looks next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return all applications and series as Avro."""
        apps = tuple(state for _, state in sorted(self._apps.items()))
        series = tuple(self._pasts.states())
        return pack_state(DiagnoseState(next_look=self._next_look, apps=apps, series=series))

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, DiagnoseState)
        self._next_look = state.next_look
        self._apps = {app.app: app for app in state.apps}
        self._pasts = Pasts(self._params.max_series, state.series)

    def _follow(self, catalogue: Catalogue) -> None:
        registered = catalogue.of(ApplicationRegistered)
        if registered is not self._registered:
            self._registered = registered
            mine = (a for a in registered if partition_of(a, self._partitions) == self._partition)
            self._mine = tuple(mine)

    def _take(self, event: Event, now_ms: int) -> None:
        """Note an event of an application that is registered here; others have no graph."""
        app = str(getattr(event, "app", ""))
        if app not in self._registered:
            return
        state = self._apps.setdefault(app, AppState(app=app))
        if isinstance(event, Observation):
            if event.final:
                self._pasts.observe(event)
                state.newest = max(state.newest, event.window_end)
        elif isinstance(event, DriftDetected):
            spells.drifted(state, event, now_ms, self._params)
        elif isinstance(event, ContractViolated):
            spells.violated(state, event, now_ms, self._params)
        elif isinstance(event, QualityEvaluated) and event.tier != TIER:
            spells.judged(state, event, now_ms, self._params)

    def _look(self, app: str, batch: Batch) -> Iterator[Event]:
        state = self._apps.setdefault(app, AppState(app=app))
        registered = self._registered.get(app)
        if registered is None:
            if state.spell is not None and state.spell.told:
                yield withdrawn(state, state.spell, batch.now_ms)
            self._pasts.forget(app)
            del self._apps[app]
            return
        graph = graph_of(registered, batch.catalogue)
        follow(state, graph, batch.catalogue, batch.now_ms)
        for node in graph.nodes:
            reported = batch.catalogue.get(NodeReported, node)
            if reported is not None:
                self._pasts.sample(app, reported)
        ended = spells.advance(state, batch.now_ms, self._params)
        if ended is not None and ended.told:
            yield withdrawn(state, ended, batch.now_ms)
        if state.spell is not None and spells.due(state.spell, batch.now_ms, self._params):
            yield from self._diagnose(state, state.spell, graph, batch)

    def _diagnose(
        self, state: AppState, spell: Spell, graph: Graph, batch: Batch
    ) -> Iterator[Event]:
        order = self._ranked(state, spell, graph, batch)
        spells.looked(spell, batch.now_ms, self._params)
        causes = root_causes(order)
        if order and differs(spell.ranking, causes):
            spell.ranking = causes
            said = told(state, spell, order, batch.now_ms)
            spell.first = said.spell
            spell.told += 1
            yield said

    def _ranked(
        self, state: AppState, spell: Spell, graph: Graph, batch: Batch
    ) -> tuple[Ranked, ...]:
        found = strongest(
            [
                *self._pasts.symptoms(state.app, spell.began),
                *losses(graph, batch.catalogue, batch.now_ms),
                *spells.drift_symptoms(state, spell.began, self._params),
            ]
        )
        links = sorted({name for level, name, _ in found if level == "link"})
        return ranked(list(hypotheses(graph, links, state.changes)), found, spell.began)


def _share(states: Sequence[DiagnoseState], partition: int, home: Home) -> DiagnoseState:
    return DiagnoseState(
        next_look=max(state.next_look for state in states),
        apps=tuple(app for state in states for app in state.apps if home(app.app) == partition),
        series=tuple(one for state in states for one in state.series if home(one.app) == partition),
    )


def spec(params: DiagnoseParams | None = None, partitions: int = PARTITIONS) -> Spec:
    """Return how hosts know this processor on so many partitions.

    Raises processors.errors.InvalidParameters.
    """
    chosen = params or DiagnoseParams()
    require(
        chosen,
        settle_ms=0,
        revise_ms=1,
        watch_ms=1,
        clear_ms=0,
        drift_ms=1,
        look_ms=1,
        max_series=1,
    )
    return Spec(
        name="diagnose",
        inputs=INPUTS,
        outputs=(QualityEvaluated,),
        build=lambda partition: Diagnose(partition, chosen, partitions),
        parameters=identity(chosen),
        state=DiagnoseState,
        sized=lambda count: spec(params, count),
        share=_share,
        portable=True,
        catalogue=(
            ApplicationRegistered,
            ServiceRegistered,
            InstanceReported,
            NodeReported,
            PlacementDecided,
            EnsembleSelected,
            PolicySelected,
        ),
    )

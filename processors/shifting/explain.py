"""Drifts of errors to their causes: what became of the inputs at that time says why.

A confirmed drift of error, accuracy or confidence waits up to `patience_ms` for a drift of the
inputs of its service, or of any service of its application. Then it is told again, as explained:
a fault of a sensor that was at least warned of goes before covariate; concept is what is left where
inputs are summed up and did not change, and where they are not the cause stays unknown. Training
anew is advised where labels say that it became worse, or the confidence did with the inputs, and
never on what the fault of a sensor has made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from processors.drifting.changes import CONFIRMED, DISMISSED, WARNING
from processors.params import identity, require
from processors.recent import Recent
from processors.shifting.faults import CONCEPT, COVARIATE
from processors.vocabulary import DATA, INPUT, INPUTS, PARTIAL_SHARES
from schemas.codec import pack_state, unpack_state
from schemas.identity import stable_id
from schemas.observing import DriftDetected, FeatureShift, Observation
from schemas.processing import Batch, Home, Output, Spec

EXPLAINED = "explained"
_SENSOR = "sensor-"
_FEATURES = 12
_Service = tuple[str, str]
"""Application and service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainParams:
    """How long a drift waits for its cause, and what counts as of its time.

    A drift of inputs counts when its concept began no more than `apart_ms` of event time before
    that of the error and not after it was told, or within the patience after that. Of
    `max_services` services, and `max_waiting` drifts, more than that are forgotten, oldest first.
    """

    patience_ms: int = 60_000
    apart_ms: int = 600_000
    max_services: int = 1_000
    max_waiting: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    """The newest drift of the inputs of a service; empty fields while there was none.

    `watched_at` is the end of the newest window in which anything of the inputs was observed.
    """

    app: str
    service: str
    watched_at: int = 0
    event_id: str = ""
    status: str = ""
    cause: str = ""
    since: int = 0
    features: tuple[FeatureShift, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A drift that waits, until when (ms)."""

    due: int
    drift: DriftDetected


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainState:
    """The services, the longest unused first, and what waits, the oldest first."""

    services: tuple[Shifted, ...]
    waiting: tuple[Waiting, ...]


class Explain:
    """Explains the drifts of the applications of one partition."""

    def __init__(self, params: ExplainParams) -> None:
        self._params = params
        self._services: Recent[_Service, Shifted] = Recent(params.max_services)
        self._waiting: list[Waiting] = []

    def process(self, batch: Batch) -> Sequence[Output]:
        """Return the drifts that can be explained now, or have waited long enough."""
        outputs: list[Output] = [*self._overdue(batch.now_ms)]
        for record in batch.records:
            event = record.event
            if isinstance(event, Observation) and event.service and event.metric.startswith(INPUT):
                one = self._service(event.app, event.service)
                watched = max(one.watched_at, event.window_end)
                self._services.put((one.app, one.service), replace(one, watched_at=watched))
            elif isinstance(event, DriftDetected):
                outputs += self._take(event, batch.now_ms)
        return outputs

    def wake_at(self) -> int | None:
        """Return when the first has waited long enough."""
        return min((one.due for one in self._waiting), default=None)

    def snapshot(self) -> bytes:
        """Return what is known and what waits."""
        services = tuple(one for _, one in self._services.items())
        return pack_state(ExplainState(services=services, waiting=tuple(self._waiting)))

    def restore(self, data: bytes) -> None:
        """Take over what is known and what waits."""
        state = unpack_state(data, ExplainState)
        self._services = Recent(self._params.max_services)
        for one in state.services:
            self._services.put((one.app, one.service), one)
        self._waiting = list(state.waiting)

    def _service(self, app: str, service: str) -> Shifted:
        known, _ = self._services.use((app, service), lambda: Shifted(app=app, service=service))
        return known

    def _take(self, event: DriftDetected, now_ms: int) -> Iterator[DriftDetected]:
        if event.metric == INPUTS:
            self._shifted(event)
            if event.status == CONFIRMED:
                yield from self._settled()
        elif event.status == CONFIRMED and event.metric not in DATA and _judges(event.metric):
            due = now_ms + self._params.patience_ms
            self._waiting.append(Waiting(due=due, drift=event))
            yield from self._settled()
            while len(self._waiting) > self._params.max_waiting:
                yield self._explained(self._waiting.pop(0).drift)

    def _shifted(self, event: DriftDetected) -> None:
        one = self._service(event.app, event.service)
        if event.status in (WARNING, CONFIRMED):
            one = replace(
                one,
                event_id=event.event_id,
                status=event.status,
                cause=event.cause,
                since=event.since,
                features=event.features[:_FEATURES],
            )
        elif event.status == DISMISSED and one.event_id in event.causes:
            one = Shifted(app=one.app, service=one.service, watched_at=one.watched_at)
        self._services.put((one.app, one.service), one)

    def _settled(self) -> Iterator[DriftDetected]:
        """Yield those that need not wait: a drift of inputs of their time is confirmed."""
        for one in list(self._waiting):
            if any(found.status == CONFIRMED for found in self._found(one.drift)):
                self._waiting.remove(one)
                yield self._explained(one.drift)

    def _overdue(self, now_ms: int) -> Iterator[DriftDetected]:
        late = [one for one in self._waiting if one.due <= now_ms]
        self._waiting = [one for one in self._waiting if one.due > now_ms]
        return (self._explained(one.drift) for one in late)

    def _found(self, drift: DriftDetected) -> list[Shifted]:
        """Return the drifts of inputs of the time and place of a drift."""
        first = drift.since - self._params.apart_ms
        last = drift.detected_at + self._params.patience_ms
        return [one for one in self._near(drift) if one.event_id and first <= one.since <= last]

    def _near(self, drift: DriftDetected) -> list[Shifted]:
        return [
            one
            for _, one in self._services.items()
            if one.app == drift.app and drift.service in ("", one.service)
        ]

    def _explained(self, drift: DriftDetected) -> DriftDetected:
        found = self._found(drift)
        faults = [one for one in found if one.cause.startswith(_SENSOR)]
        shifted = [one for one in found if one.status == CONFIRMED]
        by = faults or shifted
        since = drift.since - self._params.apart_ms
        watched = any(one.watched_at >= since for one in self._near(drift))
        cause = by[0].cause if by else CONCEPT if watched else ""
        return replace(
            drift,
            event_id=stable_id("explain", drift.event_id),
            status=EXPLAINED,
            cause=cause,
            causes=(drift.event_id, *(one.event_id for one in by)),
            features=(*drift.features, *(shift for one in by for shift in one.features)),
            retrain=_advised(drift, cause),
        )


def _judges(metric: str) -> bool:
    return metric in ("error", "accuracy", "confidence") or metric.startswith(PARTIAL_SHARES)


def _advised(drift: DriftDetected, cause: str) -> bool:
    """Return whether training on the new concept is advised."""
    worse = drift.after > drift.before if drift.metric == "error" else drift.after < drift.before
    if not worse or cause.startswith(_SENSOR):
        return False
    return drift.metric != "confidence" or cause == COVARIATE


def _share(states: Sequence[ExplainState], partition: int, home: Home) -> ExplainState:
    services = (one for state in states for one in state.services)
    waiting = (one for state in states for one in state.waiting)
    return ExplainState(
        services=tuple(one for one in services if home(one.app) == partition),
        waiting=tuple(one for one in waiting if home(one.drift.app) == partition),
    )


def spec(params: ExplainParams | None = None) -> Spec:
    """Return how hosts run explain.

    Raises InvalidParameters.
    """
    chosen = params or ExplainParams()
    require(chosen, patience_ms=1, apart_ms=0, max_services=1, max_waiting=1)
    return Spec(
        name="explain",
        inputs=("weir.drifts", "weir.observations"),
        outputs=(DriftDetected,),
        build=lambda _partition: Explain(chosen),
        parameters=identity(chosen),
        state=ExplainState,
        share=_share,
        portable=True,
    )

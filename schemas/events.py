"""Every event by the name of its record."""

from typing import TypeVar

from schemas import closed as c
from schemas import decisions as d
from schemas import inference as i
from schemas import observing as o
from schemas import quality as q
from schemas import registrations as r
from schemas import signals as s
from schemas import working as w
from schemas.base import Event
from schemas.errors import UnknownContract

E = TypeVar("E", bound=Event)

EVENTS: dict[str, type[Event]] = {
    event.__name__: event
    for event in (
        r.ApplicationRegistered,
        r.ServiceRegistered,
        r.InstanceReported,
        r.NodeReported,
        w.WorkerReported,
        r.ConsumerRegistered,
        r.ModelPublished,
        r.ContractRegistered,
        r.WindowDefined,
        r.MetricDefined,
        q.RuleDefined,
        q.SilenceDefined,
        q.RemedyDefined,
        r.PolicySelected,
        o.MetricReport,
        o.Observation,
        o.LateMetric,
        c.WindowsClosed,
        o.DriftDetected,
        o.QualityEvaluated,
        o.ContractViolated,
        o.ContractStanding,
        s.LogReported,
        s.SpanReported,
        i.InferenceRequest,
        i.InferenceTask,
        i.InferenceResult,
        i.InferenceResponse,
        i.GroundTruth,
        d.EnsembleSelected,
        d.PlacementRequested,
        d.PlacementDecided,
        d.DeploymentObserved,
        d.ActionTaken,
        q.RetrainingRequested,
        q.DiagnosisNarrated,
        r.ErasureRequested,
        d.DeadLetter,
        d.Snapshot,
    )
}


def event_named(name: str) -> type[Event]:
    """Return the event class of a record name, with or without the namespace.

    Raises UnknownContract when there is none.
    """
    event = EVENTS.get(name.removeprefix("weir."))
    if event is None:
        raise UnknownContract(f"no event {name!r}; known: {', '.join(EVENTS)}")
    return event

"""A small world made by hand: four requests, two ensembles, one violation, one placement."""

from dataclasses import replace
from typing import Any

from schemas import decisions as d
from schemas import inference as i
from schemas import observing as o
from schemas import registrations as r
from schemas.base import Event
from schemas.records import SourceRange
from tests.examples import example

T0 = 1_900_000_000_000
SERIES = "digits/////accuracy"
"""The series of the application's accuracy."""


def metrics() -> list[Event]:
    """Eight accuracies of the application, at offsets 0 to 7, and between them other series."""
    pairs = []
    for n in range(8):
        report = o.MetricReport(event_time=T0 + n, app="digits", metric="accuracy", value=n % 2)
        pairs += [report, replace(report, metric="latency", service="mlp", value=5.0)]
    return pairs


def observation(name: str, start: int, mean: float, **changes: Any) -> o.Observation:
    """A window of the application's accuracy, of one second."""
    base = replace(
        example(o.Observation),
        event_id=name,
        revision=0,
        final=True,
        app="digits",
        stage="",
        service="",
        instance="",
        node="",
        metric="accuracy",
        window_start=T0 + start,
        window_end=T0 + start + 1000,
        count=100,
        mean=mean,
        sources=(),
    )
    return replace(base, **changes)


def lineage() -> list[Event]:
    """A placement, asked for by an ensemble, selected for a violation, seen in a window."""
    source = SourceRange(topic="weir.metrics", partition=0, first=4, last=11, series=SERIES)
    seen = replace(observation("window-1", 0, 0.5), sources=(source,))
    violated = replace(
        example(o.ContractViolated), event_id="violation-1", app="digits", causes=("window-1",)
    )
    drift = replace(
        example(o.DriftDetected),
        event_id="drift-1",
        app="digits",
        sources=(replace(source, first=0, last=3, series=""),),
    )
    chosen = ensemble("ensemble-2", 2, "forest", "mlp", causes=("violation-1", "drift-1"))
    asked = replace(
        example(d.PlacementRequested), event_id="request-1", app="digits", causes=("ensemble-2",)
    )
    placed = replace(
        example(d.PlacementDecided), event_id="placement-1", service="mlp", causes=("request-1",)
    )
    return [seen, violated, drift, ensemble("ensemble-1", 1, "forest"), chosen, asked, placed]


def ensemble(name: str, generation: int, *services: str, **changes: Any) -> d.EnsembleSelected:
    """An ensemble of equals and a shadow."""
    members = [d.EnsembleMember(service=s, weight=1.0, role="member") for s in services]
    shadow = d.EnsembleMember(service="tree", weight=0.0, role="shadow")
    base = replace(example(d.EnsembleSelected), event_id=name, app="digits", causes=())
    return replace(base, generation=generation, members=(*members, shadow), catalogue=(), **changes)


def result(number: int, service: str, queue: float, execution: float, status: str = "ok") -> Event:
    """What became of a task."""
    return replace(
        example(i.InferenceResult),
        event_id=f"result-{service}-{number}",
        app="digits",
        service=service,
        node="edge-1",
        status=status,
        queue_ms=queue,
        execution_ms=execution,
    )


def response(number: int, ensemble_id: str, label: str | None, status: str = "complete") -> Event:
    """The answer to a request."""
    return replace(
        example(i.InferenceResponse),
        event_id=f"response-{number}",
        request_id=f"r{number}",
        app="digits",
        status=status,
        label=label,
        ensemble=ensemble_id,
        latency_ms=10.0 * number,
    )


def truth(number: int, label: str) -> Event:
    """What was right."""
    return i.GroundTruth(request_id=f"r{number}", app="digits", label=label, known_at=T0)


def contract(*clauses: r.Clause) -> r.ContractRegistered:
    """A promise about the application."""
    base = replace(example(r.ContractRegistered), contract="gold", app="digits", clauses=clauses)
    return replace(base, valid_from=None, valid_until=None)

"""What the benchmarks register: applications that decide, one that answers, and their services."""

from collections.abc import Iterator

from schemas.base import Event
from schemas.graphs import Stage
from schemas.identity import stable_id
from schemas.observing import MetricReport
from schemas.quality import RuleDefined
from schemas.registrations import (
    ApplicationRegistered,
    Clause,
    ContractRegistered,
    PolicySelected,
    ServiceRegistered,
    WindowDefined,
)
from schemas.resources import Variant

STAGE, INSTANCE, NODE = "serve", "bench", "bench"
METRIC, BAD = "latency", 1_000.0
SIZE_MS = 100
"""Size of the windows of the deciding applications; they close without allowed lateness."""
STEADY_LAG_MS, STEADY_LATENESS_MS = 2_000, 5_000
"""Background metrics are so old when they are sent, and may be that late: so the metric that
closes a window is always the one that the benchmark sent for that."""


def service_of(app: str) -> str:
    """Return the name of an application's one service."""
    return f"{app}.one"


def deciding(app: str, now_ms: int) -> Iterator[Event]:
    """Yield what makes a bad window of an application's latency a selection.

    One rule, critical after one window; one service, which nobody places.
    """
    yield _window(app, SIZE_MS, 0, now_ms)
    yield RuleDefined(
        name=f"{app}-rule",
        app=app,
        metric=METRIC,
        statistic="mean",
        operator=">",
        threshold=BAD / 2,
        severity="critical",
        registered_at=now_ms,
        event_id=stable_id("bench", "rule", app),
    )
    yield PolicySelected(
        scope=f"place/{app}",
        component="place",
        algorithm="",
        mode="observe",
        selected_at=now_ms,
        event_id=stable_id("bench", "policy", app),
    )
    yield service(app, "", None, now_ms)
    yield application(app, now_ms)


def promising(app: str, now_ms: int) -> Iterator[Event]:
    """Yield a contract that a bad window violates, for an application that is not registered."""
    yield _window(app, SIZE_MS, 0, now_ms)
    yield ContractRegistered(
        contract=f"{app}-contract",
        consumer="bench",
        app=app,
        owner="bench",
        clauses=(
            Clause(
                name="quick",
                metric=METRIC,
                statistic="mean",
                operator="<=",
                threshold=BAD / 2,
                window_ms=SIZE_MS,
            ),
        ),
        registered_at=now_ms,
        event_id=stable_id("bench", "contract", app),
    )


def entries_of(app: str) -> Iterator[tuple[type[Event], str]]:
    """Yield class and key of whatever `deciding` or `promising` has put into the catalogue."""
    yield ApplicationRegistered, app
    yield ServiceRegistered, service_of(app)
    yield RuleDefined, f"{app}-rule"
    yield WindowDefined, f"{app}-window"
    yield ContractRegistered, f"{app}-contract"
    yield PolicySelected, f"place/{app}"


def steady(app: str, now_ms: int) -> Event:
    """Return the window of an application whose metrics keep partitions from being idle."""
    return _window(app, 2_000, STEADY_LATENESS_MS, now_ms)


def application(app: str, now_ms: int) -> ApplicationRegistered:
    """Return an application with one stage and one service."""
    stage = Stage(stage=STAGE, stage_id=stable_id("stage", app), services=(service_of(app),))
    return ApplicationRegistered(
        app=app,
        app_id=stable_id("app", app),
        run="bench",
        user="bench",
        owner="bench",
        stages=(stage,),
        registered_at=now_ms,
        event_id=stable_id("bench", "app", app),
    )


def service(app: str, artifact: str, digest: str | None, now_ms: int) -> ServiceRegistered:
    """Return an application's service."""
    return ServiceRegistered(
        service=service_of(app),
        service_id=stable_id("service", app),
        app=app,
        stage=STAGE,
        model="bench",
        image="",
        artifact=artifact,
        digest=digest,
        format="onnx",
        variants=(Variant(name="cpu-fp32", precision="fp32", device="cpu"),),
        cpu_milli=100,
        memory_mib=64,
        latency_ms=1.0,
        accuracy=0.9,
        cost=1.0,
        registered_at=now_ms,
        event_id=stable_id("bench", "service", app),
    )


def metric(app: str, name: str, value: float, event_time: int) -> MetricReport:
    """Return a measurement of an application's one service."""
    return MetricReport(
        event_time=event_time,
        app=app,
        stage=STAGE,
        service=service_of(app),
        instance=INSTANCE,
        node=NODE,
        metric=name,
        value=value,
    )


def _window(app: str, size_ms: int, lateness_ms: int, now_ms: int) -> WindowDefined:
    return WindowDefined(
        name=f"{app}-window",
        app=app,
        size_ms=size_ms,
        allowed_lateness_ms=lateness_ms,
        registered_at=now_ms,
        event_id=stable_id("bench", "window", app),
    )

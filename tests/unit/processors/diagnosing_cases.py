"""A small application on two nodes, and what is told of it, for the tests of diagnose."""

from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.graphs import Stage
from schemas.observing import ContractViolated, DriftDetected, Observation, QualityEvaluated
from schemas.partitioning import partition_of
from schemas.registrations import ApplicationRegistered, InstanceReported, ServiceRegistered
from schemas.topics import PARTITIONS
from tests.unit.placement import world

APP = next(f"watch{n}" for n in range(100) if partition_of(f"watch{n}", PARTITIONS) == 0)
T0 = world.T0
PLACES = {"a-1": "n1", "a-2": "n2", "b-1": "n1", "b-2": "n2"}
STAGES = (
    Stage(stage="see", stage_id="see", services=("a",), modality="video"),
    Stage(stage="tell", stage_id="tell", services=("b",), inputs=("see",)),
)


def registered(now_ms: int, silent: tuple[str, ...] = ()) -> list[Event]:
    """Return the catalogue's entries; silent instances were heard a minute ago."""
    app = ApplicationRegistered(
        app=APP,
        app_id=APP,
        run="",
        user="",
        owner="",
        stages=STAGES,
        registered_at=T0,
        event_id="registered-app",
    )
    heard = {name: now_ms - 60_000 * (name in silent) for name in PLACES}
    nodes = [world.node(name, heartbeat=now_ms, expires_at=now_ms + 5_000) for name in ("n1", "n2")]
    return [
        app,
        service("a", 1, T0),
        service("b", 1, T0),
        *nodes,
        *(instance(name, at) for name, at in heard.items()),
    ]


def catalogue(now_ms: int, *more: Event, silent: tuple[str, ...] = ()) -> Catalogue:
    """Return them as a catalogue, with more behind them."""
    return world.catalogue_of([*registered(now_ms, silent), *more])


def service(name: str, version: int, at_ms: int) -> ServiceRegistered:
    return world.service(
        name,
        app=APP,
        stage="see" if name == "a" else "tell",
        digest=f"{name}-{version}",
        registered_at=at_ms,
    )


def instance(name: str, heard_ms: int) -> InstanceReported:
    return InstanceReported(
        instance=name,
        service=name[0],
        app=APP,
        stage="see" if name[0] == "a" else "tell",
        node=PLACES[name],
        worker="",
        task_topic="",
        model_version="1",
        run="",
        user="",
        method="",
        role="active",
        health="ready",
        heartbeat=heard_ms,
        expires_at=heard_ms + 2_500,
    )


def seen(metric: str, window: int, value: float, name: str = "", service: str = "") -> Observation:
    """Return the observation of an instance, a service or the application in a window of 1 s."""
    end = T0 + (window + 1) * 1_000
    of = name[:1] or service
    return Observation(
        event_id=f"{metric}-{name}-{service}-{window}",
        app=APP,
        stage={"a": "see", "b": "tell"}.get(of, ""),
        service=of,
        instance=name,
        node=PLACES.get(name, ""),
        metric=metric,
        unit="",
        window="1s",
        window_start=end - 1_000,
        window_end=end,
        count=20,
        mean=value,
        std=0.0,
        min=value,
        max=value,
        p50=value,
        p90=value,
        p95=value,
        p99=value,
        late_count=0,
        emitted_at=end,
    )


def violation(window: int, status: str) -> ContractViolated:
    end = T0 + (window + 1) * 1_000
    return ContractViolated(
        event_id=f"in-time-{status}-{window}",
        contract="desk",
        contract_version=1,
        clause="in-time",
        app=APP,
        consumer="",
        metric="response_latency",
        status=status,
        observed=60.0,
        threshold=40.0,
        operator="<=",
        since=end - 1_000,
        window_start=end - 1_000,
        window_end=end,
        evaluated_at=end,
        severity="critical",
    )


def verdict(window: int, verdict: str, tier: str = "rules") -> QualityEvaluated:
    end = T0 + (window + 1) * 1_000
    return QualityEvaluated(
        event_id=f"{tier}-{verdict}-{window}",
        app=APP,
        stage="see",
        service="a",
        instance="a-1",
        metric="latency",
        tier=tier,
        rule="slow",
        verdict=verdict,
        severity="warning",
        score=1.0,
        window_end=end,
        evaluated_at=end,
    )


def drift(window: int, cause: str = "covariate", service: str = "a") -> DriftDetected:
    end = T0 + (window + 1) * 1_000
    return DriftDetected(
        event_id=f"drift-{service}-{window}",
        app=APP,
        stage="see",
        service=service,
        instance="",
        node="",
        metric="error",
        detector="adwin",
        status="confirmed",
        kind="sudden",
        cause_class="error",
        before=0.1,
        after=0.3,
        width=100,
        degree=0.2,
        since=end - 3_000,
        detected_at=end,
        cause=cause,
    )

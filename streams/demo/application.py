"""What the demonstration registers: one application, its services, a contract and windows."""

from collections.abc import Sequence

from schemas.base import Event
from schemas.graphs import Stage
from schemas.identity import stable_id
from schemas.quality import RuleDefined
from schemas.registrations import (
    ApplicationRegistered,
    Clause,
    ConsumerRegistered,
    ContractRegistered,
    ServiceRegistered,
    Weight,
    WindowDefined,
)
from schemas.resources import Variant
from streams.demo.models import Model
from workers.settings import NodeSection

APP = "digits"
STAGE = "classify"
CONTRACT = "digits-desk"
CONSUMER = "desk"

NODES = (
    NodeSection(name="edge-small", cpu_milli=1000, memory_mib=192, speed=0.5, zone="hall"),
    NodeSection(name="edge-medium", cpu_milli=1500, memory_mib=256, speed=0.7, zone="hall"),
    NodeSection(name="edge-large", cpu_milli=2000, memory_mib=512, speed=1.0, zone="roof"),
    NodeSection(name="cloudlet", cpu_milli=4000, memory_mib=1024, speed=1.0, zone="roof"),
)
"""Four unequal nodes that this machine plays."""


def registrations(models: Sequence[Model], run: str, user: str, now_ms: int) -> list[Event]:
    """Return the events that register the application, in the order in which they are needed."""
    return [
        *_windows(now_ms),
        _consumer(now_ms),
        *(_service(model, run, now_ms) for model in models),
        _contract(now_ms),
        _rule(now_ms),
        _application(models, run, user, now_ms),
    ]


def _application(
    models: Sequence[Model], run: str, user: str, now_ms: int
) -> ApplicationRegistered:
    stage = Stage(
        stage=STAGE,
        stage_id=stable_id("stage", APP, run, STAGE),
        services=tuple(model.service for model in models),
        modality="image",
    )
    return ApplicationRegistered(
        app=APP,
        app_id=stable_id("app", APP, run),
        run=run,
        user=user,
        owner=user,
        stages=(stage,),
        registered_at=now_ms,
        event_id=stable_id("registered", "app", APP, run),
    )


def _service(model: Model, run: str, now_ms: int) -> ServiceRegistered:
    """A service; its cost per request is CPU milliseconds plus a rent of 0.01 per MiB held."""
    return ServiceRegistered(
        service=model.service,
        service_id=stable_id("service", APP, run, model.service),
        app=APP,
        stage=STAGE,
        model=model.service,
        image="",
        artifact=f"file://{model.path}",
        digest=model.digest,
        format="onnx",
        variants=(Variant(name="cpu-fp32", precision="fp32", device="cpu"),),
        cpu_milli=400,
        memory_mib=model.memory_mib,
        latency_ms=model.latency_ms,
        accuracy=model.accuracy,
        cost=round(model.latency_ms + model.memory_mib / 100, 4),
        registered_at=now_ms,
        event_id=stable_id("registered", "service", model.service, run, model.digest),
    )


def _contract(now_ms: int) -> ContractRegistered:
    return ContractRegistered(
        contract=CONTRACT,
        consumer=CONSUMER,
        app=APP,
        owner=CONSUMER,
        clauses=(
            Clause(
                name="right-answers",
                metric="accuracy",
                statistic="mean",
                operator=">=",
                threshold=0.85,
                window_ms=4_000,
                min_count=30,
            ),
            Clause(
                name="answers-in-time",
                metric="response_latency",
                statistic="p95",
                operator="<=",
                threshold=1_000,
                window_ms=4_000,
                min_count=30,
            ),
        ),
        weights=(
            Weight(objective="accuracy", weight=0.9),
            Weight(objective="latency", weight=0.08),
            Weight(objective="cost", weight=0.02),
        ),
        max_members=3,
        registered_at=now_ms,
        event_id=stable_id("registered", "contract", CONTRACT, "1"),
    )


def _windows(now_ms: int) -> list[WindowDefined]:
    return [
        WindowDefined(
            name="digits-1s",
            app=APP,
            size_ms=1_000,
            allowed_lateness_ms=300,
            registered_at=now_ms,
            event_id=stable_id("registered", "window", "digits-1s"),
        )
    ]


def _consumer(now_ms: int) -> ConsumerRegistered:
    return ConsumerRegistered(
        consumer=CONSUMER,
        apps=(APP,),
        modalities=("image",),
        registered_at=now_ms,
        event_id=stable_id("registered", "consumer", CONSUMER),
    )


def _rule(now_ms: int) -> RuleDefined:
    return RuleDefined(
        name="digits-confidence",
        app=APP,
        metric="confidence",
        statistic="mean",
        operator="<",
        threshold=0.6,
        for_windows=3,
        clear_windows=3,
        registered_at=now_ms,
        event_id=stable_id("registered", "rule", "digits-confidence"),
    )

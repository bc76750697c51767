"""One in-memory run of those who find a remedy and those who carry it out."""

from collections.abc import Mapping
from typing import Any

from placement.control import controller
from placement.rollout import canary
from placement.scaling import scaler
from processors.remedying import remedy
from processors.remedying.base import Action
from schemas.base import Event
from schemas.decisions import (
    ActionTaken,
    Assignment,
    EnsembleMember,
    EnsembleSelected,
    PlacementDecided,
)
from schemas.identity import stable_id
from schemas.observing import (
    ContractViolated,
    Contribution,
    DriftDetected,
    Observation,
    QualityEvaluated,
    RootCause,
)
from schemas.observing import Finding as Fact
from schemas.processing import Spec
from schemas.quality import RemedyDefined
from schemas.records import KeyValue
from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered
from workers.local import LocalHost, LocalLog

T0 = 1_700_000_000_000
APP = "digits"
CARRYING = (scaler.spec(), canary.spec(), controller.spec())


def pairs(**told: str) -> tuple[KeyValue, ...]:
    return tuple(KeyValue(key=key.replace("__", "."), value=v) for key, v in told.items())


def policy(scope: str, mode: str = "act", at: int = 0, **told: str) -> PolicySelected:
    return PolicySelected(
        scope=scope,
        component=scope.partition("/")[0],
        algorithm="",
        parameters=pairs(**told),
        mode=mode,
        selected_at=T0 + at,
        event_id=stable_id(scope, mode, at, repr(told)),
    )


def defined(action: str, on: str = "quality", name: str = "mend", **more: Any) -> RemedyDefined:
    told = {"cooldown_ms": 60_000, "verify_ms": 20_000} | more
    identity = stable_id(name, action, on, repr(sorted(told.items())))
    return RemedyDefined(
        name=name, on=on, action=action, registered_at=T0, event_id=identity, **told
    )


def node(name: str) -> NodeReported:
    return NodeReported(
        node=name,
        cpu_milli=4000,
        memory_mib=4096,
        architecture="amd64",
        operating_system="linux",
        status="ready",
        heartbeat=T0,
        expires_at=T0 + 36_000_000,
    )


def service(name: str = "s", **more: Any) -> ServiceRegistered:
    return ServiceRegistered(
        service=name,
        service_id=name,
        app=APP,
        stage="classify",
        model=f"{name}-model",
        image="",
        artifact=f"file:///models/{name}.onnx",
        format="onnx",
        cpu_milli=1000,
        memory_mib=512,
        registered_at=T0,
        event_id=f"service-{name}",
        **more,
    )


def selected(*services: str, **more: Any) -> EnsembleSelected:
    told: dict[str, Any] = {"generation": 1, "selected_at": T0, "event_id": "selected-1"} | more
    members = tuple(EnsembleMember(service=s, weight=1.0, role="member") for s in services)
    return EnsembleSelected(
        app=APP,
        contract="",
        algorithm="exact",
        combine="vote",
        members=members,
        predicted_latency_ms=1.0,
        predicted_accuracy=0.9,
        predicted_cost=1.0,
        score=1.0,
        gap=0.0,
        reason="test",
        **told,
    )


def placed(name: str, nodes: str, generation: int = 1) -> PlacementDecided:
    there = tuple(
        Assignment(node=n, instance=f"{name}.{n}", variant="", cpu_milli=1000, memory_mib=512)
        for n in nodes
    )
    return PlacementDecided(
        event_id=f"placed-{name}-{generation}",
        service=name,
        app=APP,
        generation=generation,
        status="placed",
        replicas=len(there),
        assignments=there,
        score=1.0,
        algorithm="weighted",
        reason="test",
        decided_at=T0,
        mode="act",
    )


def verdict(
    at: int, verdict: str = "degraded", severity: str = "critical", **more: Any
) -> QualityEvaluated:
    told: dict[str, Any] = {
        "stage": "classify",
        "service": "s",
        "instance": "",
        "metric": "latency",
        "tier": "rules",
        "rule": "slow",
        "findings": (Fact(what="mean of latency", observed=90.0, expected=30.0),),
    } | more
    return QualityEvaluated(
        event_id=stable_id("verdict", at, verdict, severity, repr(sorted(told.items()))),
        app=APP,
        verdict=verdict,
        severity=severity,
        score=1.0,
        window_end=T0 + at,
        evaluated_at=T0 + at,
        **told,
    )


def diagnosed(at: int, kind: str, name: str, causes: tuple[str, ...] = ()) -> QualityEvaluated:
    cause = RootCause(kind=kind, name=name, score=0.9)
    told = {"tier": "diagnosis", "rule": "diagnosis", "service": "", "stage": ""}
    return verdict(at, root_causes=(cause,), causes=causes, findings=(), **told)


def drift(at: int, **more: Any) -> DriftDetected:
    told: dict[str, Any] = {
        "metric": "error",
        "before": 0.1,
        "after": 0.4,
        "cause": "concept",
        "retrain": True,
        "events": 500,
    } | more
    return DriftDetected(
        event_id=stable_id("drift", at, repr(sorted(told.items()))),
        app=APP,
        stage="classify",
        service="s",
        instance="",
        node="",
        detector="adwin",
        status="confirmed",
        kind="sudden",
        cause_class="error",
        width=100,
        degree=3.0,
        since=T0 + at - 5_000,
        detected_at=T0 + at,
        **told,
    )


def violated(at: int, status: str = "violated", blamed: str = "s") -> ContractViolated:
    part = Contribution(stage="classify", service=blamed, observed=90.0, share=0.8)
    return ContractViolated(
        event_id=stable_id("violated", at, status),
        contract="desk",
        contract_version=1,
        clause="fast",
        app=APP,
        consumer="",
        metric="response_latency",
        status=status,
        observed=90.0,
        threshold=50.0,
        operator="<=",
        since=T0 + at,
        window_start=T0 + at - 1_000,
        window_end=T0 + at,
        contributions=(part,),
        evaluated_at=T0 + at,
    )


def window(at: int, value: float, metric: str = "latency") -> Observation:
    """Return what is observed of `s` in the second that ends at a time."""
    return Observation(
        event_id=stable_id("window", at, metric),
        app=APP,
        stage="classify",
        service="s",
        instance="",
        node="",
        metric=metric,
        unit="ms",
        window="default",
        window_start=T0 + at - 1_000,
        window_end=T0 + at,
        count=100,
        mean=value,
        std=0.0,
        min=value,
        max=value,
        p50=value,
        p90=value,
        p95=value,
        p99=value,
        late_count=0,
        emitted_at=T0 + at,
    )


class Run:
    """remedy, scale, canary and place, and more of them, over one log; time is ms after T0."""

    def __init__(
        self,
        *known: Event,
        more: tuple[Spec, ...] = (),
        mode: str = "act",
        others: Mapping[str, Action] | None = None,
    ) -> None:
        self.log = LocalLog(now_ms=T0)
        self.log.produce(policy("installation", mode), *[node(n) for n in "abcd"], *known)
        self.host = LocalHost((remedy.spec(plugins=others), *CARRYING, *more), self.log)
        self.at(0)

    def at(self, now: int, *events: Event) -> "Run":
        """Let events come at a time, and all do what follows."""
        self.log.now_ms = T0 + now
        self.log.produce(*events)
        self.host.run_until_idle(T0 + now)
        return self

    def during(self, first: int, last: int, step: int = 1_000) -> "Run":
        """Let time go on."""
        for now in range(first, last + 1, step):
            self.at(now)
        return self

    def said(self, kind: str = "remedy.") -> list[ActionTaken]:
        """Return the actions of a kind, oldest first."""
        actions = self.log.events("weir.actions")
        return [a for a in actions if isinstance(a, ActionTaken) and a.kind.startswith(kind)]

    def placement(self, name: str = "s") -> PlacementDecided:
        """Return the newest placement of a service."""
        found = self.log.catalogue().get(PlacementDecided, name)
        assert found is not None
        return found

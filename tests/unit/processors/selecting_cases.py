"""An application with five services, and a simulation that feeds select what they would do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from processors.selecting.parameters import SelectParams
from processors.selecting.selection import spec
from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.decisions import EnsembleSelected, PlacementRequested
from schemas.graphs import Stage
from schemas.observing import ContractViolated, DriftDetected, Observation
from schemas.partitioning import partition_of
from schemas.processing import Batch, Record
from schemas.registrations import (
    ApplicationRegistered,
    Clause,
    ContractRegistered,
    InstanceReported,
    PolicySelected,
    ServiceRegistered,
    Weight,
)
from schemas.topics import PARTITIONS, key_of, topic_of

APP = "digits"
PARTITION = partition_of(APP, PARTITIONS)
T0 = 1_700_000_000_000
DECLARED = {"tree": 0.86, "bayes": 0.90, "mlp": 0.95, "forest": 0.97, "svm": 0.98}
COSTS = {"tree": 1.0, "bayes": 1.5, "mlp": 3.0, "forest": 6.0, "svm": 8.0}
CLEAN = dict(DECLARED)
BLURRED = {"tree": 0.40, "bayes": 0.45, "mlp": 0.80, "forest": 0.55, "svm": 0.90}


def application(services: Sequence[str] = tuple(DECLARED)) -> ApplicationRegistered:
    stage = Stage(stage="classify", stage_id="classify", services=tuple(services))
    return ApplicationRegistered(
        app=APP,
        app_id="app-1",
        run="",
        user="",
        owner="",
        stages=(stage,),
        registered_at=T0,
        event_id="registered-app",
    )


def service(name: str, **more: Any) -> ServiceRegistered:
    fields: dict[str, Any] = {
        "accuracy": DECLARED.get(name),
        "latency_ms": 5.0,
        "cost": COSTS.get(name, 1.0),
    }
    return ServiceRegistered(
        service=name,
        service_id=name,
        app=APP,
        stage="classify",
        model="",
        image="",
        artifact=f"file:///{name}.onnx",
        format="onnx",
        cpu_milli=100,
        memory_mib=64,
        registered_at=T0,
        event_id=f"registered-{name}",
        **(fields | more),
    )


def contract(threshold: float = 0.8, **more: Any) -> ContractRegistered:
    accuracy = Clause(
        name="right",
        metric="accuracy",
        statistic="mean",
        operator=">=",
        threshold=threshold,
        window_ms=4000,
    )
    latency = Clause(
        name="fast",
        metric="response_latency",
        statistic="p95",
        operator="<=",
        threshold=200.0,
        window_ms=4000,
    )
    shares = {"accuracy": 0.5, "latency": 0.1, "cost": 0.4}
    fields: dict[str, Any] = {
        "clauses": (accuracy, latency),
        "weights": tuple(Weight(objective=o, weight=w) for o, w in shares.items()),
        "max_members": 3,
        "event_id": "registered-contract",
    }
    return ContractRegistered(
        contract="desk", consumer="", app=APP, owner="", registered_at=T0, **(fields | more)
    )


def observation(metric: str, start: int, mean: float, **more: Any) -> Observation:
    fields: dict[str, Any] = {"service": "", "instance": "", "window": "1s", "count": 40}
    fields |= more
    where = f"{fields['service']}{fields['instance']}-{fields['window']}-{start}"
    return Observation(
        **{
            "event_id": f"{metric}-{where}",
            "app": APP,
            "stage": "classify" if fields["service"] else "",
            "node": "",
            "metric": metric,
            "unit": "",
            "window_start": start,
            "window_end": start + 1000,
            "mean": mean,
            "std": 0.0,
            "min": mean,
            "max": mean,
            "p50": mean,
            "p90": mean,
            "p95": mean,
            "p99": mean,
            "late_count": 0,
            "emitted_at": start + 1200,
        }
        | fields
    )


def drift(where: str, since: int, before: float = 0.1, after: float = 0.5) -> DriftDetected:
    return DriftDetected(
        event_id=f"drift-{where}-{since}",
        app=APP,
        stage="classify" if where else "",
        service=where,
        instance="",
        node="",
        metric="error",
        detector="adwin",
        status="confirmed",
        kind="sudden",
        cause_class="error",
        before=before,
        after=after,
        width=100,
        degree=2.0,
        since=since,
        detected_at=since + 1500,
    )


def violation(start: int, status: str = "violated") -> ContractViolated:
    return ContractViolated(
        event_id=f"violation-{start}-{status}",
        contract="desk",
        contract_version=1,
        clause="right",
        app=APP,
        consumer="",
        metric="accuracy",
        status=status,
        observed=0.5,
        threshold=0.8,
        operator=">=",
        since=start + 1000,
        window_start=start,
        window_end=start + 4000,
        evaluated_at=start + 5000,
    )


def policy(mode: str, scope: str = "select") -> PolicySelected:
    return PolicySelected(
        scope=scope,
        component="select",
        algorithm="exact",
        mode=mode,
        selected_at=T0,
        event_id=f"policy-{mode}",
    )


def broken(name: str, health: str = "failed", until: int = T0 + 10_000_000) -> InstanceReported:
    return InstanceReported(
        instance=f"{name}.a",
        service=name,
        app=APP,
        stage="classify",
        node="a",
        worker="a-1",
        task_topic="",
        model_version="",
        run="",
        user="",
        method="",
        role="worker",
        health=health,
        message="no valid ONNX",
        heartbeat=T0,
        expires_at=until,
    )


class World:
    """Select with its catalogue, and live traffic of 40 judged requests a second."""

    def __init__(self, params: SelectParams | None = None, *more: Event) -> None:
        self.processor: Any = spec(params).build(PARTITION)
        self.catalogue = Catalogue()
        self.now = T0
        self.out: list[Event] = []
        self.accuracy: Mapping[str, float] = CLEAN
        self.register(application(), *(service(name) for name in DECLARED), *more)

    def register(self, *events: Event) -> None:
        for event in events:
            offset = sum(self.catalogue.positions.values())
            update = Update(topic_of(event), 0, offset, key_of(event), event)
            self.catalogue = self.catalogue.apply([update])

    def remove(self, event: Event) -> None:
        self.catalogue = self.catalogue.apply(
            [Update(topic_of(event), 0, 10_000, key_of(event), None)]
        )

    def feed(self, *events: Event) -> list[Event]:
        records = tuple(
            Record(event, topic_of(event), PARTITION, at, self.now)
            for at, event in enumerate(events)
        )
        out = list(self.processor.process(Batch(records, self.now, self.catalogue)))
        self.out += out
        return out

    def second(self) -> None:
        """Let one second of traffic pass through whatever serves at present."""
        start = self.now
        self.now += 500
        self.feed()
        self.now += 500
        seen: list[Event] = [observation("response_latency", start, 12.0)]
        ensemble = self.ensemble
        for member in ensemble.members if ensemble else ():
            share = self.accuracy[member.service]
            seen.append(observation("accuracy", start, share, service=member.service))
            seen.append(
                observation(
                    "latency", start, 6.0, service=member.service, instance=f"{member.service}.a"
                )
            )
        if ensemble and self.members:
            best = max(self.accuracy[name] for name in self.members)
            seen.append(observation("accuracy", start, best))
        self.feed(*seen)

    def seconds(self, number: int) -> None:
        for _ in range(number):
            self.second()

    @property
    def ensembles(self) -> list[EnsembleSelected]:
        return [event for event in self.out if isinstance(event, EnsembleSelected)]

    @property
    def ensemble(self) -> EnsembleSelected | None:
        return self.ensembles[-1] if self.ensembles else None

    @property
    def members(self) -> tuple[str, ...]:
        return self.roles("member")

    @property
    def shadows(self) -> tuple[str, ...]:
        return self.roles("shadow")

    def roles(self, role: str) -> tuple[str, ...]:
        ensemble = self.ensemble
        return tuple(m.service for m in ensemble.members if m.role == role) if ensemble else ()

    @property
    def demands(self) -> dict[str, int]:
        """Return the copies that the newest request asks for."""
        requests = [event for event in self.out if isinstance(event, PlacementRequested)]
        return {d.service: d.replicas for d in requests[-1].demands} if requests else {}


def revised(event: Observation, mean: float) -> Observation:
    return replace(event, revision=event.revision + 1, mean=mean)

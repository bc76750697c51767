"""What the tests of scaling tell the processor."""

from typing import Any

from schemas.decisions import EnsembleMember, EnsembleSelected
from schemas.identity import stable_id
from schemas.observing import ContractViolated, Contribution, Observation
from schemas.partitioning import partition_of
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from schemas.topics import PARTITIONS
from tests.unit.placement import world

T0 = world.T0
APP = next(f"digits{n}" for n in range(100) if partition_of(f"digits{n}", PARTITIONS) == 0)


def observed(metric: str, end: int, mean: float, count: int, **more: Any) -> Observation:
    """Return a window of 2 s that ends `end` ms after T0."""
    fields: dict[str, Any] = {"service": "", "instance": "", "stage": "", "node": ""} | more
    return Observation(
        event_id=stable_id("observed", metric, end, fields["instance"], str(mean)),
        app=APP,
        metric=metric,
        unit="ms",
        window="default",
        window_start=T0 + end - 2_000,
        window_end=T0 + end,
        count=count,
        mean=mean,
        std=0.0,
        min=mean,
        max=mean,
        p50=mean,
        p90=mean,
        p95=mean,
        p99=mean,
        late_count=0,
        emitted_at=T0 + end,
        **fields,
    )


def busy(share: float, end: int, instance: str = "s.a") -> Observation:
    """Return a window in which an instance executed for this share of the time."""
    service = instance.partition(".")[0]
    return observed("execution", end, 20.0, int(share * 100), service=service, instance=instance)


def asked(end: int) -> Observation:
    """Return a window in which the application was asked."""
    return observed("answered", end, 0.0, 3)


def violated(
    end: int, service: str = "s", status: str = "violated", metric: str = "latency"
) -> ContractViolated:
    """Return the verdict on a clause to which a service contributes most."""
    parts = (
        Contribution(stage="classify", service=service, observed=90.0, share=0.8),
        Contribution(stage="classify", service="other", observed=10.0, share=0.2),
    )
    return ContractViolated(
        event_id=stable_id("violated", service, status, end),
        contract="fast",
        contract_version=1,
        clause="soon",
        app=APP,
        consumer="you",
        metric=metric,
        status=status,
        observed=90.0,
        threshold=50.0,
        operator="<=",
        since=T0,
        window_start=T0 + end - 2_000,
        window_end=T0 + end,
        contributions=parts,
        evaluated_at=T0 + end,
    )


def selected(*services: str, shadow: str = "") -> EnsembleSelected:
    """Return the selection of an ensemble."""
    members = tuple(EnsembleMember(service=s, weight=1.0, role="member") for s in services)
    if shadow:
        members += (EnsembleMember(service=shadow, weight=0.0, role="shadow"),)
    return EnsembleSelected(
        event_id="selected",
        app=APP,
        contract="",
        generation=1,
        algorithm="exact",
        combine="weighted_vote",
        members=members,
        predicted_latency_ms=1.0,
        predicted_accuracy=1.0,
        predicted_cost=0.0,
        score=1.0,
        gap=0.0,
        reason="test",
        selected_at=T0,
    )


def policy(scope: str = "place", mode: str = "act", **parameters: str) -> PolicySelected:
    """Return a policy for place with parameters; `__` in a name stands for a dot."""
    return PolicySelected(
        scope=scope,
        component="place",
        algorithm="weighted",
        parameters=tuple(
            KeyValue(key=name.replace("__", "."), value=value) for name, value in parameters.items()
        ),
        mode=mode,
        selected_at=T0,
        event_id=stable_id("policy", scope, mode, repr(parameters)),
    )

"""A large installation as registrations: applications with contracts, services, nodes."""

from collections.abc import Iterator

from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.graphs import Stage
from schemas.registrations import (
    ApplicationRegistered,
    Clause,
    ContractRegistered,
    NodeReported,
    ServiceRegistered,
    Weight,
)
from schemas.resources import Variant
from schemas.topics import home_of, key_of

T0 = 1_700_000_000_000
SERVICES_EACH = 4
DAY_MS = 86_400_000


def installation(apps: int, nodes: int, now_ms: int = T0) -> Iterator[Event]:
    """Yield nodes, then four services, a contract and the registration of each application."""
    for number in range(nodes):
        yield node(number, now_ms)
    for number in range(apps):
        yield from application(number, now_ms)


def application(number: int, now_ms: int = T0) -> Iterator[Event]:
    """Yield what registers one application: services, contract, and itself."""
    app = f"app-{number:05d}"
    services = tuple(f"{app}.model-{n}" for n in range(SERVICES_EACH))
    for rank, service in enumerate(services):
        yield ServiceRegistered(
            service=service,
            service_id=service,
            app=app,
            stage="classify",
            model=service,
            image="",
            artifact=f"file:///models/{service}.onnx",
            format="onnx",
            variants=(Variant(name="cpu-fp32", precision="fp32", device="cpu"),),
            cpu_milli=100 + 50 * rank,
            memory_mib=32 + 32 * rank,
            accuracy=0.80 + 0.04 * rank,
            latency_ms=2.0 + 3 * rank,
            cost=1.0 + rank,
            registered_at=now_ms,
            event_id=f"registered-{service}",
        )
    yield ContractRegistered(
        contract=f"{app}-desk",
        consumer="desk",
        app=app,
        owner="desk",
        clauses=(
            Clause(
                name="right",
                metric="accuracy",
                statistic="mean",
                operator=">=",
                threshold=0.7,
                window_ms=4000,
            ),
        ),
        weights=(Weight(objective="accuracy", weight=0.6), Weight(objective="cost", weight=0.4)),
        max_members=3,
        registered_at=now_ms,
        event_id=f"registered-{app}-desk",
    )
    yield ApplicationRegistered(
        app=app,
        app_id=app,
        run="",
        user="",
        owner="desk",
        stages=(Stage(stage="classify", stage_id="classify", services=services),),
        registered_at=now_ms,
        event_id=f"registered-{app}",
    )


def node(number: int, now_ms: int = T0) -> NodeReported:
    """Return a node of 16 cores and 16 GiB that lives for a day."""
    return NodeReported(
        node=f"node-{number:04d}",
        zone=f"zone-{number % 10}",
        cpu_milli=16_000,
        memory_mib=16_384,
        architecture="amd64",
        operating_system="linux",
        status="ready",
        heartbeat=now_ms,
        expires_at=now_ms + DAY_MS,
    )


def applied(catalogue: Catalogue, events: Iterator[Event] | list[Event]) -> Catalogue:
    """Return the catalogue after these entries, as a reader would have made it."""
    return catalogue.apply(
        Update(home_of(type(event)).name, 0, 0, key_of(event), event) for event in events
    )

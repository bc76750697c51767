"""The application that the ledger is kept for: one tiny model, two replicas, windows of 1 s."""

import hashlib
from pathlib import Path

from schemas.base import Event
from schemas.graphs import Stage
from schemas.identity import stable_id
from schemas.registrations import ApplicationRegistered, ServiceRegistered, WindowDefined
from schemas.resources import Variant

APP, STAGE, SERVICE = "ledger", "largest", "largest-of-three"
WINDOW_MS = 1_000
LATENESS_MS = 300
NODE, AGENT = "watched", "agent.watched"
"""The node that an agent reports, and the instance that it is."""
MODEL = Path(__file__).with_name("largest.onnx")
"""Says which of three numbers is the largest; a few hundred bytes."""


def registrations(now_ms: int) -> list[Event]:
    """Return the events that register the application, in the order in which they are needed."""
    stage = Stage(stage=STAGE, stage_id=stable_id("stage", APP, STAGE), services=(SERVICE,))
    return [
        WindowDefined(
            name=f"{APP}-1s",
            app=APP,
            size_ms=WINDOW_MS,
            allowed_lateness_ms=LATENESS_MS,
            registered_at=now_ms,
            event_id=stable_id("registered", "window", APP),
        ),
        _service(now_ms),
        ApplicationRegistered(
            app=APP,
            app_id=stable_id("app", APP),
            run="ledger",
            user="bench",
            owner="bench",
            stages=(stage,),
            registered_at=now_ms,
            event_id=stable_id("registered", "app", APP),
        ),
    ]


def _service(now_ms: int) -> ServiceRegistered:
    return ServiceRegistered(
        service=SERVICE,
        service_id=stable_id("service", APP, SERVICE),
        app=APP,
        stage=STAGE,
        model=SERVICE,
        image="",
        artifact=MODEL.as_uri(),
        digest=hashlib.sha256(MODEL.read_bytes()).hexdigest(),
        format="onnx",
        variants=(Variant(name="cpu-fp32", precision="fp32", device="cpu"),),
        cpu_milli=300,
        memory_mib=64,
        replicas=2,
        latency_ms=1.0,
        accuracy=1.0,
        cost=1.0,
        registered_at=now_ms,
        event_id=stable_id("registered", "service", APP, SERVICE),
    )

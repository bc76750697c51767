"""What a worker says about its instances. Pure."""

from dataclasses import dataclass

from schemas.records import KeyValue
from schemas.registrations import InstanceReported
from schemas.topics import task_topic
from workers.inference.replicas import Hosted, Wanted
from workers.inference.results import Home

STARTING = "starting"
READY = "ready"
FAILED = "failed"
DRAINING = "draining"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Reporter:
    """On whose behalf a worker runs, and for how long (ms) a heartbeat counts.

    `address` is the URL at which other workers may send it tasks, empty for none.
    """

    home: Home
    run: str
    user: str
    pid: int
    expiry_ms: int
    address: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """How an instance is: health, why, and what waits for it."""

    health: str
    message: str | None
    queued: int
    queue_ms: float


def report(
    reporter: Reporter, wanted: Wanted, hosted: Hosted | None, now: Condition, now_ms: int
) -> InstanceReported:
    """Return the heartbeat of one instance."""
    home, service = reporter.home, wanted.service
    return InstanceReported(
        instance=wanted.instance,
        service=wanted.name,
        app=wanted.app,
        stage=service.stage if service else "",
        node=home.node,
        worker=home.worker,
        task_topic=task_topic(home.worker),
        address=reporter.address or None,
        model_version=hosted.digest if hosted else "",
        run=reporter.run,
        user=reporter.user,
        method=service.model if service else "",
        role="worker",
        metadata=_metadata(reporter, wanted, hosted),
        health=now.health,
        message=now.message,
        queued=now.queued,
        queue_ms=now.queue_ms,
        heartbeat=now_ms,
        expires_at=now_ms + reporter.expiry_ms,
    )


def _metadata(reporter: Reporter, wanted: Wanted, hosted: Hosted | None) -> tuple[KeyValue, ...]:
    known = {"pid": str(reporter.pid), "artifact": "".join(wanted.artifact[:1])}
    if hosted is not None:
        known |= {
            "runtime": hosted.runtime,
            "provider": hosted.session.provider,
            "variant": hosted.variant.name,
        }
    return tuple(KeyValue(key=key, value=value) for key, value in known.items() if value)

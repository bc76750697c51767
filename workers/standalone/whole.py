"""A run from its file to its document: models are loaded, frames prepared, everything is driven."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.agent.facts import gather
from workers.agent.nvml import nvidia
from workers.artifacts.obtaining import artifacts_of
from workers.clock import wall_ms
from workers.inference.loading import Loaded, Loader
from workers.runtimes.known import known_runtimes
from workers.scheduling.orders.base import Order
from workers.settings import Settings
from workers.standalone import models
from workers.standalone.coming import coming
from workers.standalone.config import Mode, Run
from workers.standalone.documents import FORMAT, VERSION
from workers.standalone.inputs import Frames, frames_of
from workers.standalone.resources import watched
from workers.standalone.running import HOME, Outcome, Runner, engine_of, minding
from workers.standalone.versions import versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run as it is to be carried out: `where` names its file in messages.

    `folder` is where its paths begin; at most `frames` frames come, None for all that are due.
    """

    run: Run
    where: str
    folder: Path
    mode_name: str
    mode: Mode
    order: Order
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """What a run needs: models by service, and the frames of each."""

    loaded: dict[str, Loaded]
    frames: dict[str, Frames]


@contextmanager
def ready(plan: Plan, settings: Settings) -> Iterator[Ready]:
    """Load all models and frames of a plan. Raises RunRefused for the first that cannot be used."""
    loader = Loader(known_runtimes(), artifacts_of(settings))
    try:
        loaded = models.load(plan.run, plan.mode, plan.folder, loader, plan.where)
        frames = {
            service.name: frames_of(
                service,
                loaded[service.name].hosted.session.signature,
                plan.run.seed,
                plan.folder,
                f"{plan.where}: services[{place}].input",
            )
            for place, service in enumerate(plan.run.services)
        }
        yield Ready(loaded, frames)
    finally:
        loader.close()


def carry_out(plan: Plan, found: Ready, stopped: threading.Event) -> dict[str, Any]:
    """Run a plan in real time, and return everything about it, as JSON can hold it.

    It ends early, and says so, when `stopped` is set.
    """
    engine, telemetry = engine_of(plan.run.worker, plan.order)
    for loaded in found.loaded.values():
        engine.host(models.unread(loaded.hosted), loaded.warm_ms)
    due = coming(plan.run, plan.mode, plan.frames)
    began = wall_ms()
    with watched() as resources:
        pressed = minding(engine, telemetry, resources.vitals)
        outcome = Runner(plan.run, engine, found.frames, due, stopped, pressed).to_the_end()
    return {
        **_head(plan, began, outcome),
        "services": {
            service.name: {
                "priority": service.priority,
                "budget_ms": service.budget_ms,
                "queue_tasks": service.queue.tasks,
            }
            for service in plan.run.services
        },
        "models": models.summary(found.loaded),
        "resources": resources.summary(),
        "degradation": telemetry.degradation(),
        "work": telemetry.summary(),
    }


def _head(plan: Plan, began: int, outcome: Outcome) -> dict[str, Any]:
    gpus = nvidia()
    facts = gather(HOME.node, gpus)
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": plan.run.name,
        "file": plan.where,
        "mode": plan.mode_name,
        "load": plan.mode.load,
        "order": plan.order.name,
        "seed": plan.run.seed,
        "began_at": began,
        "frames": outcome.frames,
        "complete": outcome.complete,
        "behind_ms": round(outcome.behind_ms, 3),
        "versions": versions(),
        "machine": {
            "cores": facts.cores,
            "memory_mib": facts.memory_mib,
            "architecture": facts.architecture,
            "gpus": [gpu.model for gpu in gpus.states()],
        },
    }

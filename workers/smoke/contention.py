"""Two different models that contend for this device, in the live engine, for a moment."""

import threading
from pathlib import Path
from typing import Any

from workers.runtimes.base import DEFAULT
from workers.scheduling.orders.weir import Weir
from workers.settings import Settings
from workers.simulation.arrivals import Periodic
from workers.smoke.checks import FAILED, OK, Check
from workers.standalone.config import Batching, Mode, Model, Run, Service
from workers.standalone.errors import RunRefused
from workers.standalone.whole import Plan, carry_out, ready

NAME = "contention"
BUDGET_MS = 250.0
EVERY_MS = {"dense": 4.0, "convolution": 6.0}
"""Each is one of two models; together they keep a small processor busy."""
_ENDS = ("in_time", "late", "failed", "dropped", "expired", "rejected")


def contend(
    folder: Path, settings: Settings, lasts_ms: float, device: str = DEFAULT.device
) -> tuple[Check, dict[str, Any]]:
    """Run the models of a folder for so long, and return how that went and the whole document."""
    run = Run(
        name=NAME,
        duration_ms=lasts_ms,
        modes={},
        services=tuple(
            _service(name, place, device) for place, name in enumerate(sorted(EVERY_MS))
        ),
    )
    plan = Plan(run=run, where=NAME, folder=folder, mode_name="normal", mode=Mode(), order=Weir())
    try:
        with ready(plan, settings) as found:
            document = carry_out(plan, found, threading.Event())
    except RunRefused as error:
        return Check(NAME, FAILED, str(error)), {}
    return judged(document["work"]), document


def judged(work: dict[str, Any]) -> Check:
    """Judge the account of a run: both were served, nothing failed, nothing was lost."""
    wrong, told = [], []
    for name, tally in work["services"].items():
        ended = sum(tally[end] for end in _ENDS)
        if tally["failed"]:
            wrong.append(f"{name}: {tally['failed']} failed, {tally['examples'].get('failed')}")
        if not tally["executed"]:
            wrong.append(f"{name} was never executed")
        if ended != tally["arrived"]:
            wrong.append(f"{name}: {tally['arrived']} came and {ended} ended")
        told.append(f"{name} {tally['in_time']} of {tally['arrived']} in time")
    if missing := sorted(EVERY_MS.keys() - work["services"].keys()):
        wrong.append(f"nothing came for {missing[0]}")
    return Check(NAME, FAILED if wrong else OK, "; ".join(wrong or told))


def _service(name: str, priority: int, device: str) -> Service:
    return Service(
        name=name,
        model=Model(artifact=f"{name}.onnx", device=device, options={}),
        budget_ms=BUDGET_MS,
        arrivals=Periodic(kind="periodic", every_ms=EVERY_MS[name]),
        priority=priority,
        batch=Batching(max=8),
    )

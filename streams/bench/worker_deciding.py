"""What a decision costs with many services and deep queues, and what a long run keeps."""

import gc
import re
import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

from streams.bench.worker_overload import Say
from workers.scheduling.jobs import Job
from workers.scheduling.orders import names
from workers.scheduling.profiles import Profiles
from workers.scheduling.scheduler import Scheduler, SchedulerParams
from workers.scheduling.terms import Terms
from workers.simulation.reading import scenario_of
from workers.simulation.simulator import simulate

TASKS = (2, 10, 100, 1_000)
DEPTH = 100
DEPTHS = (10, 100, 1_000)
_DECISIONS = 3_000
_WARM = 500
_STATUS = Path("/proc/self/status")
"""On Linux: there, rusage tells of the process that started this one, too."""


def measure(order: str, frames: int, say: Say) -> dict[str, Any]:
    """Return microseconds per decision by services and by depth of queues, and memory in bytes.

    `turn_us` counts what follows from a decision, too, and the next job that comes.
    Memory is what the process of a simulated run of a tenth of the frames, then of all, held.
    """
    by_tasks, turns = {}, {}
    for tasks in TASKS:
        by_tasks[str(tasks)], turns[str(tasks)] = decision_us(order, tasks, DEPTH)
        say(
            f"{tasks} services: {by_tasks[str(tasks)]:.2f} us per decision, "
            f"{turns[str(tasks)]:.2f} us with all that follows"
        )
    by_depth = {str(depth): decision_us(order, 100, depth)[0] for depth in DEPTHS}
    held = peaks(order, frames)
    say(f"at most {held[0]:,} bytes with {frames // 10:,} frames, {held[1]:,} with {frames:,}")
    return {
        "decision_us": by_tasks,
        "turn_us": turns,
        "decision_us_by_backlog": by_depth,
        "memory": {"frames": frames, "peak_bytes_of_a_tenth": held[0], "peak_bytes": held[1]},
    }


def decision_us(order: str, tasks: int, depth: int) -> tuple[float, float]:
    """Return median times (us) with so many services and jobs in each queue: of a decision, all.

    All is the decision, the note that it was executed, and the next job: what a decision leaves
    to be put in order while its batch is executed counts there. Half of what waits can be in
    time; for each job that is executed another comes.
    """
    scheduler = _loaded(order, tasks, depth)
    took: list[int] = []
    turns: list[int] = []
    now = 0.0
    collecting = gc.isenabled()
    gc.disable()  # a collection would be counted as a decision
    try:
        for place in range(_WARM + _DECISIONS):
            begun = perf_counter_ns()
            decision = scheduler.decide(now)
            took.append(perf_counter_ns() - begun)
            now = now + 1.0 if decision.wake_at is None else decision.wake_at
            comes = _job(place, tasks, depth, now)
            follows = perf_counter_ns()
            if decision.batch is not None:
                scheduler.executed(decision.batch, 1.0, now)
            scheduler.offer(comes, now)
            turns.append(took[-1] + perf_counter_ns() - follows)
    finally:
        if collecting:
            gc.enable()
    return median(took[_WARM:]) / 1_000, median(turns[_WARM:]) / 1_000


def peaks(order: str, frames: int) -> list[int]:
    """Return the most memory (bytes) that a process held after a tenth of the frames, and all."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return [alone.submit(_peak, order, count).result() for count in (frames // 10, frames)]


def _peak(order: str, frames: int) -> int:
    simulate(scenario_of(_endless(frames), "the long run"), order)
    if _STATUS.exists():
        most = re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text("ascii"))
        return int(most[1]) * 1024 if most else 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _loaded(order: str, tasks: int, depth: int) -> Scheduler:
    """Return a scheduler whose queues are full."""
    scheduler = Scheduler(SchedulerParams(queue_tasks=10_000_000), names.order(order), Profiles())
    for place in range(tasks):
        scheduler.serve(
            Terms(
                name=f"task-{place}",
                budget_ms=_budget_ms(tasks, depth),
                prior_ms=1.0,
                queue_tasks=depth,
            )
        )
    for place in range(tasks * depth):
        scheduler.offer(_job(place, tasks, depth, 0.0), 0.0)
    return scheduler


def _budget_ms(tasks: int, depth: int) -> float:
    """Return half the time that all of full queues take."""
    return tasks * depth / 2


def _job(place: int, tasks: int, depth: int, now: float) -> Job:
    """Return a job of the services in turn, due within half a budget to one and a half."""
    share = 0.5 + place * 7_919 % 1_000 / 1_000
    return Job(
        id=str(place),
        service=f"task-{place % tasks}",
        arrived=now,
        deadline=now + share * _budget_ms(tasks, depth),
        priority=place % 3,
        value=1.0 + place % 5,
    )


def _endless(frames: int) -> dict[str, Any]:
    """Return a scenario of two services that ask for twice the device, about `frames` in all."""
    services = [
        {
            "name": name,
            "budget_ms": budget,
            "priority": priority,
            "arrivals": {"kind": "poisson", "rate_per_s": 100.0},
            "service_time": {"kind": "exponential", "mean_ms": 10.0},
        }
        for name, budget, priority in (("tight", 50.0, 1), ("loose", 500.0, 0))
    ]
    return {"name": "long", "duration_ms": frames * 5.0, "services": services}

"""Twice the load that one worker can do, on real models, and what the simulator makes of it.

Two classifiers of digits on ONNX Runtime (CPU, one thread each), tasks one at a time: a quick one
of priority 1 whose frames ask for 0.4 of the accelerator, and a slow one whose frames ask for 1.6
of it, for so many seconds. Loads and budgets follow from times measured just before, so that the
load is two on any machine. Then the simulator is given the same arrivals and the service times that
were measured in that run: how the machine was slower or quicker from one half second to the next,
and, but for that, how long the worker was busy with each execution, from which it draws at random.
The mean of several such runs is what it predicts. What is not answered in time counts as dropped,
whether it was dropped, expired or late.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from streams.bench.worker_bed import QUICK, SLOW, Bed, Due, Images, Ran, engine_of, hosted
from streams.bench.worker_overload import Say
from workers.accounting.tally import Tally
from workers.inference.pending import value_of
from workers.inference.serving import Bounds
from workers.scheduling.orders.names import DEFAULT
from workers.simulation.reading import scenario_of
from workers.simulation.simulator import simulate

LOADS = {QUICK: 0.4, SLOW: 1.6}
PRIORITIES = {QUICK: 1, SLOW: 0}
WEIGHT = 10.0
QUEUE_MS = 2_000.0
GOAL_DROP_ERROR = 0.10
_STEP_MS, _STEP_RAN = 500.0, 10
_DRAWS = 5
_TIMED = 60
_FREE_MS = 1e6


def measure(paths: dict[str, Path], images: Images, seconds: float, say: Say) -> dict[str, Any]:
    """Return the p99 (ms) of what has priority, its budget, and how far the simulator was off."""
    took = {name: _alone(name, path, images) for name, path in paths.items()}
    budgets = {QUICK: 3 * (took[QUICK] + took[SLOW]), SLOW: 10 * took[SLOW]}
    arrivals = {name: _arrivals(took[name] / LOADS[name], 1000 * seconds, name) for name in paths}
    bed = _run(paths, took, budgets, arrivals, images)
    predicted = _predicted(bed, took, budgets, arrivals, 1000 * seconds)
    found: dict[str, Any] = {"alone_ms": took, "services": {}, "order": DEFAULT}
    for name in paths:
        found["services"][name] = _told(bed, name, budgets[name]) | {
            "predicted_drop_rate": predicted[name]
        }
    found |= _overall(found["services"])
    say(f"twice the load: {_line(found)}")
    return found


def _overall(services: dict[str, Any]) -> dict[str, Any]:
    """Return the figures over all; rates weigh by tasks."""
    tasks = sum(told["tasks"] for told in services.values())
    live, simulated = (
        sum(told[key] * told["tasks"] for told in services.values()) / tasks
        for key in ("drop_rate", "predicted_drop_rate")
    )
    return {
        "high_p99_ms": services[QUICK]["p99_ms"],
        "budget_ms": services[QUICK]["budget_ms"],
        "drop_rate": live,
        "predicted_drop_rate": simulated,
        "drop_error": abs(simulated - live) / live if live else None,
    }


def _line(found: dict[str, Any]) -> str:
    return (
        f"p99 {found['high_p99_ms']:.1f} of {found['budget_ms']:.1f} ms; dropped "
        f"{found['drop_rate']:.3f}, predicted {found['predicted_drop_rate']:.3f}"
    )


def _alone(name: str, path: Path, images: Images) -> float:
    """Return how long (ms) the worker is busy with one task of a model, without any other."""
    engine = engine_of(Bounds(max_batch=1), _FREE_MS)
    engine.host(hosted(name, path))
    bed = Bed(engine)
    bed.run(Due(name, 0.0, _FREE_MS, images[place]) for place in range(_TIMED))
    return median(ran.busy_ms for ran in bed.ran[1:])


def _arrivals(gap_ms: float, end_ms: float, name: str) -> list[float]:
    """Return instants before an end at a steady rate, each put off by up to half a gap."""
    chance = random.Random(name)  # noqa: S311 - arrivals, not secrets
    count = int(end_ms / gap_ms)
    return [gap_ms * (place + 0.5 * chance.random()) for place in range(count)]


def _run(
    paths: dict[str, Path],
    took: dict[str, float],
    budgets: dict[str, float],
    arrivals: dict[str, list[float]],
    images: Images,
) -> Bed:
    engine = engine_of(Bounds(max_batch=1), QUEUE_MS)
    for name, path in paths.items():
        engine.host(hosted(name, path, PRIORITIES[name], took[name]), [took[name]] * 2)
    tasks = [
        Due(name, at, budgets[name], images[place % len(images)])
        for name in paths
        for place, at in enumerate(arrivals[name])
    ]
    bed = Bed(engine)
    bed.run(tasks)
    return bed


def _told(bed: Bed, name: str, budget_ms: float) -> dict[str, Any]:
    ends = [end for end in bed.ends if end.service == name]
    answered = sorted(end.after_ms for end in ends if end.status == "ok")
    in_time = sum(1 for after in answered if after <= budget_ms)
    return {
        "tasks": len(ends),
        "budget_ms": budget_ms,
        "p50_ms": _quantile(answered, 0.5),
        "p99_ms": _quantile(answered, 0.99),
        "drop_rate": 1.0 - in_time / len(ends),
    }


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _predicted(
    bed: Bed,
    took: dict[str, float],
    budgets: dict[str, float],
    arrivals: dict[str, list[float]],
    end_ms: float,
) -> dict[str, float]:
    """Return the share of each service's tasks that the simulator does not answer in time."""
    steps = _steps(bed.ran)
    services = [
        {
            "name": name,
            "budget_ms": budgets[name],
            "priority": PRIORITIES[name],
            "value": value_of(PRIORITIES[name], WEIGHT),
            "declared_ms": took[name],
            "arrivals": {"kind": "trace", "at_ms": arrivals[name]},
            "service_time": {"kind": "samples", "values_ms": _at_usual_pace(steps, name)},
            "queue": {"tasks": 1000, "work_ms": QUEUE_MS, "drop": "lowest-priority"},
        }
        for name in took
    ]
    heat = [{"at_ms": step.ran[0].at_ms, "factor": step.pace} for step in steps]
    scenario = {
        "name": "live",
        "duration_ms": end_ms,
        "worker": {"queue_ms": QUEUE_MS},
        "heat": {"shape": "steps", "points": heat},
        "services": services,
    }
    reports = [
        simulate(scenario_of(scenario | {"seed": seed}, "the live run"), DEFAULT)
        for seed in range(_DRAWS)
    ]
    return {name: mean(_not_in_time(each.services[name]) for each in reports) for name in took}


def _not_in_time(told: Tally) -> float:
    return 1.0 - told.in_time / told.arrived


class _Step(NamedTuple):
    """Executions that followed each other, and how many times as long as usual they took."""

    ran: Sequence[Ran]
    pace: float


def _steps(ran: Sequence[Ran]) -> list[_Step]:
    """Return a run in steps of half a second and ten executions at least.

    What fewer take says more of them than of the machine.
    """
    usual = {name: median(r.busy_ms for r in ran if r.service == name) for name in _names(ran)}
    parts: list[list[Ran]] = []
    for one in sorted(ran, key=lambda each: each.at_ms):
        if parts and not (len(parts[-1]) >= _STEP_RAN and _lasted(parts[-1], one) >= _STEP_MS):
            parts[-1].append(one)
        else:
            parts.append([one])
    if len(parts) > 1 and len(parts[-1]) < _STEP_RAN:
        last = parts.pop()
        parts[-1] += last
    return [_Step(part, _spent(part) / sum(usual[r.service] for r in part)) for part in parts]


def _lasted(part: Sequence[Ran], until: Ran) -> float:
    return until.at_ms - part[0].at_ms


def _spent(part: Sequence[Ran]) -> float:
    return sum(one.busy_ms for one in part)


def _at_usual_pace(steps: Sequence[_Step], name: str) -> list[float]:
    """Return a service's times (ms) as they would have been at the usual pace."""
    return [r.busy_ms / step.pace for step in steps for r in step.ran if r.service == name]


def _names(ran: Sequence[Ran]) -> set[str]:
    return {one.service for one in ran}

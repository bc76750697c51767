"""What is measured of the example application in one window, from how its world is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from schemas.identity import stable_id
from schemas.observing import Observation
from streams.bench.incident_world import (
    ACCURACY,
    APP,
    EXECUTION_MS,
    NODES,
    ROOM_MIB,
    SERVICES,
    STAGES,
    START,
    STEP_MS,
    World,
    links,
)

RATE: Final = 20.0
"""Requests a second, each of which every service serves."""
SPEED: Final = dict(zip(NODES, (1.25, 1.1, 1.0, 1.0, 0.9, 0.7), strict=True))
_STAGES: Final = {stage.stage: stage for stage in STAGES}
Series = tuple[str, str, str, str, str]
"""Stage, service, instance, node, metric."""


@dataclass(slots=True)
class Measured:
    """One window: values by series, load of processors, round trips, and what verdicts look at."""

    values: dict[Series, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    rtt: dict[tuple[str, str], float] = field(default_factory=dict)
    latency: dict[str, float] = field(default_factory=dict)
    right: dict[str, float] = field(default_factory=dict)
    response_p95: float = 0.0


@dataclass(frozen=True, slots=True)
class Tendencies:
    """What is drawn once per incident; `delay` is how late labels are, windows."""

    rtt: Mapping[tuple[str, str], float]
    sensitive: Mapping[str, float]
    inputs: Mapping[str, float]
    shown: Mapping[str, bool]
    delay: int

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Tendencies":
        """Draw them; an input is measured in seven of ten incidents."""
        return cls(
            {way: float(rng.uniform(1, 4)) for way in links()},
            {name: float(rng.uniform(0.5, 1.0)) for name in SERVICES},
            {"video": float(rng.uniform(0.4, 0.6)), "audio": float(rng.uniform(0.4, 0.6))},
            {"video": rng.random() < 0.7, "audio": rng.random() < 0.7},
            int(rng.integers(0, 6)),
        )


def measure(world: World, tends: Tendencies, rng: np.random.Generator) -> Measured:
    """Return the measurements of a window."""
    found = Measured()
    _bursts(world, rng)
    for way, base in tends.rtt.items():
        extra = world.link_ms.get(way, 0.0) * rng.lognormal(0, 0.2)
        found.rtt[way] = base * rng.lognormal(0, 0.15) + extra
    found.cpu = {
        name: 0.15 + world.busy.get(name, 0.0) + float(rng.normal(0, 0.02)) for name in NODES
    }
    for name in SERVICES:
        for one in world.alive(name):
            _instance(world, found, name, one, rng)
        found.values[_of(name, "availability")] = len(world.alive(name)) / len(
            world.instances(name)
        )
    _truths(world, tends, found, rng)
    _whole(world, found, rng)
    for stage in STAGES:
        if stage.modality and tends.shown[stage.modality]:
            degree = world.drift.get(stage.modality, 0.0) * 0.8
            level = tends.inputs[stage.modality] + degree + float(rng.normal(0, 0.02))
            found.values[(stage.stage, "", "", "", "input.mean")] = level
    return found


def _bursts(world: World, rng: np.random.Generator) -> None:
    """Let an instance be slow now and then, for some windows and no reason of anybody's."""
    left = {one: (more - 1, by) for one, (more, by) in world.bursts.items() if more > 1}
    for one in world.node_of:
        if one not in left and rng.random() < 0.004:
            left[one] = int(rng.integers(2, 7)), float(rng.uniform(1.3, 2.2))
    world.bursts = left


def _fullest(world: World, node: str) -> float:
    """Return how far the instance of a node that takes most memory has used up its room."""
    return max(
        (world.memory[one] - world.memory_base[one]) / ROOM_MIB
        for one, place in world.node_of.items()
        if place == node
    )


def _of(service: str, metric: str) -> Series:
    return SERVICES[service].stage, service, "", "", metric


def _instance(world: World, found: Measured, name: str, one: str, rng: np.random.Generator) -> None:
    """Time in the queue follows from how busy an instance is, as of one server (M/M/1)."""
    node = world.node_of[one]
    full = (world.memory[one] - world.memory_base[one]) / ROOM_MIB
    factor = SPEED[node] * world.slow.get(node, 1.0) * world.service_speed.get(name, 1.0)
    factor *= 1.0 + 3.0 * min(1.0, max(0.0, full - 0.5))
    factor *= 1.0 + 0.5 * min(1.0, max(0.0, _fullest(world, node) - 0.6))
    factor *= world.bursts.get(one, (0, 1.0))[1]
    execution = EXECUTION_MS[name] * factor * rng.lognormal(0, 0.07)
    share = RATE * world.load / len(world.alive(name)) * rng.lognormal(0, 0.05)
    busy = min(0.95, share * execution / 1000)
    queue = execution * busy / (1 - busy) * rng.lognormal(0, 0.2)
    failing = 0.002 + 0.25 * min(1.0, max(0.0, full - 0.7))
    found.cpu[node] += busy / 4
    found.latency[one] = execution + queue
    where = (SERVICES[name].stage, name, one, node)
    late = 1.0 - float(rng.binomial(50, min(1.0, max(0.0, busy - 0.6)))) / 50
    found.values |= {
        (*where, "execution"): execution,
        (*where, "queue"): queue,
        (*where, "latency"): execution + queue,
        (*where, "failure"): float(rng.binomial(50, failing)) / 50,
        (*where, "deadline_met"): late,
        (*where, "memory"): world.memory[one] * float(rng.normal(1, 0.01)),
    }


def _truths(world: World, tends: Tendencies, found: Measured, rng: np.random.Generator) -> None:
    """What a stage gets wrong spoils those after it; of labels there are some sixty a window."""
    drops: dict[str, float] = {}
    for stage in STAGES:
        upstream = [drops[before] for before in stage.inputs]
        inherited = 0.6 * max(upstream, default=0.0)
        each = []
        for name in stage.services:
            drop = world.spoiled.get(name, 0.0) + inherited
            drop += world.drift.get(stage.modality, 0.0) * tends.sensitive[name]
            each.append(drop)
            right = max(0.05, ACCURACY[name] - drop)
            found.right[name] = right
            found.values[_of(name, "accuracy")] = float(rng.binomial(60, right)) / 60
            found.values[_of(name, "agreement")] = float(
                np.clip(0.92 - 0.7 * drop + rng.normal(0, 0.03), 0, 1)
            )
            for one in world.alive(name):
                sure = 0.5 + 0.42 * right + float(rng.normal(0, 0.015))
                where = (SERVICES[name].stage, name, one, world.node_of[one])
                found.values[(*where, "confidence")] = sure
        drops[stage.stage] = float(np.mean(each))
    right = 0.93 - drops["fuse"]
    found.right[APP] = right
    found.values[("", "", "", "", "accuracy")] = float(rng.binomial(60, max(0.05, right))) / 60
    found.values[("", "", "", "", "confidence")] = 0.5 + 0.42 * right + float(rng.normal(0, 0.01))


def _whole(world: World, found: Measured, rng: np.random.Generator) -> None:
    """The answer takes as long as the slower way; its p95 feels the worst way between nodes."""
    ends: dict[str, float] = {}
    worst = 0.0
    for stage in STAGES:
        own = max(_mean([found.latency[o] for o in world.alive(s)]) for s in stage.services)
        begun = 0.0
        for before in stage.inputs:
            mean, most = _transport(world, found, before, stage.stage)
            begun = max(begun, ends[before] + mean)
            worst = max(worst, most - mean)
        ends[stage.stage] = begun + own
    response = ends["fuse"] * float(rng.lognormal(0, 0.04))
    found.response_p95 = response * 1.3 + worst
    late = min(0.9, max(0.0, found.response_p95 / 260 - 0.6))
    found.values |= {
        ("", "", "", "", "response_latency"): response,
        ("", "", "", "", "deadline_met"): 1.0 - float(rng.binomial(100, late)) / 100,
        ("", "", "", "", "answered"): 1.0 - float(rng.binomial(100, 0.002)) / 100,
    }


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 1_000.0


def _transport(world: World, found: Measured, one: str, other: str) -> tuple[float, float]:
    """Return mean and most of the time between two stages, for the slowest pair of services."""
    pairs = [(a, b) for a in _STAGES[one].services for b in _STAGES[other].services]
    means, most = [], 0.0
    for a, b in pairs:
        each = [_rtt(world, found, x, y) for x in world.alive(a) for y in world.alive(b)]
        means.append(_mean(each))
        most = max([most, *each])
    return max(means), most


def _rtt(world: World, found: Measured, one: str, other: str) -> float:
    a, b = sorted((world.node_of[one], world.node_of[other]), key=NODES.index)
    return 0.1 if a == b else found.rtt[(a, b)]


def observations(
    found: Measured, load: float, window: int, hidden: frozenset[Series], rng: np.random.Generator
) -> Iterator[Observation]:
    """Yield the observations of a window; hidden series never come, three of a hundred get lost."""
    end = START + (window + 1) * STEP_MS
    for (stage, service, instance, node, metric), value in found.values.items():
        if (stage, service, instance, node, metric) in hidden or rng.random() < 0.03:
            continue
        rate = RATE * load * float(rng.lognormal(0, 0.04)) if metric == "answered" else 0.0
        yield Observation(
            event_id=stable_id("seen", stage, service, instance, metric, window),
            app=APP,
            stage=stage,
            service=service,
            instance=instance,
            node=node,
            metric=metric,
            unit="",
            window="5s",
            window_start=end - STEP_MS,
            window_end=end,
            count=60,
            mean=value,
            std=0.0,
            min=value,
            max=value,
            p50=value,
            p90=value,
            p95=value,
            p99=value,
            late_count=0,
            emitted_at=end + 300,
            rate=rate,
        )

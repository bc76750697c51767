"""Faults and harmless coincidences of the generated incidents, as they unfold window by window.

A fault changes the world; what can be measured follows from that. It begins at a window, grows
over some, and says which cause is the true one. A coincidence looks like a cause, changes nothing
that matters, and is never a true one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.base import Event
from streams.bench.incident_world import (
    NODES,
    ROOM_MIB,
    SERVICES,
    STAGES,
    World,
    ensemble,
    heartbeat,
    links,
    placement,
    service,
)

Truth = tuple[str, str]
Step = Callable[[int, int], list[Event]]
"""From windows since it began (from 0) and the time (ms) to what is written to the catalogue."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong from window `begins` on, and felt `hidden` windows later at the earliest.

    `truth` is kind and name of the cause.
    """

    kind: str
    truth: Truth
    begins: int
    step: Step
    hidden: int = 0


def _ramp(since: int, over: int) -> float:
    return min(1.0, (since + 1) / over)


def slow_node(world: World, rng: np.random.Generator, begins: int) -> Fault:
    """A node gets slower at once or within a minute; three in ten times nothing else shows it.

    Every second time the ways to it get slower too, since nobody there answers in time.
    """
    name = _populated(world, rng)
    factor, over = float(rng.uniform(1.4, 2.8)), int(rng.integers(1, 10))
    shows = float(rng.uniform(0.1, 0.4)) if rng.random() < 0.7 else 0.0

    late = float(rng.uniform(3, 15)) if rng.random() < 0.5 else 0.0

    def step(since: int, _: int) -> list[Event]:
        for way in links():
            if name in way:
                world.link_ms[way] = late * _ramp(since, over)
        world.slow[name] = 1.0 + (factor - 1.0) * _ramp(since, over)
        world.busy[name] = shows * _ramp(since, over)
        return []

    return Fault("slow node", ("node", name), begins, step)


def bad_model(world: World, rng: np.random.Generator, begins: int) -> Fault:
    """A worse version is rolled out, copy by copy."""
    name = str(rng.choice(list(SERVICES)))
    worse, slower = float(rng.uniform(0.09, 0.3)), float(rng.uniform(0.9, 1.25))
    copies = world.instances(name)

    def step(since: int, now_ms: int) -> list[Event]:
        told: list[Event] = []
        if since == 0:
            told = [service(name, 2, now_ms)]
        elif since <= len(copies):
            world.version[copies[since - 1]] = 2
            share = since / len(copies)
            world.spoiled[name] = worse * share
            world.service_speed[name] = 1.0 + (slower - 1.0) * share
        return told

    return Fault("bad model version", ("model", name), begins, step)


def input_drift(world: World, rng: np.random.Generator, begins: int) -> Fault:
    """What the cameras or the microphones give changes, suddenly or within two minutes."""
    name = str(rng.choice(["video", "audio"]))
    degree, over = float(rng.uniform(0.12, 0.3)), int(rng.integers(1, 24))

    def step(since: int, _: int) -> list[Event]:
        world.drift[name] = degree * _ramp(since, over)
        return []

    return Fault("input drift", ("input", name), begins, step)


def saturated_link(world: World, rng: np.random.Generator, begins: int) -> Fault:
    """A way that requests take between two stages becomes slow."""
    between = sorted(_ways(world))
    a, b = between[int(rng.integers(len(between)))]
    more, over = float(rng.uniform(40, 180)), int(rng.integers(1, 10))

    def step(since: int, _: int) -> list[Event]:
        world.link_ms[(a, b)] = more * _ramp(since, over)
        return []

    return Fault("saturated link", ("link", " - ".join(sorted((a, b)))), begins, step)


def memory_leak(world: World, rng: np.random.Generator, begins: int) -> Fault:
    """An instance takes more and more memory; long afterwards it gets slow and fails."""
    name = str(rng.choice(list(world.node_of)))
    rate = float(rng.uniform(14, 40))

    def step(since: int, _: int) -> list[Event]:
        world.memory[name] = world.memory_base[name] + rate * (since + 1)
        return []

    hidden = int(0.5 * ROOM_MIB / rate)
    return Fault("memory leak", ("instance", name), begins - hidden, step, hidden)


def lost_instance(world: World, rng: np.random.Generator, begins: int) -> Fault:
    """An instance is gone without a word; its siblings take over what they can."""
    name = str(rng.choice(list(world.node_of)))

    def step(since: int, now_ms: int) -> list[Event]:
        if since == 0:
            world.lost[name] = now_ms
        return []

    return Fault("lost instance", ("instance", name), begins, step)


FAULTS: Final[dict[str, Callable[[World, np.random.Generator, int], Fault]]] = {
    "slow node": slow_node,
    "bad model version": bad_model,
    "input drift": input_drift,
    "saturated link": saturated_link,
    "memory leak": memory_leak,
    "lost instance": lost_instance,
}


def _populated(world: World, rng: np.random.Generator) -> str:
    return str(rng.choice([name for name in NODES if name in world.node_of.values()]))


def _ways(world: World) -> Iterator[tuple[str, str]]:
    """Yield the ways between copies of services of consecutive stages."""
    stages = {stage.stage: stage for stage in STAGES}
    for stage in STAGES:
        for before in stage.inputs:
            for one in stages[before].services:
                for other in stage.services:
                    yield from _between(world, one, other)


def _between(world: World, one: str, other: str) -> Iterator[tuple[str, str]]:
    for a in world.instances(one):
        for b in world.instances(other):
            pair = sorted((world.node_of[a], world.node_of[b]), key=NODES.index)
            if pair[0] != pair[1]:
                yield pair[0], pair[1]


@dataclass(frozen=True, slots=True)
class Spare:
    """Services and nodes that no fault is about, and the world they are in."""

    world: World
    services: list[str]
    nodes: list[str]


def coincidences(
    world: World, rng: np.random.Generator, begins: int, spared: set[str]
) -> list[tuple[int, Step]]:
    """Return harmless things that happen about then, each with the window when it begins.

    They concern no part in `spared`, since two changes of one part at a time are told apart by
    nobody.
    """
    spare = Spare(
        world,
        [name for name in SERVICES if name not in spared],
        [name for name in NODES if name not in spared],
    )
    found: list[tuple[int, Step]] = []
    for make in (_registered_again, _moved, _same_version, _chosen_anew, _batch_job, _wave):
        if rng.random() < 0.5:
            at = begins + int(rng.integers(-15, 5))
            found.append((at, make(spare, rng)))
    return found


def _registered_again(spare: Spare, rng: np.random.Generator) -> Step:
    """A service is registered with another priority, and the same model."""
    name = str(rng.choice(spare.services))

    def step(since: int, now_ms: int) -> list[Event]:
        return [service(name, 1, now_ms, again=True)] if since == 0 else []

    return step


def _moved(spare: Spare, rng: np.random.Generator) -> Step:
    """A copy goes to another node, which is as good."""
    world = spare.world
    name, to = f"{rng.choice(spare.services)}-0", str(rng.choice(spare.nodes))

    def step(since: int, now_ms: int) -> list[Event]:
        if since or name in world.lost:
            return []
        world.node_of[name] = to
        world.generation += 1
        moved = world.service_of[name]
        return [placement(world, moved, now_ms), heartbeat(world, name, now_ms)]

    return step


def _same_version(spare: Spare, rng: np.random.Generator) -> Step:
    """A service gets a new version that is nearly as good as the old one, and as quick."""
    name, worse = str(rng.choice(spare.services)), float(rng.uniform(-0.01, 0.015))

    def step(since: int, now_ms: int) -> list[Event]:
        spare.world.spoiled[name] = worse
        return [service(name, 2, now_ms)] if since == 0 else []

    return step


def _chosen_anew(_: Spare, rng: np.random.Generator) -> Step:
    """Weights of the ensemble are set anew."""
    number, weight = int(rng.integers(2, 90)), float(rng.uniform(0.8, 1.2))

    def step(since: int, now_ms: int) -> list[Event]:
        return [ensemble(number, now_ms, weight)] if since == 0 else []

    return step


def _batch_job(spare: Spare, rng: np.random.Generator) -> Step:
    """Somebody else works a node hard, whose spare cores bear it."""
    name, degree = str(rng.choice(spare.nodes)), float(rng.uniform(0.1, 0.3))

    def step(_: int, __: int) -> list[Event]:
        spare.world.busy[name] = degree
        return []

    return step


def _wave(spare: Spare, rng: np.random.Generator) -> Step:
    """More is asked for a while."""
    more, over = float(rng.uniform(0.05, 0.2)), int(rng.integers(10, 30))

    def step(since: int, _: int) -> list[Event]:
        spare.world.load = 1.0 + more * float(np.sin(np.pi * min(1.0, since / over)))
        return []

    return step


def reaction(number: int, now_ms: int) -> list[Event]:
    """Return what Weir itself does when something is wrong: it follows, and causes nothing."""
    return [ensemble(100 + number, now_ms, 0.5)]

"""Weights of the learned algorithm, by the cross-entropy method on fillings of clusters. Pure.

Source: Szita and Lorincz, "Learning Tetris Using the Noisy Cross-Entropy Method", Neural
Computation 2006. Weights are drawn from a normal distribution; each draw fills some clusters; what
counts is the mean share that is allocated in the end. The best draws make the next distribution,
with some noise on top that fades. All follows from the seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from placement.algorithms.chance import mixed
from placement.algorithms.learned import FEATURES, SORTS, TOLD, Learned, Weights, told_of
from placement.algorithms.names import Maker
from placement.cluster.columns import Columns, Floats
from placement.cluster.needs import Gpu, Machine, Need
from placement.replay.filling import Replay, arrivals, listed
from placement.replay.traces import Pod

Say = Callable[[str], None]
BEST = 0.2
_PRIOR = {"room_left": -1.0}
_NODES = (  # cores, GiB, GPUs, model
    *((32, 128, 1, "a"), (64, 256, 2, "a"), (96, 384, 8, "b"), (96, 512, 4, "b")),
    *((128, 768, 8, "c"), (104, 512, 0, ""), (48, 192, 1, "c")),
)
_KINDS = 40
_SHARES = (100, 200, 250, 300, 400, 500, 600, 700, 750, 800, 900, 950)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to learn, and on what: rounds of draws, each on so many fillings."""

    rounds: int = 12
    draws: int = 24
    fillings: int = 4
    nodes: int = 36
    arrivals: float = 1.3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Course:
    """A cluster, and the copies that may come."""

    machines: tuple[Machine, ...]
    pods: tuple[Pod, ...]


def generated(seed: int, nodes: int) -> Course:
    """Return a cluster of nodes with and without GPUs, and 40 kinds of copies."""
    chance = mixed(seed, 0, nodes + 5 * _KINDS)
    machines = []
    for number in range(nodes):
        cores, memory, gpus, model = _NODES[int(chance[number] * len(_NODES))]
        machines.append(
            Machine(
                name=f"n{number:03}",
                cpu_milli=1000 * cores,
                memory_mib=1024 * memory,
                gpus=(Gpu(model),) * gpus,
            )
        )
    kinds = [_kind(row) for row in chance[nodes:].reshape(_KINDS, 5)]
    return Course(tuple(machines), tuple(Pod(f"p{n}", kind) for n, kind in enumerate(kinds)))


def _kind(drawn: Floats) -> Need:
    """Return a kind of copies: some without a GPU, half with a share, others with 1 to 8."""
    sort, size, cpu, memory, _ = drawn.tolist()
    cores = 2 ** (1 + 4 * cpu)
    if sort < 0.15:
        gpus, milli = 0, 0
    elif sort < 0.55:
        gpus, milli = 1, _SHARES[int(size * len(_SHARES))]
    else:
        gpus, milli = (1, 1, 1, 1, 1, 2, 4, 8)[int(size * 8)], 1000
    cores *= max(gpus, 1) ** 0.7 * (0.5 + milli / 2000)
    return Need(
        cpu_milli=int(1000 * cores),
        memory_mib=int(1024 * cores * (1 + 4 * memory)),
        gpus=gpus,
        gpu_milli=milli,
    )


def allocated(course: Course, make: Maker, times: float, seed: int) -> float:
    """Return what an algorithm allocates of a cluster in a filling, %."""
    machines = listed(course.machines, seed)
    came = arrivals(course.pods, machines, times, seed)
    return float(Replay(machines, course.pods, make, seed, lambda: 0.0).fill(came)["allocation"])


def learned(
    courses: Sequence[Course], plan: Plan, told: dict[str, Any], say: Say
) -> tuple[Weights, list[float]]:
    """Return the weights, and the mean allocation of the best draws by round, %.

    `told` says what the courses are; it becomes part of the provenance.
    """
    low, high = domain(courses)
    prior = np.array([[_PRIOR.get(name, 0.0) for name in FEATURES] for _ in SORTS])
    mean, spread = prior, np.full(prior.shape, 0.5)
    found = []
    for number in range(plan.rounds):
        drawn = _normal(plan.seed + number, (plan.draws, *prior.shape)) * spread + mean
        drawn[0] = mean
        values = [_worth(courses, each, (low, high), plan, number) for each in drawn]
        order = np.argsort(-np.array(values), kind="stable")[: max(2, int(BEST * plan.draws))]
        mean = drawn[order].mean(axis=0)
        spread = drawn[order].std(axis=0) + 0.3 * (1.0 - number / plan.rounds) ** 2
        found.append(float(np.mean([values[place] for place in order])))
        say(f"round {number + 1} of {plan.rounds}: {found[-1]:.3f} %")
    tests = {
        "prior": _worth(courses, prior, (low, high), plan, plan.rounds),
        "learned": _worth(courses, mean, (low, high), plan, plan.rounds),
    }
    best = mean if tests["learned"] >= tests["prior"] else prior
    provenance = {
        "method": "noisy cross-entropy, linear policy",
        **told,
        "rounds": plan.rounds,
        "draws": plan.draws,
        "fillings": plan.fillings,
        "seed": plan.seed,
        "allocation": {name: round(value, 3) for name, value in tests.items()},
    }
    return _weights(best, (low, high), provenance), found


def domain(courses: Sequence[Course]) -> tuple[Floats, Floats]:
    """Return, for what TOLD names, the least and the most of all copies."""
    told = [
        told_of(pod.need, columns)
        for course in courses
        for columns in (Columns(course.machines),)
        for pod in course.pods
    ]
    every = np.array(told).reshape(-1, len(TOLD))
    return every.min(axis=0), every.max(axis=0)


def _worth(
    courses: Sequence[Course],
    values: Floats,
    bounds: tuple[Floats, Floats],
    plan: Plan,
    number: int,
) -> float:
    """Return the mean allocation of some fillings; those of one round are the same for all."""
    make = partial(Learned, weights=_weights(values, bounds, {}))
    first = number * plan.fillings
    shares = [
        allocated(courses[place % len(courses)], make, plan.arrivals, plan.seed + place)
        for place in range(first, first + plan.fillings)
    ]
    return float(np.mean(shares))


def _weights(values: Floats, bounds: tuple[Floats, Floats], provenance: dict[str, Any]) -> Weights:
    low, high = bounds
    return Weights(
        tuple(tuple(round(float(each), 6) for each in row) for row in values),
        tuple(low.tolist()),
        tuple(high.tolist()),
        provenance,
    )


def _normal(seed: int, shape: tuple[int, ...]) -> Floats:
    """Return normal numbers, by Box and Muller."""
    size = int(np.prod(shape))
    one, other = mixed(seed, 0, 2 * size).reshape(2, size)
    drawn: Floats = np.sqrt(-2.0 * np.log(1.0 - one)) * np.cos(2.0 * np.pi * other)
    return drawn.reshape(shape)

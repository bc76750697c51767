"""Nodes that fail in a replay, and come back or do not. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.algorithms.chance import mixed, shuffled
from placement.cluster.needs import Machine
from placement.errors import TraceRefused

AWAY = 0.1
"""How long a node that fails by chance is away, as a share of the whole replay."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A node fails, and is back, or stays away (None).

    Times are those of the trace; in a filling, how many copies have come before.
    """

    node: str
    at: int
    back: int | None = None


def drawn(
    machines: Sequence[Machine], count: int, first: int, last: int, seed: int
) -> list[Failure]:
    """Return so many failures between two times, of nodes drawn in turns."""
    if not machines or count <= 0:
        return []
    at = np.sort(first + mixed(seed + 3, 0, count) * (last - first)).astype(np.int64).tolist()
    order = shuffled(seed + 4, len(machines)).tolist()
    away = max(1, round(AWAY * (last - first)))
    return [
        Failure(machines[order[number % len(order)]].name, when, when + away)
        for number, when in enumerate(at)
    ]


def check(failures: Sequence[Failure], machines: Sequence[Machine]) -> None:
    """Raise TraceRefused for a failure of no node of the trace, or one that ends too early."""
    known = {machine.name for machine in machines}
    for place, failure in enumerate(failures):
        if failure.node not in known:
            raise TraceRefused(f"failures[{place}].node: {failure.node!r} is no node of the trace")
        if failure.back is not None and failure.back < failure.at:
            raise TraceRefused(f"failures[{place}].back: it is before `at`; write a later time")

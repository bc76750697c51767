"""Moves that pay for themselves: a copy goes where the algorithm would rather have it. Pure.

What a move gains is the score of the best node less that of its own, as the algorithm in force
scores them for a new copy once the old one is away, as a share of the span of its scores. It is
made when that is above what a move costs. One service after another is looked at, in turns; the
best move of those that pay is made first, until the budget is spent; after it the others must still
pay, so that two do not change places for ever. Algorithms whose scores tell no gain (first-fit,
random, learned ones) move nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from placement.cluster.copies import Copy
from placement.cluster.needs import Demand, Option
from placement.control.moving import MovePolicy
from placement.control.planner import Planner, way_of

LOOKED_AT = 16
"""Services that one look considers."""
Terms = Callable[[str], MovePolicy | None]
"""From a service to the terms of its moves; None for one that must not be moved now."""


@dataclass(frozen=True, slots=True)
class Move:
    """A copy, and the node that suits it better: by how much of the span of scores."""

    service: str
    instance: str
    row: int
    slots: tuple[int, ...]
    gain: float


def in_rotation(services: Iterable[str], turn: int) -> list[str]:
    """Return the services that a look considers: others with each turn, all in the end."""
    ordered = sorted(services)
    start = turn * LOOKED_AT % len(ordered) if ordered else 0
    return (ordered[start:] + ordered[:start])[:LOOKED_AT]


def moves(planner: Planner, services: Iterable[str], terms: Terms) -> list[Move]:
    """Return the moves that pay, one for each service at most, the best first.

    The cluster is left as it was.
    """
    found = []
    for service in services:
        policy = terms(service)
        copies = planner.cluster.copies.get(service, {})
        if policy is None or not copies or planner.algorithm.span <= 0:
            continue
        gains = [_best(planner, copy) for copy in list(copies.values())]
        paying = [move for move in gains if move is not None and policy.pays(move.gain)]
        if paying:
            found.append(max(paying, key=lambda move: (move.gain, move.instance)))
    return sorted(found, key=lambda move: (-move.gain, move.service))


def _best(planner: Planner, copy: Copy) -> Move | None:
    """Return the best move of a copy, None where it stands on the best node it could have."""
    cluster = planner.cluster
    demand = cluster.demands[copy.service]
    option = way_of(demand, copy.variant)
    if option is None or option.need != copy.taken.need:
        return None
    gone = cluster.remove(copy)
    try:
        return _compared(planner, replace(demand, options=(option,)), option, copy)
    finally:
        cluster.put_back(gone)


def _compared(planner: Planner, demand: Demand, option: Option, copy: Copy) -> Move | None:
    found = planner.choose(demand)
    if found is None or found[1].row == copy.row:
        return None
    choice, columns = found[1], planner.cluster.columns
    if not (columns.open[copy.row] and columns.fitting(option.need, np.array([copy.row]))[0]):
        return None
    here = float(planner.algorithm.score(option.need, np.array([copy.row])).score[0])
    gain = (choice.score - here) / planner.algorithm.span
    return Move(copy.service, copy.instance, choice.row, choice.slots, gain)

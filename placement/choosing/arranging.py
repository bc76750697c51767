"""Many copies at once: greedy, the largest first, then a bounded local search. Pure.

What is sought is the most worth placed; the worth of a copy is its mean share of the cluster's
CPU, memory and GPU, so that nothing is left out for the sake of something smaller. A copy that
found no room is put where one or two others make room, if these find room elsewhere, in turn by
the same means; or if what is lost is worth less than what is won. While copies are left over,
other orders are tried from the beginning. Nothing here is a proof; `exact` has one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from placement.algorithms.chance import shuffled
from placement.algorithms.mix import mix_of
from placement.algorithms.names import DEFAULT, OWN, Maker
from placement.algorithms.worth import worth
from placement.choosing.chooser import Chooser
from placement.cluster.columns import Columns, Taken
from placement.cluster.needs import Machine, Need

TRIES = 24
DEPTH = 2
STEPS = 400
"""Exchanges that are looked at for all copies of one try."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """For each need the copy, or None; and what is placed of all that was asked for, in worth."""

    taken: tuple[Taken | None, ...]
    worth: int

    @property
    def left_over(self) -> int:
        """Return how many needs found no room."""
        return self.taken.count(None)


def arrange(
    machines: Sequence[Machine], needs: Sequence[Need], make: Maker = OWN[DEFAULT], seed: int = 0
) -> Arrangement:
    """Return where copies go on machines that hold nothing yet."""
    best: Arrangement | None = None
    columns = Columns(machines)
    worths = [worth(columns, need) for need in needs]
    for order in _orders(needs, worths, seed):
        found = _Search(Columns(machines), needs, worths, make, seed).run(order)
        if best is None or found.worth > best.worth:
            best = found
        if not best.left_over:
            break
    return best if best is not None else Arrangement((), 0)


def _orders(needs: Sequence[Need], worths: Sequence[int], seed: int) -> Iterator[list[int]]:
    """Yield orders to place in: by worth, by each amount, then by chance that favours the large."""
    every = range(len(needs))
    yield sorted(every, key=lambda place: -worths[place])
    yield sorted(every, key=lambda place: (-needs[place].gpu_total, -worths[place]))
    yield sorted(every, key=lambda place: (-needs[place].cpu_milli, -worths[place]))
    yield sorted(every, key=lambda place: (-needs[place].memory_mib, -worths[place]))
    for number in range(TRIES - 4):
        rank = shuffled(seed + number, len(needs)).tolist()
        yield sorted(every, key=lambda place: -worths[place] * (1 + rank[place]))


class _Search:
    """One try: what is held, by need."""

    def __init__(
        self,
        columns: Columns,
        needs: Sequence[Need],
        worths: Sequence[int],
        make: Maker,
        seed: int,
    ) -> None:
        self._columns, self._needs, self._worths = columns, needs, worths
        self._chooser = Chooser(columns, make(columns, mix_of(needs), seed))
        self._held: dict[int, Taken] = {}
        self._steps = STEPS

    def run(self, order: Sequence[int]) -> Arrangement:
        """Place in an order, then make room for what is left."""
        for place in order:
            self._put(place)
        for place in order:
            if place not in self._held:
                self._insert(place, DEPTH, frozenset(), top=True)
        for place in order:
            if place not in self._held:
                self._put(place)
        total = sum(self._worths[place] for place in self._held)
        return Arrangement(tuple(self._held.get(p) for p in range(len(self._needs))), total)

    def _put(self, place: int) -> bool:
        taken = self._chooser.place(self._needs[place])
        if taken is not None:
            self._held[place] = taken
        return taken is not None

    def _insert(self, place: int, depth: int, fixed: frozenset[int], *, top: bool = False) -> bool:
        """Place a copy, moving others out of its way; leave all as it was where that fails."""
        if self._put(place):
            return True
        if not depth:
            return False
        for row, moved in self._exchanges(place, fixed):
            before = dict(self._held)
            for other in moved:
                self._columns.give_back(self._held.pop(other))
            if self._put_on(row, place):
                fixed_now = fixed | {place}
                lost = [o for o in moved if not self._insert(o, depth - 1, fixed_now)]
                if not lost or (top and self._gains(place, lost)):
                    return True
            self._restore(before)
        return False

    def _gains(self, place: int, lost: Sequence[int]) -> bool:
        return sum(self._worths[other] for other in lost) < self._worths[place]

    def _exchanges(
        self, place: int, fixed: frozenset[int]
    ) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield rows, and one or two copies there that may leave, while steps are left."""
        for row in np.flatnonzero(self._columns.accepted(self._needs[place])).tolist():
            here = [o for o, taken in self._held.items() if taken.row == row and o not in fixed]
            here.sort(key=lambda other: self._worths[other])
            for moved in (*combinations(here, 1), *combinations(here, 2)):
                if self._steps <= 0:
                    return
                self._steps -= 1
                yield row, moved

    def _put_on(self, row: int, place: int) -> bool:
        need = self._needs[place]
        if not self._columns.fitting(need, np.array([row]))[0]:
            return False
        self._held[place] = self._columns.take(row, need, self._columns.tightest(row, need))
        return True

    def _restore(self, before: dict[int, Taken]) -> None:
        """Undo all that has changed since."""
        for place, taken in self._held.items():
            if before.get(place) is not taken:
                self._columns.give_back(taken)
        for place, taken in before.items():
            if self._held.get(place) is not taken:
                self._columns.take(taken.row, taken.need, taken.slots)
        self._held = before

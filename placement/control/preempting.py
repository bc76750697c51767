"""Who gives way to a more important copy that finds no room. Pure.

Only copies of strictly lower priority give way, so that a victim can never drive out whom it gave
way to, and a chain of preemptions ends. No service loses more than it can spare. Of all nodes the
one counts where the most important victim matters least, then where victims are fewest, then
where their priorities sum to least: the order of Kubernetes' scheduler, but with sets that are
the smallest there are, not only such that nobody in them could stay.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from placement.cluster.columns import Columns, Mask, Taken
from placement.cluster.needs import Need

NODES, SETS, EXACT = 64, 2_000, 4
"""Nodes that are looked at, sets that are tried on one, and up to which size: then greedy."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A copy that runs, or is to: whose, as which instance, how important, and what it holds."""

    service: str
    instance: str
    priority: int
    taken: Taken


@dataclass(frozen=True, slots=True)
class Way:
    """A row where there is room when the victims have gone."""

    row: int
    victims: tuple[Holding, ...]

    @property
    def price(self) -> tuple[int, int, int, int]:
        """Return what it costs: the least is best."""
        ranks = [victim.priority for victim in self.victims]
        return max(ranks, default=0), len(ranks), sum(ranks), self.row


def give_way(
    columns: Columns,
    need: Need,
    priority: int,
    holdings: Iterable[Holding],
    spare: Mapping[str, int],
    barred: Mask | None = None,
) -> Way | None:
    """Return where a copy of this priority could go, and who has to leave; None: nowhere.

    `columns` holds every one of `holdings`, and is left as it was. `spare` tells how many copies
    each service can do without, none where it is not told. `barred`, N, rules rows out; so are
    those ruled out where there is room: what keeps a copy away there, no victim mends.
    """
    rows = columns.accepted(need) & columns.open & ~columns.fitting(need)
    if barred is not None:
        rows &= ~barred
    there: dict[int, list[Holding]] = {}
    for holding in holdings:
        row = holding.taken.row
        if holding.priority < priority and spare.get(holding.service, 0) > 0 and rows[row]:
            there.setdefault(row, []).append(holding)
    found = (
        _on_row(columns, need, row, there[row], spare) for row in _promising(columns, need, there)
    )
    return min((way for way in found if way is not None), key=lambda way: way.price, default=None)


def _promising(columns: Columns, need: Need, there: Mapping[int, Sequence[Holding]]) -> list[int]:
    """Return rows where enough CPU and memory would be free, the least important victims first."""
    able = []
    for row, held in there.items():
        freed = [_taken(h.taken.need) for h in held]
        room = (columns.room[row] - columns.outside[row])[:2] + np.sum(freed, axis=0)
        if (room >= _taken(need)).all():
            able.append((min(h.priority for h in held), row))
    return [row for _, row in sorted(able)[:NODES]]


def _taken(need: Need) -> tuple[int, int]:
    """Return the CPU and the memory that a copy takes, its surplus too."""
    return need.cpu_milli + need.surplus[0], need.memory_mib + need.surplus[1]


def _on_row(
    columns: Columns, need: Need, row: int, held: list[Holding], spare: Mapping[str, int]
) -> Way | None:
    """Return the cheapest set of victims on one row, None where even all of them would not do."""
    held.sort(key=lambda h: (h.priority, h.instance))
    for rank in sorted({h.priority for h in held}):
        below = _spared([h for h in held if h.priority <= rank], spare)
        if not _fits_without(columns, need, row, below):
            continue
        for victims in _sets(below):
            if _fits_without(columns, need, row, victims):
                return Way(row, tuple(victims))
        return Way(row, tuple(_reprieved(columns, need, row, below)))
    return None


def _spared(held: Sequence[Holding], spare: Mapping[str, int]) -> list[Holding]:
    """Return those that may leave together, the least important of each service first."""
    gone: Counter[str] = Counter()
    able = []
    for holding in held:
        if gone[holding.service] < spare.get(holding.service, 0):
            gone[holding.service] += 1
            able.append(holding)
    return able


def _sets(held: Sequence[Holding]) -> Iterator[tuple[Holding, ...]]:
    """Yield sets in order of size and priority, while there are not too many of a size."""
    tried = 0
    for size in range(1, min(EXACT, len(held)) + 1):
        tried += comb(len(held), size)
        if tried > SETS:
            return
        yield from sorted(combinations(held, size), key=lambda c: sum(h.priority for h in c))


def _reprieved(columns: Columns, need: Need, row: int, held: Sequence[Holding]) -> list[Holding]:
    """Return victims of whom nobody could stay, the most important ones spared first."""
    victims = list(held)
    for holding in reversed(held):
        fewer = [victim for victim in victims if victim is not holding]
        if _fits_without(columns, need, row, fewer):
            victims = fewer
    return victims


def _fits_without(columns: Columns, need: Need, row: int, victims: Sequence[Holding]) -> bool:
    for victim in victims:
        columns.give_back(victim.taken)
    fits = bool(columns.fitting(need, np.array([row]))[0])
    for victim in victims:
        taken = victim.taken
        columns.take(row, taken.need, taken.slots, taken.cores, staying=True)
    return fits

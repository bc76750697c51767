"""Searches over ensembles: all of them, those that may still be best, or those grown one by one.

All take a `Table` of candidates in the order of their names, and rank by value, then by fewer
members, then by name. What is bounded says by how much it may fall short.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from processors.errors import InvalidParameters
from processors.selecting.ensembles import NOBODY, Candidate, Found, Objective, Scored
from processors.selecting.places import Places
from processors.selecting.rating import Rated, Table, Votes
from processors.selecting.voting import MOST_PATTERNS, Floats, Ints, independent

EXACT_ROWS = 60_000
"""Ensembles that are rated one and all; of more, the best are looked for."""
MOST_ROWS = 1 << 20
"""Ensembles that are listed one and all, at most."""
EMPHASES = (*(2.0 ** (step / 2) for step in range(13)), 128.0, 1024.0, 1e6)
"""How much more votes may count for classes that something is asked of, at first."""
MOST_REFINED, HALVINGS = 3, 4
"""For how many ensembles, the best, that is then told apart more finely, and how often."""
MOST_SUMMED = 2_000_000
"""Chances that are summed, at most, to tell what one emphasis means for the classes."""
BEAM = 48
MOST_NODES = 20_000
_EPSILON = 1e-9
_FEW_RANKED = 400
_FEWEST_HOPEFUL = 32


def search(candidates: Sequence[Candidate], objective: Objective, keep: int) -> Found:
    """Return the best ensembles of at most `max_members`, `keep` of them.

    Exact while there are at most `EXACT_ROWS`; above, branch and bound from the best of a beam,
    with an upper bound on what that may miss as `gap`.
    """
    table = tabled(candidates, objective)
    size = sizes(table)[1]
    if sum(comb(table.nobody, k) for k in range(1, size + 1)) <= EXACT_ROWS:
        return exact(table, keep)
    return branch_and_bound(table, keep)


def tabled(candidates: Sequence[Candidate], objective: Objective) -> Table:
    """Return the table of candidates, by name."""
    return Table(sorted(candidates, key=lambda c: c.service), objective)


def sizes(table: Table) -> tuple[int, int]:
    """Return the fewest and the most members that an ensemble may have."""
    most = max(1, min(table.objective.max_members, table.nobody))
    return min(most, max(1, table.objective.min_members)), most


@lru_cache(maxsize=64)
def subsets(count: int, fewest: int, most: int) -> Ints:
    """Return all subsets of so many numbers, smaller ones first; `count` fills up a row.

    Raises InvalidParameters for more than `MOST_ROWS`.
    """
    number = sum(comb(count, size) for size in range(fewest, most + 1))
    if number > MOST_ROWS:
        raise InvalidParameters(
            f"{number} ensembles are too many to rate one and all, {MOST_ROWS} at most: let them "
            "have fewer members, or choose an algorithm that searches"
        )
    rows = [
        (*chosen, *(count,) * (most - size))
        for size in range(fewest, most + 1)
        for chosen in combinations(range(count), size)
    ]
    return np.array(rows, np.int64).reshape(-1, most)


def exact(table: Table, keep: int) -> Found:
    """Return the best of all ensembles, at the best of all places."""
    if not table.nobody:
        return Found((), "exact", 0.0)
    rows = subsets(table.nobody, *sizes(table))
    ranked = best(table, rows, keep)
    return Found(ranked, "exact", 0.0)


def best(table: Table, rows: Ints, keep: int) -> tuple[Scored, ...]:
    """Return the best of these ensembles, with the emphasis and the places that suit each best."""
    if not (table.objective.per_class and table.objective.labels):
        return _distinct(_at_places(table, rows, table.votes(rows), keep, 1.0), keep)
    rows = _hopeful(table, rows)
    seen: dict[float, list[Scored]] = {}
    for emphasis in EMPHASES:
        seen[emphasis] = _at_places(table, rows, table.votes(rows, emphasis), keep, emphasis)
    ranked = sorted(((s, e) for e, found in seen.items() for s in found), key=_rank)
    hopeful = {one.services: (one, emphasis) for one, emphasis in reversed(ranked)}
    first = sorted(hopeful.values(), key=_rank)[: max(keep, MOST_REFINED)]
    first[:MOST_REFINED] = [_refined(table, *each) for each in first[:MOST_REFINED]]
    return _distinct([one for one, _ in sorted(first, key=_rank)], keep)


def _rank(found: tuple[Scored, float]) -> tuple[float, int, tuple[str, ...], float]:
    one, emphasis = found
    return -round(one.value, 12), len(one.members), one.services, emphasis


def _refined(table: Table, one: Scored, emphasis: float) -> tuple[Scored, float]:
    """Return an ensemble with the emphasis near this one, of the grid, that suits it best.

    What a class is worth is a multiplier: it is best where all is spent that the other classes may
    lose, which lies between two of any grid. Both sides are halved, and again beside the best.
    """
    at = EMPHASES.index(emphasis)
    low, high = EMPHASES[max(0, at - 1)], EMPHASES[min(at + 1, len(EMPHASES) - 1)]
    row = np.array([[n for n, c in enumerate(table.candidates) if c.service in one.services]])
    for _ in range(HALVINGS):
        below, above = math.sqrt(low * emphasis), math.sqrt(emphasis * high)
        tried = [(one, emphasis)]
        for other in (below, above):
            tried += [(s, other) for s in _at_places(table, row, table.votes(row, other), 1, other)]
        one, chosen = min(tried, key=lambda pair: -round(pair[0].value, 12))
        if chosen == emphasis:
            low, high = below, above
        elif chosen == below:
            high = emphasis
        else:
            low = emphasis
        emphasis = chosen
    return one, emphasis


def _hopeful(table: Table, rows: Ints) -> Ints:
    """Return so many ensembles, the best by the simpler model, that classes can be looked at."""
    classes = len(table.objective.labels)
    each = classes * min(MOST_PATTERNS, classes ** rows.shape[1])
    most = max(_FEWEST_HOPEFUL, MOST_SUMMED // each)
    if len(rows) <= most:
        return rows
    rated = table.rate(rows, table.votes(rows, EMPHASES[len(EMPHASES) // 2], 0))
    return rows[np.sort(_order(rated, most))]


def _at_places(table: Table, rows: Ints, votes: Votes, keep: int, emphasis: float) -> list[Scored]:
    if not any(candidate.places for candidate in table.candidates):
        rated = table.rate(rows, votes)
        return [table.scored(rows[at], rated, at, None, emphasis) for at in _order(rated, keep)]
    places = Places(table.candidates)
    found: list[Scored] = []
    for chunk in _chunks(rows, places):
        options, of = _placed(rows[chunk], places)
        rated = table.rate(options, _taken(votes, chunk[of]), places)
        some = _order(rated, _FEW_RANKED)
        found += _first_each(table, options, rated, some, places, emphasis, keep)
    found.sort(key=lambda s: (-round(s.value, 12), len(s.members), s.services))
    return found


def _first_each(
    table: Table,
    options: Ints,
    rated: Rated,
    some: Ints,
    places: Places,
    emphasis: float,
    keep: int,
) -> list[Scored]:
    """Return the best rows, of each ensemble the one at the best places."""
    taken: dict[bytes, int] = {}
    for at in some:
        taken.setdefault(places.of[options[at]].tobytes(), int(at))
        if len(taken) >= keep:
            break
    return [table.scored(options[at], rated, at, places, emphasis) for at in taken.values()]


def _chunks(rows: Ints, places: Places) -> list[Ints]:
    """Return numbers of rows in groups whose choices of places are bounded together."""
    counts = np.bincount(places.of)
    choices = np.prod(counts[rows], axis=1, dtype=np.float64)
    group = (np.cumsum(choices) // EXACT_ROWS).astype(np.int64)
    cuts = np.flatnonzero(np.diff(group)) + 1
    return list(np.split(np.arange(len(rows)), cuts))


def _placed(rows: Ints, places: Places) -> tuple[Ints, Ints]:
    """Return every choice of places of these ensembles, and of which ensemble each is."""
    counts = np.bincount(places.of)
    starts = np.cumsum(counts) - counts
    choices = np.prod(counts[rows], axis=1)
    of = np.repeat(np.arange(len(rows)), choices)
    left = np.arange(len(of)) - np.repeat(np.cumsum(choices) - choices, choices)
    options = np.empty((len(of), rows.shape[1]), np.int64)
    for member in range(rows.shape[1]):
        service = rows[of, member]
        options[:, member] = starts[service] + left % counts[service]
        left //= counts[service]
    return options, of


def _taken(votes: Votes, of: Ints) -> Votes:
    per_class = None if votes.per_class is None else votes.per_class[of]
    under = votes.under[of]
    return Votes(
        votes.accuracy[of],
        votes.confidence[of],
        votes.missing[of],
        votes.spread[of],
        under,
        per_class,
    )


def _order(rated: Rated, keep: int) -> Ints:
    """Return the numbers of the best rows; of equals the first comes first."""
    value = np.round(rated.value, 12)
    if len(value) > 4 * keep:
        least = np.partition(value, len(value) - keep)[len(value) - keep]
        some = np.flatnonzero(value >= least)
        return some[np.argsort(-value[some], kind="stable")][:keep]
    return np.argsort(-value, kind="stable")[:keep]


def _distinct(found: Sequence[Scored], keep: int) -> tuple[Scored, ...]:
    kept: dict[tuple[str, ...], Scored] = {}
    for one in found:
        kept.setdefault(one.services, one)
    return tuple(kept.values())[:keep]


def evaluated(
    members: Sequence[Candidate], objective: Objective, orders: Sequence[int] = ()
) -> Scored:
    """Return an ensemble's predictions and score; no members at all score 0 and meet nothing."""
    if not members:
        lacking = len(set(objective.stages)) + sum(1.0 for _ in objective.bounds)
        return replace(NOBODY, shortfall=float(lacking))
    table = tabled(members, objective)
    (scored,) = best(table, np.arange(table.nobody)[None, :], 1)
    if not orders:
        return scored
    told = dict(zip((m.service for m in members), orders, strict=True))
    return replace(scored, orders=tuple(told[s] for s in scored.services))


def grown(table: Table, keep: int, width: int = BEAM) -> tuple[Scored, ...]:
    """Return the best ensembles of a beam: the best so many, then each with one member more."""
    fewest, most = sizes(table)
    rows = np.full((table.nobody, most), table.nobody, np.int64)
    rows[:, 0] = np.arange(table.nobody)
    seen = [rows] if fewest == 1 else []
    for size in range(1, most):
        value = table.rate(rows).value
        front = rows[np.argsort(-np.round(value, 12), kind="stable")[:width]]
        larger = np.repeat(front, table.nobody, axis=0)
        larger[:, size] = np.tile(np.arange(table.nobody), len(front))
        new = (larger[:, :size] != larger[:, size, None]).all(axis=1)
        rows = np.unique(np.sort(larger[new], axis=1), axis=0)
        if size + 1 >= fewest:
            seen.append(rows)
    return best(table, np.concatenate(seen), keep)


def branch_and_bound(table: Table, keep: int, nodes: int = MOST_NODES) -> Found:
    """Return the best ensembles found, and by how much an ensemble not looked at may be better.

    Begins with the best of a beam. A branch is a set of members that only later candidates (by
    accuracy) may join; the one with the highest bound is opened first, a level of them at a time.
    """
    if not table.nobody:
        return Found((), "branch-and-bound", 0.0)
    ranked = list(grown(table, keep))
    fewest, most = sizes(table)
    order = np.argsort(-table.accuracy[: table.nobody], kind="stable")
    open_rows = np.full((1, most), table.nobody, np.int64)
    last = np.full(1, -1, np.int64)
    bounds = upper_bounds(table, open_rows, order, last)
    looked = 0
    while len(open_rows) and bounds.max() > ranked[0].value + _EPSILON and looked < nodes:
        some = np.argsort(-bounds, kind="stable")[:256]
        rows, ends = _branches(open_rows[some], last[some], order, table.nobody)
        rest = np.setdiff1d(np.arange(len(open_rows)), some)
        looked += len(rows)
        whole = rows[(rows != table.nobody).sum(axis=1) >= fewest]
        if len(whole):
            ranked = _merged(ranked, best(table, np.sort(whole, axis=1), keep), keep)
        extendable = (rows == table.nobody).any(axis=1) & (ends + 1 < table.nobody)
        rows, ends = rows[extendable], ends[extendable]
        open_rows = np.concatenate((open_rows[rest], rows))
        last = np.concatenate((last[rest], ends))
        bounds = np.concatenate((bounds[rest], upper_bounds(table, rows, order, ends)))
        hopeful = bounds > ranked[0].value + _EPSILON
        open_rows, last, bounds = open_rows[hopeful], last[hopeful], bounds[hopeful]
    gap = max(0.0, float(bounds.max()) - ranked[0].value) if len(open_rows) else 0.0
    return Found(tuple(ranked), "branch-and-bound", gap)


def _branches(rows: Ints, last: Ints, order: Ints, count: int) -> tuple[Ints, Ints]:
    """Return each set with each of the candidates that may still join it."""
    more = [(row, at) for row, end in enumerate(last) for at in range(end + 1, count)]
    which = np.array([row for row, _ in more], np.int64)
    at = np.array([position for _, position in more], np.int64)
    larger = rows[which]
    larger[np.arange(len(at)), (larger != count).sum(axis=1)] = order[at]
    return larger, at


def _merged(ones: Sequence[Scored], others: Sequence[Scored], keep: int) -> list[Scored]:
    every = {s.services: s for s in (*ones, *others)}.values()
    return sorted(every, key=lambda s: (-round(s.value, 12), len(s.members), s.services))[:keep]


def upper_bounds(table: Table, rows: Ints, order: Ints, last: Ints) -> Floats:
    """Return values that no ensemble exceeds that holds these members and only later ones.

    Independent voters with optimal weights only gain by better and by more members, so that the
    best that may still join bound the accuracy; those below one half are of no use.
    """
    if not len(rows):
        return np.zeros(0)
    wanted, count = table.objective, table.nobody
    full = rows.copy()
    for row, end in enumerate(last):
        free = np.flatnonzero(full[row] == count)
        joining = order[end + 1 : end + 1 + len(free)]
        full[row, free[: len(joining)]] = joining
    useful = np.clip(table.accuracy[full], 0.5, 1.0 - _EPSILON)
    alone = independent(useful, np.log(useful / (1.0 - useful)))
    accuracy = alone + wanted.correlation * (useful.max(axis=1) - alone)
    ceiling = Votes(
        accuracy=np.ones(len(rows)) if wanted.per_class else accuracy,
        confidence=np.ones(len(rows)),
        missing=np.zeros(len(rows)),
        spread=np.zeros(len(rows)),
        under=np.ones((len(rows), len(wanted.conditions))),
        per_class=np.ones((len(rows), len(wanted.labels))) if wanted.per_class else None,
    )
    return table.cheapest().rate(rows, ceiling).value

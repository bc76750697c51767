"""Where one more copy goes: filter, score, take; scores are kept until their row changes. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from placement.algorithms.base import Algorithm, Peer, Wish, room_left
from placement.algorithms.chance import mixed
from placement.cluster.columns import Columns, Floats, Ints, Mask, Taken
from placement.cluster.needs import Need

KEPT = 128
"""Kinds of needs whose scores are kept; those not asked for longest are forgotten."""
RUNNERS_UP = 10
Filter = Callable[[Columns, Need], Mask]
"""A filter of a plug-in: N, who may hold a copy; it depends on machines and need alone."""
_NEVER = -1
_NEARLY = 1e-12
"""Puts rows with equal room in order."""


@dataclass(slots=True)
class _Kind:
    """What is known of a kind of need: by row, and as of which change of it.

    `since` counts the algorithms before the one whose scores these are.
    """

    accepted: Mask
    fits: Mask
    score: Floats
    slot: Ints
    checked: Ints
    scored: Ints
    since: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a copy goes: its row and GPUs, the score, how many nodes it fits on.

    `others` are the runners-up with their scores, best first, ten at most.
    """

    row: int
    slots: tuple[int, ...]
    score: float = 0.0
    fitting: int = 0
    others: tuple[tuple[int, float], ...] = ()


class Chooser:
    """Puts copies on the nodes of some columns, by an algorithm.

    `filters` are those of plug-ins, by name. One that `remembers` counts scores that it worked out
    for earlier copies as well; where not, what it chooses follows from the columns alone.
    """

    def __init__(
        self,
        columns: Columns,
        algorithm: Algorithm,
        filters: Mapping[str, Filter] | None = None,
        *,
        remembers: bool = True,
    ) -> None:
        self.columns = columns
        self._algorithm = algorithm
        self._filters = tuple((filters or {}).values())
        self._remembers = remembers
        self._since = 0
        self._kinds: dict[Need, _Kind] = {}
        self._state = np.zeros(len(columns), np.int64)
        self._hashed = np.full(len(columns), _NEVER, np.int64)
        self._odd = np.zeros(0, np.uint64)

    def use(self, algorithm: Algorithm) -> None:
        """Go on with another algorithm; what fits where is known already."""
        self._algorithm = algorithm
        self._since += 1

    def place_all(self, needs: Sequence[Need], barred: Mask | None = None) -> list[Taken | None]:
        """Take room for copies that come together, in order; None for those that fit nowhere."""
        wished = self._algorithm.wishes(needs)
        return [
            self.place(need, barred, wish=wish) for need, wish in zip(needs, wished, strict=True)
        ]

    def place(
        self,
        need: Need,
        barred: Mask | None = None,
        peers: Sequence[Peer] = (),
        wish: Wish | None = None,
    ) -> Taken | None:
        """Take room for a copy where it is best; None where it fits nowhere.

        `barred`, N, rules rows out besides; `peers` are the neighbours of the copy. A wish is heard
        where the copy fits.
        """
        found = self.choose(need, barred, peers, wish)
        return None if found is None else self.columns.take(found.row, need, found.slots)

    def choose(
        self,
        need: Need,
        barred: Mask | None = None,
        peers: Sequence[Peer] = (),
        wish: Wish | None = None,
        runners_up: int = 0,
    ) -> Choice | None:
        """Return where a copy is best, and so many runners-up, without taking anything."""
        self._algorithm.peers = tuple(peers)
        kind = self._known(need)
        fits = kind.fits if barred is None else kind.fits & ~barred
        fitting = fits.nonzero()[0]
        if wish is not None and 0 <= wish.row < len(fits) and fits[wish.row]:
            return Choice(wish.row, self._wished(need, wish), 0.0, len(fitting))
        if not len(fitting):
            return None
        rows = self._score(need, kind, fitting)
        scores = kind.score[rows]
        best = int(scores.argmax())
        row, slot = int(rows[best]), int(kind.slot[rows[best]])
        slots = (slot,) if slot >= 0 and need.gpus == 1 else self.columns.tightest(row, need)
        others = _runners_up(rows, scores, best, runners_up)
        return Choice(row, slots, float(scores[best]), len(fitting), others)

    def accepts(self, need: Need, row: int) -> bool:
        """Return whether a row, and the filters, accept a need, whatever is free."""
        return bool(self._known(need).accepted[row])

    def _wished(self, need: Need, wish: Wish) -> tuple[int, ...]:
        """Return the GPUs that are wished for, or the tightest where these will not do."""
        able = self.columns.gpus_fitting(need, np.array([wish.row]))[0]
        slots = tuple(wish.slots)
        if len(set(slots)) != need.gpus or not all(0 <= s < len(able) and able[s] for s in slots):
            return self.columns.tightest(wish.row, need)
        return slots

    def _known(self, need: Need) -> _Kind:
        """Return what is known of a kind, with what fits brought up to date."""
        kind = self._kinds.pop(need, None)
        columns = self.columns
        if kind is None:
            size = len(columns)
            accepted = self._accepted(need)
            kind = _Kind(
                accepted,
                accepted & columns.fitting(need),
                np.zeros(size),
                np.zeros(size, np.int64),
                columns.stamp.copy(),
                np.full(size, _NEVER, np.int64),
            )
        self._kinds[need] = kind
        if len(self._kinds) > KEPT:
            del self._kinds[next(iter(self._kinds))]
        if kind.since != self._since:
            kind.since = self._since
            kind.scored.fill(_NEVER)
        rows = (kind.checked != columns.stamp).nonzero()[0]
        if len(rows):
            kind.fits[rows] = kind.accepted[rows] & columns.fitting(need, rows)
            kind.checked[rows] = columns.stamp[rows]
        return kind

    def _accepted(self, need: Need) -> Mask:
        accepted = self.columns.accepted(need)
        for passing in self._filters:
            accepted = accepted & passing(self.columns, need)
        return accepted

    def _score(self, need: Need, kind: _Kind, fitting: Ints) -> Ints:
        """Score rows whose scores are out of date, and return those whose scores count."""
        stamp, algorithm = self.columns.stamp, self._algorithm
        counted = rows = fitting if self._remembers else self._shortlist(need, fitting)
        if algorithm.steady:
            rows = rows[kind.scored[rows] != stamp[rows]]
        if self._remembers:
            rows = self._shortlist(need, rows)
        if len(rows):
            found = algorithm.score(need, rows)
            kind.score[rows] = np.where(np.isnan(found.score), -np.inf, found.score)
            kind.slot[rows], kind.scored[rows] = found.slot, stamp[rows]
        return counted[kind.scored[counted] == stamp[counted]] if algorithm.looks else counted

    def _shortlist(self, need: Need, rows: Ints) -> Ints:
        """Return the rows to look at: three of four the fullest, of each state one; others spread.

        The rest keeps its old score, or has none; its turn comes as others of the kind do.
        """
        looks = self._algorithm.looks
        if not looks or len(rows) <= looks:
            return rows
        room = room_left(self.columns, need, rows) + np.arange(len(rows)) * _NEARLY
        near = min(4 * looks, len(rows) - 1)
        fullest = np.argpartition(room, near)[:near]
        fullest = fullest[np.argsort(room[fullest])]
        _, first = np.unique(self._states()[rows[fullest]], return_index=True)
        first.sort()
        spread = np.linspace(0, len(rows) - 1, looks // 4).astype(np.int64)
        return rows[np.union1d(fullest[first[: looks - looks // 4]], spread)]

    def _states(self) -> Ints:
        """Return, N, a number for what is free and what there is: equal where these are equal."""
        columns = self.columns
        rows = np.flatnonzero(self._hashed != columns.stamp)
        if len(rows):
            parts = [columns.free, columns.capacity, columns.gpu_free, columns.gpu_memory]
            parts += [columns.gpu_capacity, columns.gpu_model, columns.gpu_memory_capacity]
            told = np.concatenate([part[rows] for part in parts], axis=1).view(np.uint64)
            self._state[rows] = (told * self._factors(told.shape[1])).sum(axis=1).view(np.int64)
            self._hashed[rows] = columns.stamp[rows]
        return self._state

    def _factors(self, count: int) -> npt.NDArray[np.uint64]:
        """Return odd numbers that look random; always as many, as columns are."""
        if len(self._odd) != count:
            drawn = mixed(2, 0, 2 * count)
            high, low = (drawn * float(1 << 32)).astype(np.uint64).reshape(2, count)
            self._odd = (high << np.uint64(32)) | low | np.uint64(1)
        return self._odd


def _runners_up(rows: Ints, scores: Floats, best: int, count: int) -> tuple[tuple[int, float], ...]:
    if not count:
        return ()
    near = min(count + 1, len(rows)) - 1
    first = np.argpartition(-scores, near)[: near + 1]
    first = first[np.lexsort((first, -scores[first]))]
    return tuple((int(rows[at]), float(scores[at])) for at in first.tolist() if at != best)[:count]

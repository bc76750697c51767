"""Where one more copy goes: filter, score, take; scores are kept until their row changes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from placement.algorithms.base import Algorithm, Peer, Wish, room_left
from placement.chance import mixed
from placement.columns import Columns, Floats, Ints, Mask, Taken
from placement.needs import Need

KEPT = 128
"""Kinds of needs whose scores are kept; those not asked for longest are forgotten."""
_NEVER = -1
_NEARLY = 1e-12
"""Puts rows with equal room in order."""


@dataclass(slots=True)
class _Kind:
    """What is known of a kind of need: by row, and as of which change of it."""

    accepted: Mask
    fits: Mask
    score: Floats
    slot: Ints
    checked: Ints
    scored: Ints


class Chooser:
    """Puts copies on the nodes of some columns, by an algorithm."""

    def __init__(self, columns: Columns, algorithm: Algorithm) -> None:
        self.columns = columns
        self._algorithm = algorithm
        self._kinds: dict[Need, _Kind] = {}
        self._state = np.zeros(len(columns), np.int64)
        self._hashed = np.full(len(columns), _NEVER, np.int64)

    def place_all(self, needs: Sequence[Need]) -> list[Taken | None]:
        """Take room for copies that come together, in order; None for those that fit nowhere."""
        wished = self._algorithm.wishes(needs)
        return [self.place(need, wish=wish) for need, wish in zip(needs, wished, strict=True)]

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
        self._algorithm.peers = tuple(peers)
        kind = self._known(need)
        fits = kind.fits if barred is None else kind.fits & ~barred
        if wish is not None and (taken := self._granted(need, fits, wish)) is not None:
            return taken
        rows = np.flatnonzero(fits)
        if not len(rows):
            return None
        self._score(need, kind, rows)
        fresh = kind.scored[rows] == self.columns.stamp[rows]
        row = int(rows[np.where(fresh, kind.score[rows], -np.inf).argmax()])
        slot = int(kind.slot[row])
        slots = (slot,) if slot >= 0 and need.gpus == 1 else self.columns.tightest(row, need)
        return self.columns.take(row, need, slots)

    def _granted(self, need: Need, fits: Mask, wish: Wish) -> Taken | None:
        """Take what is wished for; None where the copy does not fit there."""
        if not (0 <= wish.row < len(fits) and fits[wish.row]):
            return None
        able = self.columns.gpus_fitting(need, np.array([wish.row]))[0]
        slots = tuple(wish.slots)
        if len(set(slots)) != need.gpus or not all(0 <= s < len(able) and able[s] for s in slots):
            slots = self.columns.tightest(wish.row, need)
        return self.columns.take(wish.row, need, slots)

    def _known(self, need: Need) -> _Kind:
        """Return what is known of a kind, with what fits brought up to date."""
        kind = self._kinds.pop(need, None)
        columns = self.columns
        if kind is None:
            size = len(columns)
            kind = _Kind(
                columns.accepted(need),
                np.zeros(size, np.bool_),
                np.zeros(size),
                np.zeros(size, np.int64),
                np.full(size, _NEVER, np.int64),
                np.full(size, _NEVER, np.int64),
            )
        self._kinds[need] = kind
        if len(self._kinds) > KEPT:
            del self._kinds[next(iter(self._kinds))]
        rows = np.flatnonzero(kind.checked != columns.stamp)
        if len(rows):
            kind.fits[rows] = kind.accepted[rows] & columns.fitting(need, rows)
            kind.checked[rows] = columns.stamp[rows]
        return kind

    def _score(self, need: Need, kind: _Kind, rows: Ints) -> None:
        """Score the rows whose scores are out of date, as many as the algorithm looks at."""
        stamp, algorithm = self.columns.stamp, self._algorithm
        if algorithm.steady:
            rows = rows[kind.scored[rows] != stamp[rows]]
        if not len(rows):
            return
        if algorithm.looks:
            rows = self._shortlist(need, rows)
        found = algorithm.score(need, rows)
        kind.score[rows], kind.slot[rows] = found.score, found.slot
        kind.scored[rows] = stamp[rows]

    def _shortlist(self, need: Need, rows: Ints) -> Ints:
        """Return the rows to look at: three of four the fullest, of each state one; others spread.

        The rest keeps its old score, or has none; its turn comes as others of the kind do.
        """
        looks = self._algorithm.looks
        if len(rows) <= looks:
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
        drawn = mixed(2, 0, 2 * count)
        high, low = (drawn * float(1 << 32)).astype(np.uint64).reshape(2, count)
        return (high << np.uint64(32)) | low | np.uint64(1)

"""Algorithms of others, of which nothing unforeseen comes. Pure."""

from collections.abc import Callable, Sequence

import numpy as np

from placement.algorithms.ahead import Foresight
from placement.algorithms.base import Algorithm, Scored, Wish
from placement.algorithms.mix import Mix
from placement.algorithms.trial import trial_of
from placement.cluster.columns import Columns, Ints
from placement.cluster.needs import Need

Assigner = Callable[[Columns, Sequence[Need]], Sequence[Wish | None]]
"""Says where copies that come together go; the columns are its own, it may take what it likes."""


class Guarded(Algorithm):
    """Another algorithm; where it raises, or scores what it was not asked, Weir's default decides.

    `trouble` says why. What it is asked with are columns of its own.
    """

    def __init__(self, inner: Algorithm, name: str, columns: Columns, mix: Mix, seed: int) -> None:
        super().__init__(columns, mix, seed)
        self.name, self.looks, self.steady = name, inner.looks, inner.steady
        self.span = inner.span
        self._inner = inner
        self._fallback = Foresight(columns, mix, seed)

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score as the other one does, or as Weir's default."""
        self._inner.peers = self.peers
        try:
            found = self._inner.score(need, rows.copy())
            score = np.asarray(found.score, np.float64)
            slot = np.asarray(found.slot, np.int64)
            if score.shape == slot.shape == rows.shape and np.isfinite(score).all():
                self.trouble = ""
                return Scored(score, self._within(need, rows, slot))
            self.trouble = f"{self.name} gave no finite score for each node"
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of others must end nothing
            self.trouble = f"{self.name} raised {type(error).__name__}: {error}"
        return self._fallback.score(need, rows)

    def _within(self, need: Need, rows: Ints, slot: Ints) -> Ints:
        """Return GPUs that fit; -1 where the one that was named does not."""
        if need.gpus != 1 or not len(rows):
            return np.full(len(rows), -1, np.int64)
        able = self.columns.gpus_fitting(need, rows)
        known = (slot >= 0) & (slot < able.shape[1])
        fits = known & able[np.arange(len(rows)), np.where(known, slot, 0)]
        return np.where(fits, slot, -1)

    def wishes(self, needs: Sequence[Need]) -> Sequence[Wish | None]:
        """Return the wishes of the other one, or none."""
        try:
            wished = list(self._inner.wishes(list(needs)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of others must end nothing
            self.trouble = f"{self.name} raised {type(error).__name__}: {error}"
            return [None] * len(needs)
        if len(wished) == len(needs) and all(isinstance(w, Wish | None) for w in wished):
            return wished
        self.trouble = f"{self.name} gave no wish for each copy"
        return [None] * len(needs)


class Assigned(Foresight):
    """Wishes by an assigner of others; what it does not wish for by Weir's default."""

    def __init__(self, assign: Assigner, columns: Columns, mix: Mix, seed: int) -> None:
        super().__init__(columns, mix, seed)
        self._assign = assign

    def wishes(self, needs: Sequence[Need]) -> Sequence[Wish | None]:
        """Ask the assigner, on columns of its own."""
        return self._assign(trial_of(self.columns), needs)

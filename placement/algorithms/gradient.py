"""Copies that come together, by gradient ascent on the relaxed assignment. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.algorithms.base import Algorithm, Scored, Wish, plain, room_left
from placement.algorithms.trial import trial_of
from placement.cluster.columns import Columns, Floats, Ints, Mask
from placement.cluster.needs import Need

STEPS = 25
ROUNDS = 3
"""How often the projection goes through all constraints for one step."""
CROWDING = 0.5
"""What a node that is full counts for, next to a copy that is placed at all."""
SPARE = 40
"""Nodes that each kind may choose among, beside one for each of its copies: the best by score."""
MOST = 200_000
"""Kinds times nodes; what is larger is left to the scores."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """K kinds on N nodes: supply (K), what each takes (K x R), which fit (K x N), free (N x R).

    `held` (N x R) is what is taken already; R is CPU, memory and GPU share, all of them as shares
    of the largest node's.
    """

    supply: Floats
    takes: Floats
    able: Mask
    free: Floats
    held: Floats


def ascended(problem: Relaxed) -> Floats:
    """Return, K x N, how much of each kind goes where: nothing below 0, all within the limits.

    What is ascended is the copies placed, plus half the squares of how full nodes are times
    `CROWDING`: it is convex in fullness, so that its summits lie at corners, with few fractions.
    """
    x = np.zeros(problem.able.shape)
    for number in range(STEPS):
        full = problem.held + x.T @ problem.takes
        slope = 1.0 + CROWDING * (problem.takes @ full.T)
        step = problem.supply.max(initial=1.0) / (2.0 + number)
        x = projected(x + step * np.where(problem.able, slope, 0.0), problem)
    return x


def projected(x: Floats, problem: Relaxed) -> Floats:
    """Return a point near `x` within the limits: by projection in turns, cut at the end.

    Source: von Neumann's alternating projections, onto the simplex of each kind (Duchi et al.,
    ICML 2008) and the half-space of each node's amount.
    """
    length = np.maximum((problem.takes**2).T @ problem.able, 1e-12)
    x = np.where(problem.able, x, 0.0)
    for _ in range(ROUNDS):
        x = _on_simplex(x, problem.supply)
        for amount in range(problem.takes.shape[1]):
            over = np.maximum(problem.takes[:, amount] @ x - problem.free[:, amount], 0.0)
            less = np.outer(problem.takes[:, amount], over / length[amount])
            x = np.where(problem.able, np.maximum(x - less, 0.0), 0.0)
    asked = x.T @ problem.takes
    cut = np.where(asked > problem.free, problem.free / np.maximum(asked, 1e-12), 1.0).min(axis=1)
    kept: Floats = x * cut
    kept *= np.minimum(1.0, problem.supply / np.maximum(kept.sum(axis=1), 1e-12))[:, None]
    return kept


def _on_simplex(x: Floats, supply: Floats) -> Floats:
    """Project rows onto those that are not negative and add up to the supply at most."""
    x = np.maximum(x, 0.0)
    over = np.flatnonzero(x.sum(axis=1) > supply)
    if len(over):
        ordered = -np.sort(-x[over], axis=1)
        excess = ordered.cumsum(axis=1) - supply[over, None]
        count = np.arange(1, x.shape[1] + 1)
        last = (ordered > excess / count).sum(axis=1) - 1
        level = excess[np.arange(len(over)), last] / (last + 1)
        x[over] = np.maximum(x[over] - level[:, None], 0.0)
    return x


class GradientAscent(Algorithm):
    """Copies that come together by the relaxed assignment, rounded and repaired.

    After the gradient-based allocation that AUTOSTEER names without a formula: this one is Weir's.
    Fractions are rounded to copies, the largest of a kind first; a copy that its node cannot hold
    goes where the slope is steepest. A copy that comes alone goes there, too: where it makes the
    fullest node fuller, in the amounts that it asks for.
    """

    name = "gradient"

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by the slope; by room second."""
        held, takes = self._held(rows), self._takes(need)
        tie = np.clip(room_left(self.columns, need, rows), 0.0, 1.0)
        return plain(np.round(((held + takes / 2) * takes).sum(axis=1) - 1e-6 * tie, 9))

    def wishes(self, needs: Sequence[Need]) -> Sequence[Wish | None]:
        """Return where the relaxed assignment, rounded and repaired, puts each."""
        kinds = sorted(Counter(needs).items(), key=lambda item: (-self._size(item[0]), -item[1]))
        rows = self._candidates(kinds) if len(needs) > 1 else np.empty(0, np.int64)
        if not len(rows) or len(kinds) * len(rows) > MOST:
            return [None] * len(needs)
        shares = ascended(self._relaxed(kinds, rows))
        trial = trial_of(self.columns)
        found: dict[Need, list[Wish]] = {}
        for (need, count), share in zip(kinds, shares, strict=True):
            every = np.zeros(len(trial))
            every[rows] = share
            found[need] = self._rounded(trial, need, count, every)
        return [found[need].pop(0) if found[need] else None for need in needs]

    def _candidates(self, kinds: Sequence[tuple[Need, int]]) -> Ints:
        """Return the rows that copies may go to: the best by score, of each kind some."""
        chosen = [np.empty(0, np.int64)]
        for need, count in kinds:
            rows = np.flatnonzero(self.columns.accepted(need) & self.columns.fitting(need))
            if len(rows) > count + SPARE:
                score = self.score(need, rows).score
                rows = rows[np.argsort(-score, kind="stable")[: count + SPARE]]
            chosen.append(rows)
        return np.unique(np.concatenate(chosen))

    def _rounded(self, trial: Columns, need: Need, count: int, share: Floats) -> list[Wish]:
        """Return wishes for the copies of a kind, and reserve them in the trial."""
        left, chosen = share.copy(), []
        accepted = trial.accepted(need)
        for _ in range(count):
            rows = np.flatnonzero(accepted & trial.fitting(need))
            if not len(rows):
                break
            row = int(rows[left[rows].argmax()])
            if left[row] <= 0:
                slope = (self._held(rows, trial) + self._takes(need) / 2) @ self._takes(need)
                row = int(rows[slope.argmax()])
            left[row] -= 1.0
            chosen.append(Wish(row, trial.take(row, need, trial.tightest(row, need)).slots))
        return chosen

    def _relaxed(self, kinds: Sequence[tuple[Need, int]], rows: Ints) -> Relaxed:
        columns = self.columns
        able = [columns.accepted(n)[rows] & columns.fitting(n, rows) for n, _ in kinds]
        return Relaxed(
            supply=np.array([count for _, count in kinds], np.float64),
            takes=np.array([self._takes(need) for need, _ in kinds]),
            able=np.array(able),
            free=self._shares(columns.free[rows, 0], columns.free[rows, 1], columns.idle[rows]),
            held=self._held(rows),
        )

    def _held(self, rows: Ints, columns: Columns | None = None) -> Floats:
        columns = columns or self.columns
        taken = columns.capacity[rows, :2] - columns.free[rows, :2]
        gpu = columns.gpu_capacity[rows].sum(axis=1) - columns.idle[rows]
        return self._shares(taken[:, 0], taken[:, 1], gpu)

    def _takes(self, need: Need) -> Floats:
        """Return, R, what a copy takes."""
        asked = (np.array([each]) for each in (need.cpu_milli, need.memory_mib, need.gpu_total))
        takes: Floats = self._shares(*asked)[0]
        return takes

    def _shares(self, *amounts: Ints) -> Floats:
        largest = [max(each, 1) for each in self.columns.largest]
        return np.column_stack([each / most for each, most in zip(amounts, largest, strict=True)])

    def _size(self, need: Need) -> float:
        return float(self._takes(need).sum())

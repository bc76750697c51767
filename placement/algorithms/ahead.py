"""Algorithms that ask what a copy leaves for those that come after it. Pure."""

from abc import abstractmethod

import numpy as np

from placement.algorithms.base import Algorithm, Scored, room_left
from placement.algorithms.mix import Mix, Workload, columns_of
from placement.cluster.columns import GPU_MILLI, Columns, Floats, Ints
from placement.cluster.needs import Need

HUNDREDTH = 40.0
"""What the published score cannot tell apart where it is steepest, thousandths of a GPU."""


class _Looking(Algorithm):
    """Scores by what is lost before and after; `misses` as `placement.algorithms.waste` has it."""

    misses = 0

    def __init__(self, columns: Columns, mix: Mix, seed: int) -> None:
        super().__init__(columns, mix, seed)
        self._workload = self._prepared(mix)
        self._before = np.zeros(len(columns))
        self._as_of = np.full(len(columns), -1, np.int64)

    @abstractmethod
    def _prepared(self, mix: Mix) -> Workload:
        """Return what is expected to come."""

    def _gains(self, need: Need, rows: Ints) -> tuple[Floats, Ints]:
        """Return, for rows that it fits on, what is gained, and on which GPU."""
        from placement.algorithms.waste import gains, losses  # noqa: PLC0415  # numba is loaded when it is needed

        slots = np.empty(len(rows), np.int64)
        asked = np.array([need.cpu_milli, need.memory_mib, need.gpus, need.gpu_milli], np.int64)
        columns = self.columns
        cluster = (columns.free[:, :2].copy(), columns.gpu_free, columns.gpu_model)
        stale = rows[self._as_of[rows] != columns.stamp[rows]]
        lost = np.empty(len(stale))
        losses(stale, cluster, self._workload, self.misses, lost)
        self._before[stale], self._as_of[stale] = lost, columns.stamp[stale]
        best = self._before[rows]
        able = columns.gpus_fitting(need, rows)
        gains(rows, able, cluster, asked, self._workload, self.misses, best, slots)
        return best, slots


def workload(mix: Mix, columns: Columns, streams: Ints) -> Workload:
    """Return a mix as the compiled functions take it."""
    told = columns_of(mix, columns)
    kinds = np.column_stack([told.cpu, told.memory, told.gpus, told.milli])
    return np.ascontiguousarray(kinds), told.does, told.shares, streams


class FragmentationGradient(_Looking):
    """FGD: the node, and the GPU, that a copy fragments least.

    Source: Weng et al., USENIX ATC 2023. The score is 100 sigmoid((F before - F after) / 1000),
    cut to whole numbers as the published scheduler does; nodes that tie are taken in order. The
    mix is made of the fewest kinds that are 95 % of all copies.
    """

    name = "fgd"
    span = 100.0

    def _prepared(self, mix: Mix) -> Workload:
        return workload(mix.typical(), self.columns, np.zeros((1, 1), np.int64))

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by the gradient."""
        gained, slots = self._gains(need, rows)
        return Scored(np.floor(100.0 / (1.0 + np.exp(-gained / 1000.0))), slots)


class Foresight(_Looking):
    """Weir's default: the node on which a copy adds least to what will be wasted in the end.

    Waste is counted on 32 streams of the whole mix, until 30 copies have not fitted. Where it
    differs by less than 40 thousandths of a GPU, the node with the least room left wins: best fit
    where it does not matter. On clusters without GPUs it is best fit.
    """

    name = "weir"
    misses = 30
    looks = 8
    _STREAMS = 32
    _LENGTH = 200

    def __init__(self, columns: Columns, mix: Mix, seed: int) -> None:
        super().__init__(columns, mix, seed)
        self.span = GPU_MILLI / HUNDREDTH if columns.gpu_free.size else 1.0

    def _prepared(self, mix: Mix) -> Workload:
        return workload(mix, self.columns, mix.streams(self._STREAMS, self._LENGTH))

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by waste first, by room second."""
        tie = 1.0 - np.clip(room_left(self.columns, need, rows), 0.0, 1.0 - 1e-9)
        if not self.columns.gpu_free.size:
            return Scored(tie, np.full(len(rows), -1, np.int64))
        gained, slots = self._gains(need, rows)
        return Scored(np.floor(gained / HUNDREDTH) + tie - 1e-9, slots)

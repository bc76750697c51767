"""Algorithms that look at room alone. Pure."""

import numpy as np

from placement.algorithms.base import Algorithm, Scored, plain, room_left
from placement.algorithms.chance import mixed
from placement.algorithms.mix import Mix
from placement.cluster.columns import GPU_MILLI, Columns, Ints
from placement.cluster.needs import Need


class Random(Algorithm):
    """Any node that fits, and any of its GPUs."""

    name = "random"
    steady = False

    def __init__(self, columns: Columns, mix: Mix, seed: int) -> None:
        super().__init__(columns, mix, seed)
        self._asked = 0

    def score(self, need: Need, rows: Ints) -> Scored:
        """Draw a number for each row, and for each GPU of it."""
        width = self.columns.gpu_free.shape[1]
        drawn = mixed(self.seed, self._asked, len(rows) * (1 + width))
        self._asked += len(drawn)
        slots = np.full(len(rows), -1, np.int64)
        if need.gpus == 1:
            able = self.columns.gpus_fitting(need, rows)
            slots = np.where(able, drawn[len(rows) :].reshape(len(rows), width), -1.0).argmax(1)
        return Scored(drawn[: len(rows)], slots)


class FirstFit(Algorithm):
    """The first node that fits."""

    name = "first-fit"

    def score(self, need: Need, rows: Ints) -> Scored:  # noqa: ARG002 - all are alike
        """Score all alike."""
        return plain(np.zeros(len(rows)))


class BestFit(Algorithm):
    """The node with the least room left; as published, in whole hundredths."""

    name = "best-fit"
    span = 100.0

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by what is left of CPU and GPU, the largest node of the cluster being 1."""
        return plain(np.floor(100.0 * (1.0 - room_left(self.columns, need, rows))))


class WorstFit(Algorithm):
    """The node with the most room left."""

    name = "worst-fit"
    span = 1.0

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by what is left."""
        return plain(room_left(self.columns, need, rows))


class Weighted(Algorithm):
    """CPU and memory left, each as a share of the node's own, weighted alike; the fullest wins.

    After the rank of ROHE's allocation, with what is wrong there put right: the fullest node is
    the best fit, a perfect fit is a fit, and GPU, memory and every other amount are constraints.
    """

    name = "weighted"
    span = 2.0
    cpu_weight = 1.0
    memory_weight = 1.0

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by the weighted shares that are left."""
        left = self.columns.free[rows, :2] - np.array([need.cpu_milli, need.memory_mib])
        shares = left / np.maximum(self.columns.capacity[rows, :2], 1)
        return plain(-(self.cpu_weight * shares[:, 0] + self.memory_weight * shares[:, 1]))


class DotProduct(Algorithm):
    """The node whose free CPU and GPU have the least product with what is asked for.

    Source: as the comparison of Weng et al., ATC 2023, has it (after Grandl et al., SIGCOMM 2014,
    turned round to pack), in whole hundredths; shares are those of the largest node.
    """

    name = "dot-product"
    span = 100.0

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by 1 - the mean of the products."""
        cpu, _, gpu = (max(most, 1) for most in self.columns.largest)
        product = self.columns.free[rows, 0] / cpu * (need.cpu_milli / cpu)
        product += self.columns.idle[rows] / gpu * (need.gpu_total / gpu)
        return plain(np.floor(100.0 * (1.0 - product / 2)))


class Packing(Algorithm):
    """GPUs in use first, then idle GPUs of nodes in use, then idle nodes.

    Source: GpuPacking in the comparison of Weng et al., ATC 2023: 100 less a tenth of the
    hundredths that are free on the GPUs used, at least 50; 50 less the idle GPUs used, at least
    33; 33 less the GPUs of the idle node. What wants no GPU goes to the first node.
    """

    name = "packing"
    span = 100.0

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by which of the three it is."""
        if not need.gpus:
            return plain(np.zeros(len(rows)))
        gpu, there = self.columns.gpu_free[rows], self.columns.gpu_capacity[rows] > 0
        able = self.columns.gpus_fitting(need, rows)
        order = np.argsort(np.where(able, gpu, GPU_MILLI + 1), axis=1, kind="stable")
        used = np.take_along_axis(gpu, order[:, : need.gpus], axis=1)
        idle = ((gpu == GPU_MILLI) & there).sum(axis=1)
        fresh = (used == GPU_MILLI).sum(axis=1)
        shared = np.maximum(100 - (used // 10).sum(axis=1) // 10, 50)
        score = np.where(fresh > 0, np.maximum(50 - fresh, 33), shared)
        score = np.where(idle == there.sum(axis=1), 33 - idle, score)
        return plain(score.astype(np.float64))

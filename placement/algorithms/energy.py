"""Energy: copies where they make the cluster draw the fewest watts more. Pure."""

from typing import Any

import numpy as np

from placement.algorithms.ahead import FragmentationGradient
from placement.algorithms.base import Scored, room_left
from placement.algorithms.mix import Mix
from placement.cluster.columns import GPU_MILLI, Columns, Floats, Ints, Mask
from placement.cluster.needs import Machine, Need

CORE_W, GPU_W, IDLE = 8.0, 200.0, 0.3
"""What a node that does not tell its power is taken to draw: per core and GPU at most, and the
share of it that it draws when it does nothing."""


class Power:
    """What every node of some columns draws, in watts; the `largest` draws so much at most.

    A node that holds something draws its idle power and, of what lies between that and its full
    power, as much as it is used: CPU and GPU that are taken, a GPU counting as much as 25 cores.
    One that holds nothing counts as switched off. Linear as in Fan, Weber and Barroso, "Power
    Provisioning for a Warehouse-Sized Computer", ISCA 2007.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        told = [_watts(machine) for machine in columns.machines]
        self._idle = np.array([idle for idle, _ in told], np.float64)
        self._span = np.array([full - idle for idle, full in told], np.float64)
        self.largest = max((full for _, full in told), default=1.0)
        self._gpu = columns.gpu_capacity.sum(axis=1)
        self._size = np.maximum(_sized(columns.capacity[:, 0], self._gpu), 1e-9)

    def drawn(self) -> float:
        """Return what the cluster draws now."""
        rows = np.arange(len(self._columns))
        return float((np.where(self._empty(rows), 0.0, self._idle) + self._dynamic(rows)).sum())

    def added(self, need: Need, rows: Ints) -> Floats:
        """Return what a copy would add to each of `rows`."""
        used = _sized(need.cpu_milli, need.gpu_total) / self._size[rows]
        woken = np.where(self._empty(rows), self._idle[rows], 0.0)
        added: Floats = woken + self._span[rows] * used
        return added

    def _empty(self, rows: Ints) -> Mask:
        """Return which of `rows` hold nothing."""
        columns = self._columns
        empty: Mask = (columns.free[rows] == columns.capacity[rows]).all(axis=1)
        empty &= columns.idle[rows] == self._gpu[rows]
        return empty

    def _dynamic(self, rows: Ints) -> Floats:
        columns = self._columns
        cpu = columns.capacity[rows, 0] - columns.free[rows, 0]
        used = _sized(cpu, self._gpu[rows] - columns.idle[rows])
        dynamic: Floats = self._span[rows] * used / self._size[rows]
        return dynamic


def _sized(cpu_milli: Any, gpu_milli: Any) -> Any:
    """Return what CPU and GPU share count for, in watts at most."""
    return (CORE_W * cpu_milli + GPU_W * gpu_milli) / 1000


def _watts(machine: Machine) -> tuple[float, float]:
    """Return what a machine draws doing nothing, and at most."""
    if machine.full_w > 0:
        return min(max(machine.idle_w, 0.0), machine.full_w), machine.full_w
    full = float(_sized(machine.cpu_milli, GPU_MILLI * len(machine.gpus)))
    return IDLE * full, full


class EnergyAware(FragmentationGradient):
    """The node on which a copy adds the fewest watts; then the one that it fragments least.

    After PWR with FGD, "Power- and Fragmentation-aware Online Scheduling for GPU Datacenters",
    CCGrid 2025, which adds up CPUs and GPUs that are woken; here it is whole nodes that wake up,
    because they tell their power as a whole. Watts count in tenths; what is alike in both goes to
    the fullest.
    """

    name = "energy"

    def __init__(self, columns: Columns, mix: Mix, seed: int) -> None:
        super().__init__(columns, mix, seed)
        self._power = Power(columns)
        self.span = 10.0 * self._power.largest

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by the watts; by fragmentation second, by room third."""
        found = super().score(need, rows)
        full = 1.0 - np.clip(room_left(self.columns, need, rows), 0.0, 1.0)
        tie = (found.score + 0.99 * full) / 102.0
        return Scored(tie - np.round(10 * self._power.added(need, rows)), found.slot)

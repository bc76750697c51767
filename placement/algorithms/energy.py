"""Energy: copies where they make the cluster draw the fewest watts more. Pure."""

import numpy as np

from placement.algorithms.base import Algorithm, Scored, plain, room_left
from placement.columns import Columns, Floats, Ints, Mask
from placement.mix import Mix
from placement.needs import Machine, Need

CORE_W, GPU_W, IDLE = 8.0, 200.0, 0.3
"""What a node that does not tell its power is taken to draw: per core and GPU at most, and the
share of it that it draws when it does nothing."""


class Power:
    """What every node of some columns draws, in watts.

    A node that holds something draws its idle power and, of what lies between that and its full
    power, as much as it is used: the mean of the shares of CPU and GPU that are taken, CPU alone
    where it has no GPU. One that holds nothing counts as switched off. Linear as in Fan, Weber and
    Barroso, "Power Provisioning for a Warehouse-Sized Computer", ISCA 2007.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        told = [_watts(machine) for machine in columns.machines]
        self._idle = np.array([idle for idle, _ in told], np.float64)
        self._span = np.array([full - idle for idle, full in told], np.float64)
        self._cpu = np.maximum(columns.capacity[:, 0], 1)
        self._gpu = columns.gpu_capacity.sum(axis=1)

    def drawn(self) -> float:
        """Return what the cluster draws now."""
        rows = np.arange(len(self._columns))
        return float((np.where(self._empty(rows), 0.0, self._idle) + self._dynamic(rows)).sum())

    def added(self, need: Need, rows: Ints) -> Floats:
        """Return what a copy would add to each of `rows`."""
        cpu = need.cpu_milli / self._cpu[rows]
        gpu = need.gpu_total / np.maximum(self._gpu[rows], 1)
        used = np.where(self._gpu[rows] > 0, (cpu + gpu) / 2, cpu)
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
        cpu = 1.0 - self._columns.free[rows, 0] / self._cpu[rows]
        cpu = np.where(self._columns.capacity[rows, 0] > 0, cpu, 0.0)
        gpu = 1.0 - self._columns.idle[rows] / np.maximum(self._gpu[rows], 1)
        dynamic: Floats = self._span[rows] * np.where(self._gpu[rows] > 0, (cpu + gpu) / 2, cpu)
        return dynamic


def _watts(machine: Machine) -> tuple[float, float]:
    """Return what a machine draws doing nothing, and at most."""
    if machine.full_w > 0:
        return min(max(machine.idle_w, 0.0), machine.full_w), machine.full_w
    full = CORE_W * machine.cpu_milli / 1000 + GPU_W * len(machine.gpus)
    return IDLE * full, full


class EnergyAware(Algorithm):
    """The node on which a copy adds the fewest watts; where that is alike, the fullest.

    After PWR of the plug-in "Power- and Fragmentation-aware Online Scheduling for GPU Datacenters",
    CCGrid 2025, which adds up CPUs and GPUs that are woken; here it is whole nodes that wake up,
    because they tell their power as a whole.
    """

    name = "energy"
    span = 1_000.0
    """A hundred watts."""

    def __init__(self, columns: Columns, mix: Mix, seed: int) -> None:
        super().__init__(columns, mix, seed)
        self._power = Power(columns)

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by the watts, in tenths; by room second."""
        tie = np.clip(room_left(self.columns, need, rows), 0.0, 1.0 - 1e-9)
        return plain(-np.round(10 * self._power.added(need, rows)) - tie)

"""A cluster as columns: every node a row, what is free of everything in integers. Pure.

`fitting` answers for all nodes, or some, at once. `take` and `give_back` touch one row each; giving
back what was taken restores the columns exactly. Neither ever lets anything fall below zero, or
rise above what the machine has: no node is over-committed, in no dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from placement.errors import Overcommitted
from placement.needs import Machine, Need

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
GPU_MILLI = 1000
NO_MODEL = -1
_SORTS = 256


@dataclass(frozen=True, slots=True)
class Taken:
    """What a copy holds: the row of its node, and the columns of its GPUs."""

    row: int
    need: Need
    slots: tuple[int, ...]


class Columns:
    """N machines with at most G GPUs: `free` (N x amounts), `gpu_free`, `gpu_memory` (N x G).

    The first two amounts are CPU and memory. `idle` (N) is the GPU share that is free on each,
    `largest` what the largest node has of CPU, memory and GPU share, `stamp` (N) rises whenever a
    row changes.
    """

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines = tuple(machines)
        self.row = {machine.name: row for row, machine in enumerate(self.machines)}
        names = sorted({name for machine in self.machines for name, _ in machine.extra})
        self._extra = {name: 2 + place for place, name in enumerate(names)}
        width = max((len(machine.gpus) for machine in self.machines), default=0)
        self.capacity = np.zeros((len(self.machines), 2 + len(names)), np.int64)
        self.gpu_capacity = np.zeros((len(self.machines), width), np.int64)
        self.gpu_memory_capacity = np.zeros_like(self.gpu_capacity)
        self.gpu_model = np.full(self.gpu_capacity.shape, NO_MODEL, np.int64)
        self.models: dict[str, int] = {}
        for row, machine in enumerate(self.machines):
            self._fill(row, machine)
        self.free = self.capacity.copy()
        self.gpu_free = self.gpu_capacity.copy()
        self.gpu_memory = self.gpu_memory_capacity.copy()
        self.idle = self.gpu_free.sum(axis=1)
        self.largest = [int(part.max(initial=0)) for part in (*self.capacity.T[:2], self.idle)]
        self.stamp = np.zeros(len(self.machines), np.int64)
        self._changes = 0
        self._sorts: dict[tuple[object, ...], Mask] = {}

    def __len__(self) -> int:
        return len(self.machines)

    def _fill(self, row: int, machine: Machine) -> None:
        self.capacity[row, :2] = machine.cpu_milli, machine.memory_mib
        for name, amount in machine.extra:
            self.capacity[row, self._extra[name]] = amount
        for slot, gpu in enumerate(machine.gpus):
            self.gpu_capacity[row, slot] = GPU_MILLI
            self.gpu_memory_capacity[row, slot] = gpu.memory_mib
            self.gpu_model[row, slot] = self.models.setdefault(gpu.model, len(self.models))

    def accepted(self, need: Need) -> Mask:
        """Return, N, which machines are of the sort that a need asks for, whatever is free."""
        sort = (need.architectures, need.zones, need.labels, need.tolerations)
        if sort not in self._sorts:
            if len(self._sorts) >= _SORTS:
                self._sorts.clear()
            self._sorts[sort] = self._of_sort(need)
        return self._sorts[sort]

    def _of_sort(self, need: Need) -> Mask:
        wanted = set(need.labels)
        tolerated = set(need.tolerations)
        return np.array(
            [
                (not need.architectures or machine.architecture in need.architectures)
                and (not need.zones or machine.zone in need.zones)
                and wanted <= set(machine.labels)
                and tolerated >= set(machine.taints)
                for machine in self.machines
            ],
            np.bool_,
        )

    def amounts(self, need: Need) -> Ints | None:
        """Return the need as a row of `free`; None when it names an amount that nobody has."""
        asked = np.zeros(self.capacity.shape[1], np.int64)
        asked[:2] = need.cpu_milli, need.memory_mib
        for name, amount in need.extra:
            if name in self._extra:
                asked[self._extra[name]] = amount
            elif amount > 0:
                return None
        return asked

    def gpus_fitting(self, need: Need, rows: Ints | slice) -> Mask:
        """Return, rows x G, which GPUs have the share, the memory and the model."""
        able = self.gpu_free[rows] >= max(need.gpu_milli, 0)
        able &= self.gpu_model[rows] != NO_MODEL
        if need.gpu_memory_mib:
            able &= self.gpu_memory[rows] >= need.gpu_memory_mib
        if need.models:
            known = [self.models[model] for model in need.models if model in self.models]
            able &= np.isin(self.gpu_model[rows], known)
        return able

    def fitting(self, need: Need, rows: Ints | slice = slice(None)) -> Mask:
        """Return, for each row, whether a copy has room there; apart from `accepted`."""
        asked = self.amounts(need)
        free = self.free[rows]
        if asked is None:
            return np.zeros(len(free), np.bool_)
        able: Mask = (free[:, 0] >= asked[0]) & (free[:, 1] >= asked[1])
        for column in np.flatnonzero(asked[2:]) + 2:
            able &= free[:, column] >= asked[column]
        if need.gpus:
            able &= self.idle[rows] >= need.gpu_total
            left = np.flatnonzero(able)
            among = np.arange(len(self))[rows][left]
            able[left] = self.gpus_fitting(need, among).sum(axis=1) >= need.gpus
        return able

    def tightest(self, row: int, need: Need) -> tuple[int, ...]:
        """Return the GPUs of a row that fit with the least left, as many as are needed."""
        if not need.gpus:
            return ()
        able = sorted(self._able(row, need), key=self.gpu_free[row].tolist().__getitem__)
        return tuple(able[: need.gpus])

    def _able(self, row: int, need: Need) -> list[int]:
        able: list[int] = np.flatnonzero(self.gpus_fitting(need, np.array([row]))[0]).tolist()
        return able

    def take(self, row: int, need: Need, slots: tuple[int, ...]) -> Taken:
        """Reserve a copy. Raises Overcommitted, and changes nothing, where it does not fit."""
        asked = self.amounts(need)
        if asked is None or len(slots) != need.gpus or len(set(slots)) != need.gpus:
            raise Overcommitted(f"{self.machines[row].name} cannot hold {need}")
        able = self._able(row, need) if slots else []
        if (self.free[row] < asked).any() or not set(slots) <= set(able):
            raise Overcommitted(f"{self.machines[row].name} has no room for {need}")
        self._add(row, need, -asked, slots, -1)
        return Taken(row, need, slots)

    def give_back(self, taken: Taken) -> None:
        """Undo `take`. Raises Overcommitted where more would be free than there is."""
        asked = self.amounts(taken.need)
        columns, row = list(taken.slots), taken.row
        milli = self.gpu_free[row, columns] + taken.need.gpu_milli
        memory = self.gpu_memory[row, columns] + taken.need.gpu_memory_mib
        if (
            asked is None
            or (self.free[row] + asked > self.capacity[row]).any()
            or (milli > self.gpu_capacity[row, columns]).any()
            or (memory > self.gpu_memory_capacity[row, columns]).any()
        ):
            raise Overcommitted(f"{self.machines[row].name} does not hold {taken.need}")
        self._add(row, taken.need, asked, taken.slots, 1)

    def _add(self, row: int, need: Need, asked: Ints, slots: tuple[int, ...], sign: int) -> None:
        self.free[row] += asked
        for slot in slots:
            self.gpu_free[row, slot] += sign * need.gpu_milli
            self.gpu_memory[row, slot] += sign * need.gpu_memory_mib
        self.idle[row] += sign * need.gpu_total
        self._changes += 1
        self.stamp[row] = self._changes

    def allocated(self) -> float:
        """Return the share of all GPUs, 0 to 1, that is taken; of CPU where there are none."""
        if total := int(self.gpu_capacity.sum()):
            return 1.0 - int(self.gpu_free.sum()) / total
        cpu = int(self.capacity[:, 0].sum())
        return 1.0 - int(self.free[:, 0].sum()) / cpu if cpu else 0.0

"""A cluster as columns: every node a row, what is free of everything in integers. Pure.

Two measures of room. `room` is what a machine has less what Weir placed: it never falls below
zero, so that no node is over-committed, in no dimension. `free` is that less what others use,
zero at least: where new copies go, and what algorithms look at. `fitting` answers for all nodes,
or some, at once. `take` and `give_back` touch one row each; giving back what was taken restores
the columns exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from placement.cluster.cores import NO_CORE, cores_for, lacking
from placement.cluster.needs import READY, Machine, Need
from placement.cluster.sorts import Sorts
from placement.errors import Overcommitted

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
GPU_MILLI = 1000
NO_MODEL = -1


@dataclass(frozen=True, slots=True)
class Taken:
    """What a copy holds: the row of its node, the columns of its GPUs, and those of its cores."""

    row: int
    need: Need
    slots: tuple[int, ...]
    cores: tuple[int, ...] = ()


class Columns:
    """N machines with at most G GPUs and C cores.

    `free` (N x amounts), `gpu_free`, `gpu_memory` (N x G), `core_free` (N x C). The first two
    amounts are CPU and memory; `place_of` tells the columns of the others by name. `idle` (N) is
    the GPU share that is free on each, `largest` what the largest node has of CPU, memory and GPU
    share. `ready` (N) says whose health is, `open` (N) who takes new copies: those of them whose
    reports make sense. `surplus` (N x 2) is what copies take beside what is reserved for them: it
    counts as used by others. `stamp` (N) rises whenever a row changes.
    """

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines = list(machines)
        self.row = {machine.name: row for row, machine in enumerate(self.machines)}
        self.sorts = Sorts(self.machines)
        names = sorted({name for machine in self.machines for name, _ in machine.extra})
        self.place_of = {name: 2 + place for place, name in enumerate(names)}
        self.ready = np.array([m.health == READY for m in self.machines], np.bool_)
        self.open = self.ready & np.array([not m.defects for m in self.machines], np.bool_)
        self.models: dict[str, int] = {}
        self._doing: dict[tuple[str, ...], Mask] = {}
        self._numbers: dict[tuple[str, ...], Ints] = {}
        self._every = np.arange(len(self.machines))
        self._allocate()
        for row, machine in enumerate(self.machines):
            self._fill(row, machine)
        self.room, self.core_room = self.capacity.copy(), self.core_capacity.copy()
        self.gpu_room = self.gpu_capacity.copy()
        self.gpu_memory_room = self.gpu_memory_capacity.copy()
        self._work_out(slice(None))
        self.largest = [
            int(part.max(initial=0)) for part in (*self.capacity.T[:2], self.gpu_capacity.sum(1))
        ]

    def __len__(self) -> int:
        return len(self.machines)

    def _allocate(self) -> None:
        size = len(self.machines)
        gpus = max((len(machine.gpus) for machine in self.machines), default=0)
        cores = max((len(machine.cores) for machine in self.machines), default=0)
        self.capacity = np.zeros((size, 2 + len(self.place_of)), np.int64)
        self.gpu_capacity = np.zeros((size, gpus), np.int64)
        self.gpu_memory_capacity = np.zeros_like(self.gpu_capacity)
        self.gpu_model = np.full((size, gpus), NO_MODEL, np.int64)
        self.core_capacity = np.full((size, cores), NO_CORE, np.int64)
        self.outside = np.zeros_like(self.capacity)
        self.surplus = np.zeros((size, 2), np.int64)
        self.gpu_outside = np.zeros_like(self.gpu_capacity)
        self.gpu_memory_outside = np.zeros_like(self.gpu_capacity)
        self.core_outside = np.zeros_like(self.core_capacity)
        self.free = np.zeros_like(self.capacity)
        self.gpu_free = np.zeros_like(self.gpu_capacity)
        self.gpu_memory = np.zeros_like(self.gpu_capacity)
        self.core_free = np.full_like(self.core_capacity, NO_CORE)
        self.idle = np.zeros(size, np.int64)
        self.stamp = np.zeros(size, np.int64)
        self.changes = 0

    def _fill(self, row: int, machine: Machine) -> None:
        self.capacity[row, :2] = machine.cpu_milli, machine.memory_mib
        for name, amount in machine.extra:
            self.capacity[row, self.place_of[name]] = amount
        self.core_capacity[row, : len(machine.cores)] = machine.cores
        for slot, gpu in enumerate(machine.gpus):
            model = f"{gpu.model} {gpu.partition}" if gpu.partition else gpu.model
            self.gpu_capacity[row, slot] = GPU_MILLI
            self.gpu_memory_capacity[row, slot] = gpu.memory_mib
            self.gpu_model[row, slot] = self.models.setdefault(model, len(self.models))
        self._fill_outside(row, machine)

    def report(self, machines: Sequence[Machine]) -> None:
        """Take over what others use of nodes, and their health."""
        if not machines:
            return
        rows = [self.row[machine.name] for machine in machines]
        for row, machine in zip(rows, machines, strict=True):
            self.machines[row] = machine
            self._fill_outside(row, machine)
            self.ready[row] = machine.health == READY
            self.open[row] = self.ready[row] and not machine.defects
        self._work_out(np.array(rows))
        self.changes += 1
        self.stamp[rows] = self.changes

    def _fill_outside(self, row: int, machine: Machine) -> None:
        self.outside[row, :2] = machine.cpu_outside, machine.memory_outside
        self.outside[row, :2] += self.surplus[row]
        for name, amount in machine.extra_outside:
            if name in self.place_of:
                self.outside[row, self.place_of[name]] = amount
        for slot, gpu in enumerate(machine.gpus):
            self.gpu_outside[row, slot] = gpu.outside_milli
            self.gpu_memory_outside[row, slot] = gpu.outside_mib
        self.core_outside[row, : len(machine.cores_outside)] = machine.cores_outside

    def accepted(self, need: Need) -> Mask:
        """Return, N, which machines are of the sort that a need asks for, whatever is free."""
        return self.sorts.accepted(need)

    def amounts(self, need: Need) -> Ints | None:
        """Return what a new copy must find, as a row of `free`; None for what nobody has.

        That is what is reserved for it, and its surplus.
        """
        asked = self._reserved(need)
        if asked is not None and any(need.surplus):
            asked[:2] += need.surplus
        return asked

    def _reserved(self, need: Need) -> Ints | None:
        asked = np.zeros(self.capacity.shape[1], np.int64)
        asked[:2] = need.cpu_milli, need.memory_mib
        for name, amount in need.extra:
            if name in self.place_of:
                asked[self.place_of[name]] = amount
            elif amount > 0:
                return None
        return asked

    def of_model(self, need: Need, rows: Ints | slice) -> Mask:
        """Return, rows x G, which GPUs are of a model, or a partition, that is accepted."""
        accepted: Mask = self._does(need.models)[self.gpu_model[rows]]
        return accepted

    def gpus_of(self, need: Need) -> Ints:
        """Return, N, how many GPUs of a model that is accepted there are, in use or not."""
        if need.models not in self._numbers:
            self._numbers[need.models] = self.of_model(need, slice(None)).sum(axis=1)
        return self._numbers[need.models]

    def _does(self, wanted: tuple[str, ...]) -> Mask:
        """Return which models do, by code; the last, for no GPU, does not."""
        if wanted not in self._doing:
            does = np.array([not wanted] * len(self.models) + [False], np.bool_)
            for name, code in self.models.items():
                does[code] |= not {name, *name.split(" ")}.isdisjoint(wanted)
            self._doing[wanted] = does
        return self._doing[wanted]

    def gpus_fitting(self, need: Need, rows: Ints | slice) -> Mask:
        """Return, rows x G, which GPUs have the share, the memory and the model."""
        able = self.gpu_free[rows] >= max(need.gpu_milli, 0)
        if need.gpu_memory_mib:
            able &= self.gpu_memory[rows] >= need.gpu_memory_mib
        able &= self.of_model(need, rows)
        return able

    def fitting(self, need: Need, rows: Ints | slice = slice(None)) -> Mask:
        """Return, for each row, whether a new copy has room there; apart from `accepted`."""
        from placement.cluster.room import fits  # noqa: PLC0415  # numba is loaded when it is needed

        asked = self.amounts(need)
        among = self._every[rows]
        able = np.zeros(len(among), np.bool_)
        if asked is None:
            return able
        gpus = (self.gpu_free, self.gpu_memory, self.gpu_model)
        each = (need.gpus, max(need.gpu_milli, 0), need.gpu_memory_mib)
        fits(among, self.free, self.open, asked, gpus, each, self._does(need.models), able)
        if need.cores:
            left = np.flatnonzero(able)
            able[left] = self.cores_lacking(need, among[left]) <= 0
        return able

    def cores_lacking(self, need: Need, rows: Ints | slice) -> Ints:
        """Return, per row, how much the core that lacks most lacks; 0 where cores are unknown."""
        found = lacking(need.cores, self.core_free[rows])
        known = (self.core_capacity[rows] != NO_CORE).any(axis=1)
        return np.where(known, found, 0)

    def tightest(self, row: int, need: Need) -> tuple[int, ...]:
        """Return the GPUs of a row that fit with the least left, as many as are needed."""
        if not need.gpus:
            return ()
        able = sorted(self._able(row, need), key=self.gpu_free[row].tolist().__getitem__)
        return tuple(able[: need.gpus])

    def _able(self, row: int, need: Need) -> list[int]:
        """Return the GPUs of a row on which a new copy fits."""
        told = zip(
            self.gpu_free[row].tolist(),
            self.gpu_memory[row].tolist(),
            self._does(need.models)[self.gpu_model[row]].tolist(),
            strict=True,
        )
        return [
            slot
            for slot, (share, memory, does) in enumerate(told)
            if does and share >= need.gpu_milli and memory >= need.gpu_memory_mib
        ]

    def take(
        self,
        row: int,
        need: Need,
        slots: tuple[int, ...],
        cores: tuple[int, ...] = (),
        *,
        staying: bool = False,
    ) -> Taken:
        """Reserve a copy. Raises Overcommitted, and changes nothing, where it does not fit.

        A copy that is `staying` may use what others use besides, and may keep its `cores`; a new
        one has the least free cores that do.
        """
        asked = self._reserved(need)
        if asked is None or len(slots) != need.gpus or len(set(slots)) != need.gpus:
            raise Overcommitted(f"{self.machines[row].name} cannot hold {need}")
        free, core_free = self.free[row], self.core_free[row]
        if staying:
            free, core_free = self.room[row], self.core_room[row]
        able = (self._stays_on(row, need) if staying else self._able(row, need)) if slots else []
        chosen = cores_for(need.cores, core_free.tolist(), cores)
        least = asked if staying or not any(need.surplus) else self.amounts(need)
        if (free < least).any() or not set(slots) <= set(able) or chosen is None:
            raise Overcommitted(f"{self.machines[row].name} has no room for {need}")
        taken = Taken(row, need, slots, chosen)
        self._add(taken, -asked, -1)
        return taken

    def _stays_on(self, row: int, need: Need) -> list[int]:
        """Return the GPUs of a row that have the share and the memory, others apart."""
        able = self.gpu_room[row] >= need.gpu_milli
        able &= (self.gpu_memory_room[row] >= need.gpu_memory_mib) & (self.gpu_capacity[row] > 0)
        found: list[int] = np.flatnonzero(able).tolist()
        return found

    def give_back(self, taken: Taken) -> None:
        """Undo `take`. Raises Overcommitted where more would be free than there is."""
        asked = self._reserved(taken.need)
        columns, cores, row = list(taken.slots), list(taken.cores), taken.row
        milli = self.gpu_room[row, columns] + taken.need.gpu_milli
        memory = self.gpu_memory_room[row, columns] + taken.need.gpu_memory_mib
        used = self.core_room[row, cores] + list(taken.need.cores[: len(cores)])
        if (
            asked is None
            or (self.room[row] + asked > self.capacity[row]).any()
            or (milli > self.gpu_capacity[row, columns]).any()
            or (memory > self.gpu_memory_capacity[row, columns]).any()
            or (used > self.core_capacity[row, cores]).any()
        ):
            raise Overcommitted(f"{self.machines[row].name} does not hold {taken.need}")
        self._add(taken, asked, 1)

    def _add(self, taken: Taken, asked: Ints, sign: int) -> None:
        row, need = taken.row, taken.need
        self.room[row] += asked
        if any(need.surplus):
            self.surplus[row] -= np.multiply(sign, need.surplus)
            self.outside[row, :2] -= np.multiply(sign, need.surplus)
        for slot in taken.slots:
            self.gpu_room[row, slot] += sign * need.gpu_milli
            self.gpu_memory_room[row, slot] += sign * need.gpu_memory_mib
        for core, milli in zip(taken.cores, need.cores, strict=False):
            self.core_room[row, core] += sign * milli
        self._changed(row)

    def spend(self, row: int, name: str, amount: int) -> None:
        """Take an amount by itself, or give it back (negative). Raises Overcommitted."""
        column = self.place_of.get(name, -1)
        left = int(self.room[row, column]) - amount
        if column < 0 or not 0 <= left <= self.capacity[row, column]:
            raise Overcommitted(f"{self.machines[row].name} has no {amount} of {name}")
        self.room[row, column] = left
        self._changed(row)

    def _changed(self, row: int) -> None:
        """Work out what is free on a row, after any change of it."""
        from placement.cluster.room import refresh  # noqa: PLC0415  # numba is loaded when it is needed

        share = (self.gpu_free, self.gpu_room, self.gpu_outside)
        memory = (self.gpu_memory, self.gpu_memory_room, self.gpu_memory_outside)
        refresh(row, (self.free, self.room, self.outside), share, memory, self.idle)
        if self.core_free.shape[1]:
            self.core_free[row] = self._cores_left(row)
        self.changes += 1
        self.stamp[row] = self.changes

    def _work_out(self, rows: Ints | slice) -> None:
        """Work out what is free on many rows at once."""
        for free, room, outside in self._measures():
            free[rows] = np.maximum(room[rows] - outside[rows], 0)
        self.core_free[rows] = self._cores_left(rows)
        self.idle[rows] = self.gpu_free[rows].sum(axis=1)

    def _cores_left(self, rows: int | Ints | slice) -> Ints:
        left = np.maximum(self.core_room[rows] - self.core_outside[rows], 0)
        return np.where(self.core_capacity[rows] == NO_CORE, NO_CORE, left)

    def _measures(self) -> Iterator[tuple[Ints, Ints, Ints]]:
        yield self.free, self.room, self.outside
        if self.gpu_free.shape[1]:
            yield self.gpu_free, self.gpu_room, self.gpu_outside
            yield self.gpu_memory, self.gpu_memory_room, self.gpu_memory_outside

    def allocated(self) -> float:
        """Return the share of all GPUs, 0 to 1, that is taken; of CPU where there are none."""
        if total := int(self.gpu_capacity.sum()):
            return 1.0 - int(self.gpu_free.sum()) / total
        cpu = int(self.capacity[:, 0].sum())
        return 1.0 - int(self.free[:, 0].sum()) / cpu if cpu else 0.0

"""All nodes as arrays, one row each in order of their names: what is free while a plan is made.

Two measures of room: `free` is capacity less what others use less what is placed, and decides
about new replicas; `own` is capacity less what is placed, and decides whether a replica may stay,
so that a passing load of others moves nothing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from placement.model import GPU_MILLI, READY, Demand, NodeView
from placement.occupancy import Occupancy
from schemas.decisions import Assignment

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_NO_CORE = -1


class Table:
    """The working copy of a plan; N nodes, at most G GPUs and C cores each."""

    def __init__(self, nodes: Sequence[NodeView]) -> None:
        self.nodes = tuple(sorted(nodes, key=lambda node: node.name))
        self.row = {node.name: position for position, node in enumerate(self.nodes)}
        self.cpu_capacity = _ints([n.cpu_milli for n in self.nodes])
        self.memory_capacity = _ints([n.memory_mib for n in self.nodes])
        self.cpu_own, self.memory_own = self.cpu_capacity.copy(), self.memory_capacity.copy()
        self.cpu_free = self.cpu_capacity - _ints([n.cpu_outside for n in self.nodes])
        self.memory_free = self.memory_capacity - _ints([n.memory_outside for n in self.nodes])
        self.speed = np.array([n.speed for n in self.nodes], np.float64)
        self.ready = np.array([n.health == READY for n in self.nodes], np.bool_)
        self.tainted = np.array([bool(n.taints) for n in self.nodes], np.bool_)
        self.zone = _ints(_Codes().of([n.zone for n in self.nodes]))
        self._architectures, self._models = _Codes(), _Codes()
        self._architecture = _ints(self._architectures.of([n.architecture for n in self.nodes]))
        self._fill_gpus()
        self._fill_cores()

    def reserve(self, row: int, demand: Demand, slot: int | None) -> None:
        """Take what a replica needs from a node, and from the GPU in column `slot`."""
        for cpu in (self.cpu_own, self.cpu_free):
            cpu[row] -= demand.cpu_milli
        for memory in (self.memory_own, self.memory_free):
            memory[row] -= demand.memory_mib
        if slot is not None:
            self.gpu_own[row, slot] -= demand.gpu_milli
            self.gpu_free[row, slot] -= demand.gpu_milli
        self._reserve_cores(row, demand.cores)

    def _reserve_cores(self, row: int, demands: tuple[int, ...]) -> None:
        if demands and self.core_known[row]:
            for cores in (self.core_own, self.core_free):
                cores[row, : len(demands)] -= np.array(demands[: cores.shape[1]])
                cores[row] = np.sort(cores[row])[::-1]

    def occupy(self, occupancy: Occupancy) -> None:
        """Take what is placed already from the nodes that are here."""
        for taken, own, free in (
            (occupancy.cpu, self.cpu_own, self.cpu_free),
            (occupancy.memory, self.memory_own, self.memory_free),
        ):
            amounts = _ints([taken[node.name] for node in self.nodes])
            np.subtract(own, amounts, out=own)
            np.subtract(free, amounts, out=free)
        for (name, index), milli in occupancy.gpu.items():
            row = self.row.get(name)
            slot = None if row is None else self.slot_of(row, index)
            if slot is not None:
                self.gpu_own[row, slot] -= milli
                self.gpu_free[row, slot] -= milli
        for name, demands in occupancy.cores().items():
            row = self.row.get(name)
            if row is not None:
                for _, cores in sorted(demands.items()):
                    self._reserve_cores(row, cores)

    def may_stay(self, row: int, demand: Demand, slot: int | None) -> bool:
        """Return whether a replica that is there fits beside what is placed, all else apart."""
        cores = self.core_own[row]
        enough = self.cpu_own[row] >= demand.cpu_milli and self.memory_own[row] >= demand.memory_mib
        if demand.cores and self.core_known[row]:
            fits = len(demand.cores) <= len(cores) and all(
                cores[position] >= need for position, need in enumerate(demand.cores)
            )
            enough = enough and fits
        if demand.gpu_milli:
            enough = enough and slot is not None and self.gpu_own[row, slot] >= demand.gpu_milli
        return bool(enough)

    def slot_of(self, row: int, gpu_index: int | None) -> int | None:
        """Return the column of a GPU by its index on the node."""
        for slot, gpu in enumerate(self.nodes[row].gpus):
            if gpu.index == gpu_index:
                return slot
        return None

    def architecture_accepted(self, demand: Demand) -> Mask:
        """Return, N, which nodes have an architecture that the service accepts."""
        if not demand.architectures:
            return np.ones(len(self.nodes), np.bool_)
        return _any_of(self._architecture, self._architectures.known(demand.architectures))

    def gpu_accepted(self, demand: Demand) -> Mask:
        """Return, N x G, which GPUs are of a model that the service accepts."""
        if not demand.accelerators:
            return self.gpu_there
        accepted = self._models.known(demand.accelerators)
        return self.gpu_there & _any_of(self._gpu_model, accepted)

    def gpu_fits(self, demand: Demand) -> Mask:
        """Return, N x G, which accepted GPUs have the share left."""
        return self.gpu_accepted(demand) & (self.gpu_free >= demand.gpu_milli)

    def _fill_gpus(self) -> None:
        width = max((len(n.gpus) for n in self.nodes), default=0)
        shape = (len(self.nodes), width)
        self.gpu_there = np.zeros(shape, np.bool_)
        self._gpu_model = np.zeros(shape, np.int64)
        self.gpu_own = np.zeros(shape, np.int64)
        outside = np.zeros(shape, np.int64)
        for row, node in enumerate(self.nodes):
            for slot, gpu in enumerate(node.gpus):
                self.gpu_there[row, slot] = True
                self._gpu_model[row, slot] = self._models.of([gpu.model])[0]
                self.gpu_own[row, slot] = GPU_MILLI
                outside[row, slot] = gpu.outside_milli
        self.gpu_free = self.gpu_own - outside
        self.gpu_capacity = self.gpu_own.sum(axis=1)

    def _fill_cores(self) -> None:
        width = max((len(n.cores) for n in self.nodes), default=0)
        self.core_own = np.full((len(self.nodes), width), _NO_CORE, np.int64)
        self.core_free = self.core_own.copy()
        self.core_known = np.array([bool(n.cores) for n in self.nodes], np.bool_)
        for row, node in enumerate(self.nodes):
            if node.cores:
                size = len(node.cores)
                self.core_own[row, :size] = sorted((c for c, _ in node.cores), reverse=True)
                self.core_free[row, :size] = sorted((c - u for c, u in node.cores), reverse=True)


def assignment(table: Table, row: int, demand: Demand, slot: int | None) -> Assignment:
    """Return one replica of a service on the node of a row."""
    node = table.nodes[row]
    return Assignment(
        node=node.name,
        instance=f"{demand.service}.{node.name}",
        variant=demand.variant() or "",
        cpu_milli=demand.cpu_milli,
        memory_mib=demand.memory_mib,
        gpu_index=None if slot is None else node.gpus[slot].index,
        gpu_milli=demand.gpu_milli,
    )


class _Codes:
    """Numbers for names, in order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> list[int]:
        return [self._numbers.setdefault(name, len(self._numbers)) for name in names]

    def known(self, names: Sequence[str]) -> list[int]:
        return [self._numbers[name] for name in names if name in self._numbers]


def _any_of(values: Ints, accepted: Sequence[int]) -> Mask:
    found = np.zeros(values.shape, np.bool_)
    for number in accepted:
        found |= values == number
    return found


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)

"""An algorithm whose weights were learned in the simulator. Pure.

After the learned allocation that AUTOSTEER names without a formula: this one is Weir's, a policy:
the score of a node is linear in features of the need and the node, with weights of their own for
needs without a GPU, with a share of one, and with whole ones. They come from
`placement.replay.training`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from placement.algorithms.ahead import Foresight
from placement.algorithms.base import Algorithm, Scored, plain, room_left
from placement.algorithms.mix import Mix
from placement.algorithms.shipped import document
from placement.cluster.columns import GPU_MILLI, Columns, Floats, Ints
from placement.cluster.needs import Need

SORTS = ("cpu", "share", "whole")
"""Needs without a GPU, with less than one, with one or more."""
FEATURES = (
    *("cpu_left", "memory_left", "gpu_left", "room_left", "gpu_rest", "opens_gpu", "wakes_node"),
    *("imbalance", "gpu_beside", "stranded"),
)
TOLD = ("cpu", "memory", "gpus", "gpu_milli")
"""What of a need the domain bounds: shares of the largest node, GPUs, thousandths of each."""


@dataclass(frozen=True, slots=True)
class Weights:
    """S x F weights, the domain that they were learned in, and where they come from.

    `low` and `high` bound what TOLD names.
    """

    values: tuple[tuple[float, ...], ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def knows(self, told: Floats) -> bool:
        """Say whether a need lies within the domain."""
        return bool(np.all(told >= self.low) and np.all(told <= self.high))

    def document(self) -> dict[str, Any]:
        """Return the weights as they are written to a file."""
        return {
            "provenance": dict(self.provenance),
            "domain": {
                name: [low, high] for name, low, high in zip(TOLD, self.low, self.high, strict=True)
            },
            "weights": {
                sort: dict(zip(FEATURES, row, strict=True))
                for sort, row in zip(SORTS, self.values, strict=True)
            },
        }


def weights_of(document: Mapping[str, Any]) -> Weights:
    """Return the weights of a document. Raises KeyError for a part that is missing."""
    weights, domain = document["weights"], document["domain"]
    return Weights(
        tuple(tuple(float(weights[sort][name]) for name in FEATURES) for sort in SORTS),
        tuple(float(domain[name][0]) for name in TOLD),
        tuple(float(domain[name][1]) for name in TOLD),
        document["provenance"],
    )


def told_of(need: Need, columns: Columns) -> Floats:
    """Return what TOLD names of a need."""
    cpu, memory, _ = (max(most, 1) for most in columns.largest)
    told = [need.cpu_milli / cpu, need.memory_mib / memory, need.gpus, need.gpu_milli]
    return np.array(told, np.float64)


def features(columns: Columns, need: Need, rows: Ints) -> Floats:
    """Return, rows x F, what FEATURES names, 0 to 1, of nodes once they hold the copy.

    `stranded` is the GPU share for which there would be no CPU, were each GPU to come with as much
    as the largest node has for one of its own.
    """
    cpu, _, share = (max(most, 1) for most in columns.largest)
    capacity = np.maximum(columns.capacity[rows], 1)
    gpus = columns.gpu_capacity[rows].sum(axis=1)
    cores = np.maximum(columns.free[rows, 0] - need.cpu_milli, 0)
    idle = np.maximum(columns.idle[rows] - need.gpu_total, 0)
    cpu_left = cores / capacity[:, 0]
    memory_left = np.maximum(columns.free[rows, 1] - need.memory_mib, 0) / capacity[:, 1]
    gpu_left = idle / np.maximum(gpus, 1)
    rest, opens = _gpus(columns, need, rows)
    untouched = (columns.free[rows] == columns.capacity[rows]).all(axis=1)
    untouched &= columns.idle[rows] == gpus
    return np.column_stack(
        [
            *(cpu_left, memory_left, gpu_left),
            np.clip(room_left(columns, need, rows), 0.0, 1.0),
            *(rest, opens, untouched),
            np.abs(cpu_left - gpu_left),
            (idle / share) if not need.gpus else np.zeros(len(rows)),
            np.maximum(idle / share - cores / cpu, 0.0),
        ]
    )


def _gpus(columns: Columns, need: Need, rows: Ints) -> tuple[Floats, Floats]:
    """Return what would be left on the tightest GPU that fits, and whether it was untouched."""
    if need.gpus != 1 or not columns.gpu_free.size:
        return np.zeros(len(rows)), np.full(len(rows), float(need.gpus > 1))
    able = columns.gpus_fitting(need, rows)
    tightest = np.where(able, columns.gpu_free[rows], 2 * GPU_MILLI).min(axis=1)
    rest = np.clip((tightest - need.gpu_milli) / GPU_MILLI, 0.0, 1.0)
    return rest, (tightest >= GPU_MILLI).astype(np.float64)


class Learned(Algorithm):
    """Linear in features of need and node, by weights that were learned; ties by order.

    Needs outside the domain of the weights are placed by Weir's default, and counted in `strange`.
    Like all algorithms it chooses among nodes that the hard constraints leave, and no others.
    """

    name = "learned"

    def __init__(
        self, columns: Columns, mix: Mix, seed: int, weights: Weights | None = None
    ) -> None:
        super().__init__(columns, mix, seed)
        self._weights = weights_of(document(self.name)) if weights is None else weights
        self._values = np.array(self._weights.values, np.float64)
        self._fallback = Foresight(columns, mix, seed)
        self.strange = 0

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by the weights, where the need is within their domain."""
        if not self._weights.knows(told_of(need, self.columns)):
            self.strange += 1
            return self._fallback.score(need, rows)
        sort = 0 if not need.gpus else 1 if need.gpu_total < GPU_MILLI else 2
        return plain(np.round((features(self.columns, need, rows) * self._values[sort]).sum(1), 9))

"""What is counted in a replay, and the report that it makes. Pure."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from placement.algorithms.ahead import workload
from placement.algorithms.energy import Power
from placement.algorithms.mix import Mix
from placement.algorithms.waste import losses
from placement.cluster.columns import Columns, Mask
from placement.cluster.needs import Need


class Gauge:
    """How full, how broken up, and how hungry a cluster is."""

    def __init__(self, columns: Columns, mix: Mix) -> None:
        self._columns = columns
        self._typical = workload(mix.typical(), columns, np.zeros((1, 1), np.int64))
        self._capacity = max(int(columns.gpu_capacity.sum()), 1)
        self._power = Power(columns)

    def read(self, asked: int, down: Mask) -> dict[str, float]:
        """Return shares in % of all GPUs, and watts; nodes that are down break nothing up."""
        return {
            "asked": round(100 * asked / self._capacity, 3),
            "allocation": round(100 * self._columns.allocated(), 3),
            "fragmentation": round(100 * self._fragmented(down), 3),
            "power_w": round(self._power.drawn(), 1),
            "down": int(down.sum()),
        }

    def _fragmented(self, down: Mask) -> float:
        columns, rows = self._columns, np.flatnonzero(~down)
        found = np.zeros(len(rows))
        cluster = (columns.free[:, :2].copy(), columns.gpu_free, columns.gpu_model)
        losses(rows, cluster, self._typical, 0, found)
        return float(found.sum()) / self._capacity


@dataclass(slots=True)
class Tally:
    """What has been counted so far."""

    arrived: int = 0
    placed: int = 0
    departed: int = 0
    asked: int = 0
    failures: int = 0
    moves: int = 0
    lost: int = 0
    rejected: dict[str, int] = field(
        default_factory=lambda: {"copies": 0, "cpu_milli": 0, "memory_mib": 0, "gpu_milli": 0}
    )
    took: list[float] = field(default_factory=list)
    over_time: list[dict[str, float]] = field(default_factory=list)

    def arrive(self, need: Need, *, placed: bool) -> None:
        """Count a copy that came."""
        self.arrived += 1
        self.asked += need.gpu_total
        if placed:
            self.placed += 1
            return
        self.rejected["copies"] += 1
        self.rejected["cpu_milli"] += need.cpu_milli
        self.rejected["memory_mib"] += need.memory_mib
        self.rejected["gpu_milli"] += need.gpu_total

    def move(self, *, placed: bool) -> None:
        """Count a copy whose node failed."""
        self.moves += placed
        self.lost += not placed

    def sample(self, told: dict[str, float]) -> None:
        """Keep what was read, and what has been counted so far."""
        counted = {"rejected": self.rejected["copies"], "moves": self.moves, "lost": self.lost}
        self.over_time.append(told | counted)

    def report(self, nodes: int) -> dict[str, Any]:
        """Return everything, times in milliseconds."""
        last, took = self.over_time[-1], np.array(self.took or [0.0])
        return {
            "nodes": nodes,
            "arrived": self.arrived,
            "placed": self.placed,
            "departed": self.departed,
            **{name: last[name] for name in ("asked", "allocation", "fragmentation", "power_w")},
            "rejected": self.rejected,
            "failures": self.failures,
            "moves": self.moves,
            "lost": self.lost,
            "seconds": round(float(took.sum()), 3),
            "decision_ms": {
                name: round(1e3 * float(np.percentile(took, part)), 4)
                for name, part in (("p50", 50), ("p99", 99), ("max", 100))
            },
            "over_time": self.over_time,
        }

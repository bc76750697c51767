"""From measurements of a service to what it is bound by, and what to ask for it. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CPU_SLOWER, MEMORY_SLOWER = 1.2, 1.1
"""By so much a service must become slower under contention to be called sensitive to it: a
neighbour on the same core halves what a service gets; one on another core takes only the way to
memory."""
MEMORY_BOUND = 1.3
DISTURBED = 1.3
SPARE = 1.1
"""Asked for is what was measured and a tenth more."""
_CPU_PROVIDER = "cpu"


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement: time and CPU time of an execution (ms), CPU per core (milli), memory (MiB).

    `mean_ms` counts what others on the core delay, `least_ms` hardly, `cpu_ms` not at all.
    """

    mean_ms: float
    least_ms: float
    cpu_ms: float
    p50_ms: float
    p95_ms: float
    cores_milli: tuple[int, ...]
    resident_mib: int
    virtual_mib: int
    executions: int = 1


@dataclass(frozen=True, slots=True)
class Profile:
    """How a service behaves alone, and how much slower under contention; None: not measured."""

    provider: str
    alone: Measured
    under_cpu: float | None
    under_memory: float | None

    @property
    def bound(self) -> str:
        """Return what limits it: gpu, memory or cpu."""
        if not self.provider.lower().startswith(_CPU_PROVIDER):
            return "gpu"
        slower = self.under_memory is not None and self.under_memory >= MEMORY_BOUND
        return "memory" if slower else "cpu"

    @property
    def disturbed(self) -> bool:
        """Return whether others used its cores while it was measured alone."""
        return self.alone.mean_ms > DISTURBED * self.alone.least_ms

    @property
    def sensitivity(self) -> str:
        """Return the contention that it suffers from: none, cpu, memory or both."""
        cpu = self.under_cpu is not None and self.under_cpu >= CPU_SLOWER
        memory = self.under_memory is not None and self.under_memory >= MEMORY_SLOWER
        if cpu and memory:
            return "both"
        return "cpu" if cpu else "memory" if memory else "none"

    def proposed(self, rate_per_s: float | None) -> dict[str, Any]:
        """Return the fields of a registration: CPU for a rate of executions, or for all it can do.

        A share of a GPU is not measured: what runs on one is to have a whole one.
        """
        cores = [_asked(share) for share in _shares(self.alone, rate_per_s)]
        told: dict[str, Any] = {
            "cpu_milli": max(1, sum(cores)),
            "cpu_per_core_milli": cores,
            "memory_mib": math.ceil(self.alone.resident_mib * SPARE),
            "virtual_memory_mib": math.ceil(self.alone.virtual_mib * SPARE),
            "sensitivity": self.sensitivity,
            "latency_ms": round(self.alone.p50_ms, 3),
        }
        return told | ({"gpu_milli": 1000, "gpus": 1} if self.bound == "gpu" else {})


def measured(told: Mapping[str, Any]) -> Measured:
    """Return a measurement from what the measured process wrote."""
    return Measured(**{**told, "cores_milli": tuple(told["cores_milli"])})


def delayed(alone: Measured, other: Measured) -> float:
    """Return how many times longer executions take, on the average, than alone.

    Not by the median: a neighbour on the core delays few of many short executions by a lot.
    """
    return other.mean_ms / alone.mean_ms if alone.mean_ms > 0 else 1.0


def strained(alone: Measured, other: Measured) -> float:
    """Return how many times more CPU time executions take than alone: what waiting for memory is.

    Who else uses the core does not count.
    """
    return other.cpu_ms / alone.cpu_ms if alone.cpu_ms > 0 else 1.0


def _shares(alone: Measured, rate_per_s: float | None) -> list[float]:
    """Return the shares of cores with the cores to itself: for a rate, or one after another."""
    a_second = 1000 / max(alone.least_ms, 1e-6)
    rate = a_second if rate_per_s is None else min(rate_per_s, a_second)
    together = max(1, sum(alone.cores_milli))
    return [share * alone.cpu_ms * rate / together for share in alone.cores_milli]


def _asked(milli: float) -> int:
    return max(1, min(1000, math.ceil(round(milli * SPARE, 6))))

"""What GPUs tell, whatever tells it, as readings and as part of a node. Pure.

Metrics: gpu.<n>.used (%), gpu.<n>.memory.busy (% of the time), gpu.<n>.memory.used and .total
(MiB), gpu.<n>.temperature (C), gpu.<n>.power (W), gpu.<n>.clock (MHz). What a GPU does not tell is
absent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from schemas.resources import Gpu
from workers.agent.readings import MIB, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """One GPU now; None where it does not tell. Shares in %, memory in bytes, power in mW."""

    index: int
    model: str
    memory_total: int
    memory_used: int
    used: float | None = None
    memory_busy: float | None = None
    temperature: float | None = None
    power_mw: float | None = None
    clock_mhz: float | None = None


class Gpus(Protocol):
    """A source of the state of all GPUs of this machine."""

    def states(self) -> list[GpuState]:
        """Return the GPUs that answer."""
        ...


class NoGpus:
    """A machine without GPUs, or without a driver or library that tells of them."""

    def states(self) -> list[GpuState]:
        """Return nothing."""
        return []


def readings(states: Iterable[GpuState]) -> Iterator[Reading]:
    """Yield the metrics of GPUs."""
    for gpu in states:
        name = f"gpu.{gpu.index}"
        power = None if gpu.power_mw is None else gpu.power_mw / 1000
        told: tuple[tuple[str, float | None, str], ...] = (
            ("used", gpu.used, "%"),
            ("memory.busy", gpu.memory_busy, "%"),
            ("memory.used", gpu.memory_used / MIB, "MiB"),
            ("memory.total", gpu.memory_total / MIB, "MiB"),
            ("temperature", gpu.temperature, "C"),
            ("power", power, "W"),
            ("clock", gpu.clock_mhz, "MHz"),
        )
        for what, value, unit in told:
            if value is not None:
                yield Reading(f"{name}.{what}", value, unit)


def of_node(states: Iterable[GpuState]) -> tuple[Gpu, ...]:
    """Return the GPUs as a node reports them."""
    return tuple(
        Gpu(
            index=gpu.index,
            model=gpu.model,
            memory_mib=gpu.memory_total // MIB,
            memory_used_mib=gpu.memory_used // MIB,
            used_milli=round((gpu.used or 0.0) * 10),
        )
        for gpu in states
    )

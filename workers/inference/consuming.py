"""What a worker's process takes of its machine, and the part of each of its instances.

CPU is that of all threads of the process while it executed: what a model takes that runs in a
process of its own, or elsewhere, is not in it; its memory is, where it is on this machine.
"""

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from placement.local.processes import cores_here, resident_mib
from schemas.working import InstanceUse, WorkerReported
from workers.inference.replicas import Hosted

SPAN_S = 60.0
"""CPU is told as the average of so long."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has at an instant: CPU time (s), resident memory (MiB), its cores."""

    at_s: float
    cpu_s: float
    memory_mib: int
    cores: tuple[int, ...]


def own_use() -> Use:
    """Return what this process has now."""
    memory, cores = resident_mib(os.getpid()), tuple(cores_here())
    return Use(time.monotonic(), time.process_time(), memory, cores)


@dataclass(slots=True)
class _Spent:
    tasks: int = 0
    cpu_ms: float = 0.0


@dataclass(slots=True)
class _Sample:
    use: Use
    spent: Mapping[str, float] = field(default_factory=dict)


class Consumption:
    """Counts what instances take; memory is bounded by the instances that the worker has."""

    def __init__(self, look: Callable[[], Use] = own_use) -> None:
        self._look = look
        self._spent: defaultdict[str, _Spent] = defaultdict(_Spent)
        self._samples: deque[_Sample] = deque([_Sample(look())])
        self._base_mib: int | None = None

    def executed(self, instance: str, tasks: int, cpu_ms: float) -> None:
        """Count an execution."""
        spent = self._spent[instance]
        spent.tasks += tasks
        spent.cpu_ms += cpu_ms

    def told(
        self, report: WorkerReported, hosted: Iterable[Hosted], limit_mib: int
    ) -> WorkerReported:
        """Return a report with what the worker takes, and each of the instances that it has."""
        now, there = self._look(), sorted(hosted, key=lambda one: one.instance)
        for gone in self._spent.keys() - {one.instance for one in there}:
            del self._spent[gone]
        then, held = self._then(now), self._held(now, there)
        return replace(
            report,
            cpu_milli=_milli((now.cpu_s - then.use.cpu_s) * 1000, now, then.use),
            memory_mib=now.memory_mib,
            memory_limit_mib=limit_mib,
            cores=now.cores,
            uses=tuple(
                InstanceUse(
                    instance=one.instance,
                    service=one.service.service,
                    tasks=self._spent[one.instance].tasks,
                    cpu_ms=round(self._spent[one.instance].cpu_ms, 3),
                    cpu_milli=_milli(self._lately_ms(one.instance, then), now, then.use),
                    memory_mib=held[one.instance],
                )
                for one in there
            ),
        )

    def _then(self, now: Use) -> _Sample:
        """Return what was a span ago, the first of all until there is such; note what is now."""
        spent = {name: one.cpu_ms for name, one in self._spent.items()}
        self._samples.append(_Sample(now, spent))
        while len(self._samples) > 1 and now.at_s - self._samples[1].use.at_s >= SPAN_S:
            self._samples.popleft()
        return self._samples[0]

    def _lately_ms(self, instance: str, then: _Sample) -> float:
        return self._spent[instance].cpu_ms - then.spent.get(instance, 0.0)

    def _held(self, now: Use, there: list[Hosted]) -> dict[str, int]:
        """Return each instance's memory: what loading took, and a part of what grew since."""
        loaded = sum(one.memory_mib for one in there)
        if self._base_mib is None and there:
            self._base_mib = now.memory_mib - loaded
        grown = max(0, now.memory_mib - (self._base_mib or 0) - loaded)
        parts = {one.instance: one.memory_mib or 1 for one in there}
        whole = sum(parts.values())
        return {
            one.instance: one.memory_mib + grown * parts[one.instance] // whole for one in there
        }


def _milli(cpu_ms: float, now: Use, then: Use) -> int:
    """Return CPU time as thousandths of a core; 0 before a span has passed."""
    lasted = now.at_s - then.at_s
    return round(max(0.0, cpu_ms) / lasted) if lasted >= SPAN_S else 0

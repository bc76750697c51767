"""What an algorithm makes of a trace: who is placed, what is left, how broken up it is. Pure.

Two ways. *Filling*: as in the comparison of Weng et al., ATC 2023, the copies of the trace come in
an order that follows from the seed, further ones are drawn from them until the GPU share asked for
is so many times that of the cluster (CPU where no copy wants a GPU), and none leaves. *Timed*:
copies come and leave when the trace says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np

from placement.algorithms.ahead import workload
from placement.algorithms.names import Maker
from placement.chance import mixed, shuffled
from placement.chooser import Chooser
from placement.columns import Columns, Taken
from placement.errors import TraceRefused
from placement.mix import mix_of
from placement.needs import Machine, Need
from placement.traces import Pod
from placement.waste import losses

MOST_ARRIVALS = 1_000_000
_SAMPLES = 20
Clock = Callable[[], float]
"""Tells seconds; only differences count."""


def arrivals(
    pods: Sequence[Pod], machines: Sequence[Machine], times: float, seed: int
) -> list[Pod]:
    """Return the copies of a filling, in order.

    Raises TraceRefused when nothing is asked for, or more than a million copies would come.
    """
    gpu = any(pod.need.gpus for pod in pods)
    sizes = [pod.need.gpu_total if gpu else pod.need.cpu_milli for pod in pods]
    held = sum(1000 * len(m.gpus) if gpu else m.cpu_milli for m in machines)
    limit, total = times * held, sum(sizes)
    if not total:
        raise TraceRefused("no copy of the trace asks for CPU or GPU; there is nothing to fill")
    order = shuffled(seed, len(pods)).tolist()
    while order and total > limit:
        total -= sizes[order.pop()]
    drawn: list[int] = []
    while True:
        if len(order) + len(drawn) > MOST_ARRIVALS:
            raise TraceRefused(f"more than {MOST_ARRIVALS} copies would come; ask for less")
        block = (mixed(seed + 1, len(drawn), 1024) * len(pods)).astype(np.int64)
        for place in block.tolist():
            if total + sizes[place] > limit:
                chosen = [*order, *drawn]
                again = shuffled(seed + 2, len(chosen)).tolist()
                return [pods[chosen[each]] for each in again]
            total += sizes[place]
            drawn.append(place)


@dataclass(slots=True)
class _Tally:
    """What has been counted so far."""

    arrived: int = 0
    placed: int = 0
    asked: int = 0
    rejected: dict[str, int] = field(
        default_factory=lambda: {"copies": 0, "cpu_milli": 0, "memory_mib": 0, "gpu_milli": 0}
    )
    took: list[float] = field(default_factory=list)
    over_time: list[dict[str, float]] = field(default_factory=list)

    def reject(self, need: Need) -> None:
        self.rejected["copies"] += 1
        self.rejected["cpu_milli"] += need.cpu_milli
        self.rejected["memory_mib"] += need.memory_mib
        self.rejected["gpu_milli"] += need.gpu_total


class Replay:
    """One run of one algorithm over one trace."""

    def __init__(
        self, machines: Sequence[Machine], pods: Sequence[Pod], make: Maker, seed: int, clock: Clock
    ) -> None:
        self.columns = Columns(machines)
        mix = mix_of(pod.need for pod in pods)
        self._chooser = Chooser(self.columns, make(self.columns, mix, seed))
        self._typical = workload(mix.typical(), self.columns, np.zeros((1, 1), np.int64))
        self._capacity = max(int(self.columns.gpu_capacity.sum()), 1)
        self._clock = clock
        self._tally = _Tally()

    def fill(self, pods: Sequence[Pod]) -> dict[str, Any]:
        """Let copies come, none of which leaves, and return the report."""
        every = max(1, len(pods) // _SAMPLES)
        for number, pod in enumerate(pods, 1):
            self._arrive(pod)
            if number % every == 0 or number == len(pods):
                self._sample({"arrived": number})
        return self._report()

    def timed(self, pods: Sequence[Pod]) -> dict[str, Any]:
        """Let copies come and leave at their times, and return the report.

        Raises TraceRefused for a copy whose creation is not told.
        """
        if unknown := [pod.name for pod in pods if pod.created is None]:
            raise TraceRefused(f"creation_time of {unknown[0]!r} is missing; add it")
        ordered = sorted(pods, key=lambda pod: pod.created or 0)
        leaving: list[tuple[int, int, Taken]] = []
        every = max(1, len(pods) // _SAMPLES)
        for number, pod in enumerate(ordered, 1):
            now = pod.created or 0
            while leaving and leaving[0][0] <= now:
                self.columns.give_back(heappop(leaving)[2])
            taken = self._arrive(pod)
            if taken is not None and pod.deleted is not None:
                heappush(leaving, (pod.deleted, number, taken))
            if number % every == 0 or number == len(ordered):
                self._sample({"time": now, "arrived": number})
        return self._report()

    def _arrive(self, pod: Pod) -> Taken | None:
        tally, began = self._tally, self._clock()
        taken = self._chooser.place(pod.need)
        tally.took.append(self._clock() - began)
        tally.arrived += 1
        tally.asked += pod.need.gpu_total
        if taken is None:
            tally.reject(pod.need)
        else:
            tally.placed += 1
        return taken

    def _sample(self, told: dict[str, float]) -> None:
        self._tally.over_time.append(
            told
            | {
                "asked": round(100 * self._tally.asked / self._capacity, 3),
                "allocation": round(100 * self.columns.allocated(), 3),
                "fragmentation": round(100 * self._fragmented(), 3),
            }
        )

    def _fragmented(self) -> float:
        """Return the fragmentation of the cluster as a share of its GPUs."""
        columns = self.columns
        found = np.zeros(len(columns))
        cluster = (columns.free[:, :2].copy(), columns.gpu_free, columns.gpu_model)
        losses(np.arange(len(columns)), cluster, self._typical, 0, found)
        return float(found.sum()) / self._capacity

    def _report(self) -> dict[str, Any]:
        tally, last = self._tally, self._tally.over_time[-1]
        took = np.array(tally.took)
        return {
            "nodes": len(self.columns),
            "arrived": tally.arrived,
            "placed": tally.placed,
            "asked": last["asked"],
            "allocation": last["allocation"],
            "fragmentation": last["fragmentation"],
            "rejected": tally.rejected,
            "seconds": round(float(took.sum()), 3),
            "decision_ms": {
                name: round(1e3 * float(np.percentile(took, part)), 4)
                for name, part in (("p50", 50), ("p99", 99), ("max", 100))
            },
            "over_time": tally.over_time,
        }

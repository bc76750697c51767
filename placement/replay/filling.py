"""What an algorithm makes of a trace: who is placed, what is left, how broken up it is. Pure.

Two ways. *Filling*: as in the comparison of Weng et al., ATC 2023, the copies of the trace come in
an order that follows from the seed, further ones are drawn from them until the GPU share asked for
is so many times that of the cluster (CPU where no copy wants a GPU), and none leaves. *Timed*:
copies come and leave when the trace says. In both, nodes may fail and come back: what ran there is
placed anew, the largest first, or lost.
"""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

import numpy as np

from placement.algorithms.chance import mixed, shuffled
from placement.algorithms.mix import mix_of
from placement.algorithms.names import Maker
from placement.choosing.chooser import Chooser
from placement.cluster.columns import Columns, Taken
from placement.cluster.needs import Machine
from placement.errors import TraceRefused
from placement.replay import failures as failing
from placement.replay.failures import Failure
from placement.replay.tally import Gauge, Tally
from placement.replay.traces import Pod

MOST_ARRIVALS = 1_000_000
_SAMPLES = 20
Clock = Callable[[], float]
"""Tells seconds; only differences count."""


def listed(machines: Sequence[Machine], seed: int) -> list[Machine]:
    """Return the nodes of a filling in an order that follows from the seed.

    Scores tie often, and the first node wins: the order decides what becomes of the cluster. The
    published scheduler lists nodes in no order of theirs; in that of openb's file its packing comes
    to 91 %, in the reverse order to 93 %, in orders by chance to what was published.
    """
    return [machines[row] for row in shuffled(seed + 5, len(machines)).tolist()]


def arrivals(
    pods: Sequence[Pod], machines: Sequence[Machine], times: float, seed: int
) -> list[Pod]:
    """Return the copies of a filling, in order.

    Raises TraceRefused when nothing is asked for, and when no copy or more than a million would
    come.
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
                if not chosen:
                    raise TraceRefused(
                        f"{times:g} times the nodes is less than one copy asks for; ask for more, "
                        "or add nodes"
                    )
                again = shuffled(seed + 2, len(chosen)).tolist()
                return [pods[chosen[each]] for each in again]
            total += sizes[place]
            drawn.append(place)


class Replay:
    """One run of one algorithm over one trace; `together`: how many copies are placed at once."""

    def __init__(
        self,
        machines: Sequence[Machine],
        pods: Sequence[Pod],
        make: Maker,
        seed: int,
        clock: Clock,
        failures: Sequence[Failure] = (),
        together: int = 1,
    ) -> None:
        """Raise TraceRefused for failures of nodes that are not there."""
        failing.check(failures, machines)
        self.columns = Columns(machines)
        mix = mix_of(pod.need for pod in pods)
        self._chooser = Chooser(self.columns, make(self.columns, mix, seed))
        self._gauge = Gauge(self.columns, mix)
        self._clock, self._together = clock, max(1, together)
        self._tally = Tally()
        self._running: dict[int, Taken] = {}
        self._down = np.zeros(len(self.columns), np.bool_)
        self._order = count()
        self._coming: list[tuple[int, int, Callable[[int], None], int]] = []
        for failure in failures:
            row = self.columns.row[failure.node]
            self._later(failure.at, self._fail, row)
            if failure.back is not None:
                self._later(failure.back, self._return, row)

    def fill(self, pods: Sequence[Pod]) -> dict[str, Any]:
        """Let copies come, none of which leaves, and return the report."""
        return self._run(pods, list(range(len(pods))), timed=False)

    def timed(self, pods: Sequence[Pod]) -> dict[str, Any]:
        """Let copies come and leave at their times, and return the report.

        Raises TraceRefused for a copy whose creation is not told.
        """
        if unknown := [pod.name for pod in pods if pod.created is None]:
            raise TraceRefused(f"creation_time of {unknown[0]!r} is missing; add it")
        ordered = sorted(pods, key=lambda pod: pod.created or 0)
        return self._run(ordered, [pod.created or 0 for pod in ordered], timed=True)

    def _run(self, pods: Sequence[Pod], times: Sequence[int], *, timed: bool) -> dict[str, Any]:
        every = max(1, len(pods) // _SAMPLES)
        for first in range(0, len(pods), self._together):
            group = pods[first : first + self._together]
            number = first + len(group)
            self._until(times[number - 1])
            self._arrive(first, group, timed=timed)
            if number // every > first // every or number == len(pods):
                told: dict[str, float] = {"time": times[number - 1]} if timed else {}
                told |= {"arrived": number}
                self._tally.sample(told | self._gauge.read(self._tally.asked, self._down))
        return self._tally.report(len(self.columns))

    def _later(self, at: int, what: Callable[[int], None], key: int) -> None:
        heappush(self._coming, (at, next(self._order), what, key))

    def _until(self, now: int) -> None:
        """Let happen what is due: copies that leave, nodes that fail or come back."""
        while self._coming and self._coming[0][0] <= now:
            _, _, what, key = heappop(self._coming)
            what(key)

    def _arrive(self, first: int, pods: Sequence[Pod], *, timed: bool) -> None:
        barred = self._down if self._down.any() else None
        began = self._clock()
        placed = self._chooser.place_all([pod.need for pod in pods], barred)
        took = (self._clock() - began) / len(pods)
        for number, (pod, taken) in enumerate(zip(pods, placed, strict=True), first):
            self._tally.took.append(took)
            self._tally.arrive(pod.need, placed=taken is not None)
            if taken is not None:
                self._running[number] = taken
                if timed and pod.deleted is not None:
                    self._later(pod.deleted, self._leave, number)

    def _leave(self, number: int) -> None:
        """Let a copy go, unless it was lost before."""
        taken = self._running.pop(number, None)
        if taken is not None:
            self.columns.give_back(taken)
            self._tally.departed += 1

    def _fail(self, row: int) -> None:
        """Let a node fail; what it held is placed anew, the largest first, or lost."""
        if self._down[row]:
            return
        self._down[row] = True
        self._tally.failures += 1
        here = [(number, taken) for number, taken in self._running.items() if taken.row == row]
        here.sort(key=lambda each: (-each[1].need.gpu_total, -each[1].need.cpu_milli))
        for number, _ in here:
            self.columns.give_back(self._running.pop(number))
        for number, taken in here:
            began = self._clock()
            again = self._chooser.place(taken.need, self._down)
            self._tally.took.append(self._clock() - began)
            self._tally.move(placed=again is not None)
            if again is not None:
                self._running[number] = again

    def _return(self, row: int) -> None:
        self._down[row] = False

"""Weir's own order: robust earliest deadline first, with an eye on what is to come. Pure."""

import heapq
import math
from typing import NamedTuple

from workers.scheduling.boards import Board
from workers.scheduling.demand import Demand
from workers.scheduling.lanes import Lane, Rank, Waiting
from workers.scheduling.orders.base import Order, Pick

URGENT = "earliest deadline of all that can be held"
SPARED = "it was passed over, and there is time for it now"
_HORIZON = 1.25
_LOOKED_AT = 8


class _Harm(NamedTuple):
    """What starting a job costs: value of expected arrivals, whose, and when the first comes."""

    value: float
    service: str
    until: float


class Weir(Order):
    """Earliest deadline first among the jobs whose deadlines can be held together.

    When they cannot all be held, jobs worth least per ms of predicted work are set aside until
    they can (robust EDF, Buttazzo and Stankovic 1993, with value densities); they are
    done when there is time to spare. A job that would keep the accelerator past the latest start
    of arrivals that are expected, and worth more than it, is not begun: another is, or none.
    """

    name = "weir"

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._demand = Demand(1.0, 0.0)
        self._due: Board[tuple[float, int]] = Board()
        self._aside: Board[tuple[float, float, int]] = Board()
        self._cheap: Board[tuple[float, float, int]] = Board()
        self._coming: Board[tuple[float, str]] = Board()
        self._cheapest: dict[str, list[tuple[float, float, int, Waiting]]] = {}

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return the deadline."""
        return waiting.job.deadline

    def served(self, lane: Lane, /) -> None:
        """Take note of a service; a larger budget than any before widens the horizon."""
        self._lanes[lane.name] = lane
        self._cheapest.setdefault(lane.name, [])
        horizon = _HORIZON * lane.terms.budget_ms
        if horizon > self._demand.horizon_ms and math.isfinite(horizon):
            self._widen(horizon)

    def left(self, lane: Lane, /) -> None:
        """Take note that a service is gone."""
        for held in (self._lanes, self._cheapest):
            held.pop(lane.name, None)
        for board in (self._due, self._aside, self._cheap, self._coming):
            board.drop(lane.name)

    def added(self, lane: Lane, waiting: Waiting, now: float, /) -> None:
        """Count a job's work in; set aside what is worth least when not all can be held."""
        job = waiting.job
        waiting.mark = self._demand.add(job.deadline, waiting.work_ms, now)
        heap = self._cheapest[lane.name]
        worth = job.value / max(waiting.work_ms, 1e-9)
        heapq.heappush(heap, (worth, job.deadline, waiting.seq, waiting))
        if len(heap) > 2 * lane.count + 64:
            heap[:] = [entry for entry in heap if entry[3].alive and not entry[3].aside]
            heapq.heapify(heap)
        self.changed(lane)
        self._settle(now)

    def removed(self, waiting: Waiting, /) -> None:
        """Count a job's work out."""
        if not waiting.aside:
            self._demand.remove(waiting.mark, waiting.work_ms)

    def changed(self, lane: Lane, /) -> None:
        """Give a service its places: by deadline, by worth, by what is expected of it."""
        name = lane.name
        ready, aside, cheapest = lane.ready(), lane.aside(), self._cheapest_of(lane)
        if ready is None or cheapest is None:
            self._due.drop(name)
            self._cheap.drop(name)
        else:
            self._due.set(name, (ready.job.deadline, ready.seq))
            self._cheap.set(name, cheapest[:3])
        if aside is None:
            self._aside.drop(name)
        else:
            worth = aside.job.value / max(aside.work_ms, 1e-9)
            self._aside.set(name, (-worth, aside.job.deadline, aside.seq))
        rhythm = lane.rhythm
        if not rhythm.steady:
            self._coming.drop(name)
        else:
            latest = rhythm.last + rhythm.gap_ms + lane.terms.budget_ms - lane.profile.careful()
            self._coming.set(name, (latest, name))

    def pick(self, now: float, /) -> Pick | None:
        """Return the most urgent job that harms nobody worth more, else what is waited for."""
        spare = self._settle(now)
        harm: _Harm | None = None
        for lane, first, why in self._candidates(spare):
            found = self._harm(lane, now)
            if found is None or found.value <= first.job.value:
                return Pick(lane, first, why, self._horizon(lane, now), max(0.0, spare))
            harm = found if harm is None or found.until < harm.until else harm
        if harm is None:
            return None
        why = (
            f"waits for {harm.service}, expected until {harm.until:.1f}: work worth "
            f"{harm.value:.2f} would be late behind what waits now"
        )
        return Pick(None, None, why, until=harm.until)

    def _candidates(self, spare: float) -> list[tuple[Lane, Waiting, str]]:
        """Return what may be begun, best first: a few of those that can be held, and aside."""
        found = []
        for _, name in self._due.some(_LOOKED_AT) if len(self._coming) else _one(self._due.first()):
            lane = self._lanes[name]
            ready = lane.ready()
            if ready is not None:
                found.append((lane, ready, URGENT))
        for _, name in self._aside.some(_LOOKED_AT) if len(self._aside) else ():
            lane = self._lanes[name]
            aside = lane.aside()
            if aside is None:
                continue
            urgent = found and aside.job.deadline < found[0][1].job.deadline
            if urgent and spare >= aside.work_ms:
                found.insert(0, (lane, aside, SPARED))
            else:
                found.append((lane, aside, SPARED))
        return found

    def _harm(self, lane: Lane, now: float) -> _Harm | None:
        """Return what expected arrivals lose when a job of this service begins now."""
        first = self._coming.first()
        end = now + lane.profile.careful()
        if first is None or first[0][0] >= end:
            return None
        value, until, worst = 0.0, math.inf, ""
        for (latest, _), name in self._coming.some(_LOOKED_AT):
            if latest >= end or name == lane.name:
                continue
            other = self._lanes[name]
            due = other.rhythm.expected(now)
            if due is None:
                self._coming.drop(name)
                continue
            pace = max(other.rhythm.gap_ms, other.profile.typical())
            value += other.value * (1 + int((end - latest) / pace))
            comes = due if due > now else other.rhythm.overdue_at()
            if comes < until:
                until, worst = comes, name
        return _Harm(value, worst, until) if worst else None

    def _horizon(self, lane: Lane, now: float) -> float:
        """Return by when a batch is to end for the sake of what is expected."""
        first = self._coming.first()
        if first is None or first[1] == lane.name:
            return math.inf
        return max(first[0][0], now)

    def _settle(self, now: float) -> float:
        """Set jobs aside until the deadlines of all others can be held; returns time to spare."""
        spare = self._demand.spare(now)
        while spare < -1e-6:
            late_by = self._demand.overrun(now)
            victim = self._least_worthy(late_by)
            if victim is None:
                return spare
            lane, waiting = victim
            self._demand.remove(waiting.mark, waiting.work_ms)
            lane.set_aside(waiting, -spare)
            self.changed(lane)
            spare = self._demand.spare(now)
        return spare

    def _least_worthy(self, deadline: float) -> tuple[Lane, Waiting] | None:
        """Return the job worth least per ms of those that are due by a time."""
        for _, name in self._cheap.some(_LOOKED_AT):
            lane = self._lanes[name]
            cheapest, ready = self._cheapest_of(lane), lane.ready()
            if cheapest is not None and cheapest[1] <= deadline:
                return lane, cheapest[3]
            if ready is not None and ready.job.deadline <= deadline:
                return lane, ready
        first = self._due.first()
        if first is None:
            return None
        lane = self._lanes[first[1]]
        ready = lane.ready()
        return None if ready is None else (lane, ready)

    def _cheapest_of(self, lane: Lane) -> tuple[float, float, int, Waiting] | None:
        heap = self._cheapest[lane.name]
        while heap:
            waiting = heap[0][3]
            if waiting.alive and not waiting.aside:
                return heap[0]
            heapq.heappop(heap)
        return None

    def _widen(self, horizon: float) -> None:
        self._demand = Demand(horizon, 0.0)
        for lane in self._lanes.values():
            for waiting in lane.everyone():
                if not waiting.aside:
                    due = waiting.job.deadline
                    waiting.mark = self._demand.add(due, waiting.work_ms, waiting.job.arrived)


def _one(entry: tuple[tuple[float, int], str] | None) -> list[tuple[tuple[float, int], str]]:
    return [] if entry is None else [entry]

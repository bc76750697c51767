"""Weir's own order: robust earliest deadline first, with an eye on what is to come. Pure."""

import math
from collections.abc import Iterator

from workers.scheduling.boards import Board
from workers.scheduling.demand import Demand
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Order, Pick
from workers.scheduling.orders.lookahead import Harm, Lookahead
from workers.scheduling.orders.standings import Standing, worth
from workers.scheduling.waiting import Rank, Waiting

URGENT = "earliest deadline of all that can be held"
SPARED = "it was passed over, and there is time for it now"
_HORIZON = 1.25
_LOOKED_AT = 8
_ROOM = 2.0
"""What was set aside goes first when there is so many times the time that it takes."""
_TINY_MS = 1e-6
_Due = tuple[tuple[float, int], str]
_Aside = tuple[tuple[float, float, int], str]
_Candidate = tuple[Lane, Waiting, str]


class Weir(Order):
    """Earliest deadline first among the jobs whose deadlines can be held together.

    When they cannot all be held, jobs worth least per ms of predicted work are set aside until
    they can (robust EDF, Buttazzo and Stankovic 1993, with value densities); they are
    done when there is time to spare. A job that would keep the accelerator past the latest start
    of arrivals that are expected, and worth more than it, is not begun: another is, or none.
    """

    name = "weir"

    def __init__(self) -> None:
        self._standings: dict[str, Standing] = {}
        self._demand = Demand(1.0, 0.0)
        self._due: Board[tuple[float, int]] = Board()
        self._aside: Board[tuple[float, float, int]] = Board()
        self._cheap: Board[tuple[float, str]] = Board()
        self._lookahead = Lookahead()

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return the deadline."""
        return waiting.job.deadline

    def served(self, lane: Lane, /) -> None:
        """Take note of a service; a larger budget than any before widens the horizon."""
        self._standings.setdefault(lane.name, Standing(lane))
        horizon = _HORIZON * lane.terms.budget_ms
        if horizon > self._demand.horizon_ms and math.isfinite(horizon):
            self._widen(horizon)

    def left(self, lane: Lane, /) -> None:
        """Take note that a service is gone."""
        self._standings.pop(lane.name, None)
        self._lookahead.forget(lane.name)
        for board in (self._due, self._aside, self._cheap):
            board.drop(lane.name)

    def arrived(self, lane: Lane, /) -> None:
        """Expect the next arrival."""
        self._lookahead.note(lane)

    def added(self, lane: Lane, waiting: Waiting, now: float, /) -> None:
        """Count a job's work in; set aside what is worth least when not all can be held."""
        waiting.mark = self._demand.add(waiting.job.deadline, waiting.work_ms, now)
        self._standings[lane.name].add(waiting)
        if self._demand.spare(now) < -_TINY_MS:
            self.changed(lane)
            self._settle(now)

    def removed(self, waiting: Waiting, /) -> None:
        """Count a job's work out."""
        if not waiting.aside:
            self._demand.remove(waiting.mark, waiting.work_ms)

    def changed(self, lane: Lane, /) -> None:
        """Give a service its places: by deadline, by worth, and of what was set aside."""
        name, standing = lane.name, self._standings[lane.name]
        ready, aside = lane.ready(), lane.aside()
        cheapest = standing.find_cheapest(ready)
        if ready is not standing.ready:
            standing.ready = ready
            if ready is None:
                self._due.drop(name)
            else:
                self._due.set(name, (ready.rank, ready.seq))
        if cheapest is not standing.cheapest:
            standing.cheapest = cheapest
            if cheapest is None:
                self._cheap.drop(name)
            else:
                self._cheap.set(name, (worth(cheapest), name))
        if aside is not standing.aside:
            standing.aside = aside
            if aside is None:
                self._aside.drop(name)
            else:
                self._aside.set(name, (-worth(aside), aside.rank, aside.seq))

    def executed(self, lane: Lane, /) -> None:
        """Take note that predictions may be others."""
        self._lookahead.note(lane)

    def pick(self, now: float, /) -> Pick | None:
        """Return the most urgent job that harms nobody worth more, else what is waited for."""
        spare = self._settle(now)
        due, aside = self._due.first(), self._aside.first()
        price = 0.0 if aside is None else -aside[0][0]
        best = self._best(due, aside, spare)
        if best is None:
            return None
        lane, first, why = best
        harm = self._lookahead.harm(lane, now, price)
        if harm is None or harm.value <= _cost_of_waiting(first, harm, spare, now, price):
            by = self._lookahead.by(lane, now, price)
            return Pick(lane, first, why, by, max(0.0, spare), sheds=True)
        return self._instead(first, harm, spare, now, price)

    def _best(self, due: _Due | None, aside: _Aside | None, spare: float) -> _Candidate | None:
        """Return the most urgent of those that can be held, else the dearest of those set aside.

        What was set aside goes first when it is due before all others and they can wait for it.
        """
        passed = None if aside is None else self._standings[aside[1]].aside
        if aside is not None and passed is not None:
            room = _ROOM * passed.work_ms <= spare
            if due is None or (room and passed.rank < due[0][0]):
                return self._standings[aside[1]].lane, passed, SPARED
        if due is None:
            return None
        standing = self._standings[due[1]]
        return None if standing.ready is None else (standing.lane, standing.ready, URGENT)

    def _instead(self, best: Waiting, harm: Harm, spare: float, now: float, price: float) -> Pick:
        """Return another job that harms nobody worth more, else what is waited for."""
        for lane, first, why in self._others():
            if first is best:
                continue
            found = self._lookahead.harm(lane, now, price)
            if found is None or found.value <= _cost_of_waiting(first, found, spare, now, price):
                by = self._lookahead.by(lane, now, price)
                return Pick(lane, first, why, by, max(0.0, spare), sheds=True)
            harm = found if found.until < harm.until else harm
        why = (
            f"waits for {harm.service}, expected until {harm.until:.1f}: work worth "
            f"{harm.value:.2f} would be late behind what waits now"
        )
        return Pick(None, None, why, until=harm.until)

    def _others(self) -> Iterator[_Candidate]:
        """Yield a few of those that can be held, most urgent first, then of those set aside."""
        for _, name in self._due.some(_LOOKED_AT):
            standing = self._standings[name]
            if standing.ready is not None:
                yield standing.lane, standing.ready, URGENT
        for _, name in self._aside.some(_LOOKED_AT):
            standing = self._standings[name]
            if standing.aside is not None:
                yield standing.lane, standing.aside, SPARED

    def _settle(self, now: float) -> float:
        """Set jobs aside until the deadlines of all others can be held; returns time to spare."""
        spare = self._demand.spare(now)
        while spare < -_TINY_MS:
            victim = self._least_worthy(self._demand.overrun(now))
            if victim is None:
                return spare
            standing, waiting = victim
            self._demand.remove(waiting.mark, waiting.work_ms)
            standing.lane.set_aside(waiting, -spare)
            self.changed(standing.lane)
            spare = self._demand.spare(now)
        return spare

    def _least_worthy(self, deadline: float) -> tuple[Standing, Waiting] | None:
        """Return the job worth least per ms of those that are due by a time."""
        for _, name in self._cheap.some(_LOOKED_AT):
            standing = self._standings[name]
            for waiting in (standing.cheapest, standing.ready):
                if waiting is not None and waiting.job.deadline <= deadline:
                    return standing, waiting
        first = self._due.first()
        if first is None:
            return None
        standing = self._standings[first[1]]
        return None if standing.ready is None else (standing, standing.ready)

    def _widen(self, horizon: float) -> None:
        self._demand = Demand(horizon, 0.0)
        for standing in self._standings.values():
            for waiting in standing.lane.everyone():
                if not waiting.aside:
                    due, came = waiting.job.deadline, waiting.job.arrived
                    waiting.mark = self._demand.add(due, waiting.work_ms, came)


def _cost_of_waiting(first: Waiting, harm: Harm, spare: float, now: float, price: float) -> float:
    """Return what is lost when a job waits for who would be harmed.

    Time that the others cannot spare, at a `price` per ms, and the job itself when it is late then.
    """
    idle = harm.until - now
    lost = idle * price if first.aside else max(0.0, idle - max(0.0, spare)) * price
    if harm.until + harm.takes_ms + first.work_ms > first.job.deadline:
        lost += max(0.0, first.job.value - price * first.work_ms)
    return lost

"""Weir's own order: robust earliest deadline first, with an eye on what is to come. Pure."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from workers.scheduling.boards import Board
from workers.scheduling.demand import Demand
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Order, Pick
from workers.scheduling.orders.crowding import Crowding, overflow
from workers.scheduling.orders.fluid import Fluid
from workers.scheduling.orders.lookahead import Harm, Lookahead
from workers.scheduling.orders.standings import Standing, worth
from workers.scheduling.waiting import Rank, Waiting

URGENT = "earliest deadline of all that can be held"
CROWDED = "its queue would overflow before it could be next"
SPARED = "it was passed over, and there is time for it now"
_HORIZON = 1.25
_LOOKED_AT = 8
_ROOM = 2.0
"""What was set aside goes first when there is so many times the time that it takes."""
_TINY_MS = 1e-6
_Due = tuple[tuple[float, int], str]
_Aside = tuple[tuple[float, float, int], str]
_Candidate = tuple[Lane, Waiting, str]


class _Moment(NamedTuple):
    """When it is asked, how long all that can be held can wait, what a ms is worth otherwise."""

    now: float
    spare: float
    price: float


class Weir(Order):
    """Earliest deadline first among the jobs whose deadlines can be held together.

    When they cannot all be held, jobs worth least per ms of predicted work are set aside until
    they can (robust EDF, Buttazzo and Stankovic 1993, with value densities); they are
    done when there is time to spare. Services of which nothing fits, at the rates at which work
    comes, are set aside for all others. A job that would keep the accelerator past the latest start
    of arrivals that are expected, and worth more than it, is not begun: another is, or none.
    """

    name = "weir"
    weighs = True

    def __init__(self) -> None:
        self._standings: dict[str, Standing] = {}
        self._demand = Demand(1.0, 0.0)
        self._due: Board[tuple[float, int]] = Board()
        self._aside: Board[tuple[float, float, int]] = Board()
        self._cheap: Board[tuple[float, str]] = Board()
        self._lookahead = Lookahead()
        self._crowding = Crowding()
        self._fluid = Fluid()
        self._now = 0.0

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return when it is due."""
        return waiting.due

    def served(self, lane: Lane, /) -> None:
        """Take note of a service; a larger budget than any before widens the horizon."""
        self._standings.setdefault(lane.name, Standing(lane)).moves = 0
        horizon = _HORIZON * lane.terms.budget_ms
        if horizon > self._demand.horizon_ms and math.isfinite(horizon):
            self._widen(horizon)

    def left(self, lane: Lane, /) -> None:
        """Take note that a service is gone."""
        self._standings.pop(lane.name, None)
        self._lookahead.forget(lane.name)
        self._crowding.forget(lane.name)
        for board in (self._due, self._aside, self._cheap):
            board.drop(lane.name)

    def arrived(self, lane: Lane, /) -> None:
        """Expect the next arrival."""
        self._lookahead.note(lane)
        self._crowding.arrived(lane)
        if self._fluid.stale(len(self._standings)):
            lanes = [standing.lane for standing in self._standings.values()]
            self._fluid.ask(lanes, lane.rhythm.last)

    def added(self, lane: Lane, waiting: Waiting, now: float, /) -> None:
        """Count a job's work in; set aside what is worth least when not all can be held."""
        self._now = now
        self._standings[lane.name].add(waiting)
        if lane.name in self._fluid.cheap and worth(waiting) < self._fluid.price:
            lane.set_aside(waiting, max(0.0, -self._demand.spare(now)))
            return
        waiting.mark = self._demand.add(waiting.due, waiting.work_ms, now)
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
        if name in self._crowding.names:
            self._crowding.changed(lane, self._now)
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
        standing, moves = self._standings[lane.name], lane.profile.moves
        if standing.moves != moves:
            standing.moves = moves
            self._lookahead.note(lane)

    def pick(self, now: float, /) -> Pick | None:
        """Return the most urgent job that harms nobody worth more, else what is waited for."""
        self._now = now
        spare = self._demand.spare(now)
        if spare < -_TINY_MS:
            spare = self._settle(now)
        aside = self._aside.first()
        best = self._best(self._due.first(), aside, spare)
        if best is None:
            return None
        lane, first, why = best
        most = lane.terms.max_batch
        profile = lane.profile
        ends = now + (profile.careful_ms if most == 1 else profile.careful(min(most, lane.count)))
        if (
            (first.aside or (ends <= first.due and lane.name not in self._fluid.cheap))
            and self._lookahead.clear(ends)
            and (not self._crowding.names or self._crowding.first(ends) is None)
        ):
            return Pick(lane, first, why, math.inf, max(0.0, spare), sheds=True)
        return self._weighed(best, aside, now, spare)

    def _weighed(
        self, best: _Candidate | None, aside: _Aside | None, now: float, spare: float
    ) -> Pick | None:
        """Return what to begin where something may speak against the most urgent job."""
        chosen = self._chosen(best, aside, now, spare)
        if chosen is None:
            return None
        best, moment = chosen
        best = self._crowded(best, moment) or best
        harm = self._against(best, moment)
        return self._begin(best, moment) if harm is None else self._instead(best, harm, moment)

    def _chosen(
        self, best: _Candidate | None, aside: _Aside | None, now: float, spare: float
    ) -> tuple[_Candidate, _Moment] | None:
        """Return who is next; who is cheap or may well be late is set aside for who is dearer."""
        while best is not None:
            lane, first, _ = best
            price = self._price(aside, now)
            moment = _Moment(now, max(0.0, spare), price)
            if first.aside:
                return best, moment
            late_ms = lane.profile.careful_ms - (first.due - now)
            cheap = lane.name in self._fluid.cheap and worth(first) < price
            if not cheap and (late_ms <= 0.0 or _density(best, now) >= price):
                return best, moment
            self._demand.remove(first.mark, first.work_ms)
            lane.set_aside(first, max(0.0, late_ms))
            self.changed(lane)
            spare, aside = self._demand.spare(now), self._aside.first()
            best = self._best(self._due.first(), aside, spare)
        return None

    def _price(self, aside: _Aside | None, now: float) -> float:
        """Return what a ms is worth otherwise.

        By the rates of all that comes, or to the dearest job that was set aside, if it can be in
        time.
        """
        price = self._fluid.price
        if aside is None or -aside[0][0] <= price:
            return price
        standing = self._standings[aside[1]]
        passed = standing.aside
        if passed is None:
            return price
        density = -aside[0][0] * standing.lane.profile.chance(passed.due - now)
        return density if density > price else price  # noqa: FURB136  # a call doubles its cost

    def _begin(self, best: _Candidate, moment: _Moment) -> Pick:
        lane, first, why = best
        by = self._lookahead.by(lane, moment.now, moment.price)
        return Pick(lane, first, why, by, moment.spare, sheds=True)

    def _crowded(self, best: _Candidate, moment: _Moment) -> _Candidate | None:
        """Return a job whose queue overflows meanwhile, if that loses more than to do it first."""
        lane, first, _ = best
        now, spare, price = moment
        takes = lane.profile.typical_ms
        name = self._crowding.first(now + takes)
        if name is None or name == lane.name:
            return None
        other = self._standings[name].lane
        head = other.head()
        if head is None:
            return None
        lost = overflow(other, takes, price) * other.profile.chance(head.due - now)
        if lost <= 0.0:
            return None
        needs = other.profile.typical(min(other.terms.max_batch, other.count))
        cost = overflow(lane, needs, price)
        if now + needs + first.work_ms > first.due:
            cost += _gain(best, moment)
        else:
            cost += max(0.0, needs - spare) * price
        return (other, head, CROWDED) if lost > cost else None

    def _against(self, best: _Candidate, moment: _Moment) -> Harm | None:
        """Return what speaks against beginning a job now; None for nothing.

        It had better wait where a later begin harms less, by more than the wait costs, and where
        it is worth less than what it harms. What is lost to the wait is the time that nobody has
        to spare, and the job itself when it is late then.
        """
        lane, first, _ = best
        now, spare, price = moment
        harm = self._lookahead.harm(lane, now, price)
        if harm is None:
            return None
        idle = harm.until - now
        cost = (idle if first.aside else max(0.0, idle - spare)) * price
        if harm.value <= cost:
            return None
        gain, after = _gain(best, moment), harm.until + harm.takes_ms
        if after + first.work_ms > first.due:
            return None if harm.value <= cost + gain else harm
        if gain <= harm.value:
            return harm
        spared = harm.value - self._lookahead.later(lane, after, price)
        return None if spared <= cost else harm

    def _best(self, due: _Due | None, aside: _Aside | None, spare: float) -> _Candidate | None:
        """Return the most urgent of those that can be held, else the dearest of those set aside.

        What was set aside goes first when it is due before all others and they can wait for it.
        """
        passed = None if aside is None else self._standings[aside[1]].aside
        if aside is not None and passed is not None:
            room = _ROOM * passed.work_ms <= spare and aside[1] not in self._fluid.cheap
            if due is None or (room and passed.rank < due[0][0]):
                return self._standings[aside[1]].lane, passed, SPARED
        if due is None:
            return None
        standing = self._standings[due[1]]
        return None if standing.ready is None else (standing.lane, standing.ready, URGENT)

    def _instead(self, best: _Candidate, harm: Harm, moment: _Moment) -> Pick:
        """Return another job that harms nobody worth more, else what is waited for."""
        for other in self._others():
            if other[1] is best[1]:
                continue
            found = self._against(other, moment)
            if found is None:
                return self._begin(other, moment)
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
                if waiting is not None and waiting.due <= deadline:
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
                    due, came = waiting.due, waiting.job.arrived
                    waiting.mark = self._demand.add(due, waiting.work_ms, came)


def _density(candidate: _Candidate, now: float) -> float:
    """Return what a job is worth per ms, as likely as it is in time when it begins now."""
    lane, waiting, _ = candidate
    return worth(waiting) * lane.profile.chance(waiting.due - now)


def _gain(candidate: _Candidate, moment: _Moment) -> float:
    """Return what a job that begins now is worth beyond its time, as likely as it is in time."""
    lane, waiting, _ = candidate
    chance = lane.profile.chance(waiting.due - moment.now)
    return max(0.0, waiting.job.value * chance - moment.price * waiting.work_ms)

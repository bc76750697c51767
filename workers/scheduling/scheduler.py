"""What one accelerator does next: queues, bounds, expiry, admission, order and batches. Pure.

Time is an argument and never goes back; what it calls `now` is what the job's times are on.
"""

import math
from dataclasses import dataclass, field

from workers.scheduling import causes
from workers.scheduling.admission import begun, refusal
from workers.scheduling.alarms import Alarms
from workers.scheduling.batches import form
from workers.scheduling.boards import Board
from workers.scheduling.endings import drained, hopeless, over
from workers.scheduling.jobs import Batch, Decision, Ended, Job
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Order, Pick, wake_at
from workers.scheduling.pressure import Pressure, PressureParams, Readings, Sparing, pressure
from workers.scheduling.profiles import Profiles
from workers.scheduling.terms import Terms
from workers.scheduling.waiting import Waiting

STARVES = "it was not served for its longest gap"
IDLE = "nothing waits"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerParams:
    """Bounds of the whole worker, and how strict it is.

    Without `expire` what is late is executed all the same; without `admit` nobody is refused
    for a predicted end after the deadline. `guard` serves who starves before the order's choice.
    `pressure` says from where to where readings of the machine count; without `spare` they are
    told, and nobody is refused for them.

    Raises ValueError for bounds that let nothing in.
    """

    queue_tasks: int = 100_000
    queue_ms: float = math.inf
    expire: bool = True
    admit: bool = True
    guard: bool = True
    spare: bool = True
    pressure: PressureParams = field(default_factory=PressureParams)

    def __post_init__(self) -> None:
        if self.queue_tasks < 1 or not self.queue_ms > 0.0:
            raise ValueError(
                f"queue_tasks {self.queue_tasks} must be at least 1 and queue_ms {self.queue_ms} "
                "above 0"
            )


class Scheduler:
    """Takes jobs, and says which to execute; every job is executed or ends, once."""

    def __init__(self, params: SchedulerParams, order: Order, profiles: Profiles) -> None:
        self._params = params
        self._order = order
        self._profiles = profiles
        self._lanes: dict[str, Lane] = {}
        self._alarms = Alarms(self._lanes)
        self._worth: Board[tuple[int, float, str]] = Board()
        self._arrivals = 0
        self._count = 0
        self._work_ms = 0.0
        self._free_at = -math.inf
        self._sparing = Sparing()
        self._begun: tuple[Lane, list[Waiting]] | None = None
        self._gives_up = type(order).give_up is not Order.give_up

    def serve(self, terms: Terms, *, loaded: bool = True) -> None:
        """Take jobs for a service from now on; what waits under former terms stays.

        Unless its model was `loaded` for it, its next execution is no colder than others.
        """
        self.settle()
        profile = self._profiles.of(terms, loaded=loaded)
        lane = self._lanes.get(terms.name)
        if lane is None:
            lane = self._lanes[terms.name] = Lane(terms, profile)
        else:
            lane.change(terms, profile)
        self._order.served(lane)

    def leave(self, service: str) -> None:
        """Take no more jobs for a service; what waits is still done."""
        self.settle()
        lane = self._lanes.get(service)
        if lane is not None:
            lane.leaving = True
            self._part(lane)

    def queued(self, service: str) -> tuple[int, float]:
        """Return how many jobs wait for a service, and their predicted work in ms."""
        lane = self._lanes.get(service)
        return (0, 0.0) if lane is None else (lane.count, lane.work_ms)

    @property
    def waiting(self) -> int:
        """Return how many jobs wait in all."""
        return self._count

    def pressure(self, told: Readings, now: float) -> Pressure:
        """Take readings of the machine, about once a second; returns what is the matter.

        With heat or memory short, jobs worth least are refused until the next readings, so that
        a part of the time stays free.
        """
        bounds = self._params
        fill = max(self._count / bounds.queue_tasks, self._work_ms / bounds.queue_ms)
        found = pressure(bounds.pressure, told, fill, self._sparing.misses)
        if bounds.spare:
            self._sparing.told(found, self._lanes.values(), now)
        return found

    def offer(self, job: Job, now: float) -> list[Ended]:
        """Take a job, and return those that end by it: itself perhaps, or others that make room."""
        self.settle()
        lane = self._lanes.get(job.service)
        if lane is None or lane.leaving:
            return [Ended(job, causes.UNSERVED, ())]
        if not lane.rhythm.seen:
            lane.served_at = now
        lane.rhythm.saw(job.arrived)
        lane.value, lane.priority = job.value, job.priority
        self._order.arrived(lane)
        work_ms = lane.expected_ms()
        refused = self._refusal(job, lane, work_ms, now)
        if refused is not None:
            self._tell([refused])
            return [refused]
        self._arrivals += 1
        waiting = Waiting(job, self._arrivals, work_ms, lane.terms.max_age_ms)
        waiting.rank = self._order.rank(waiting)
        ended: list[Ended] = []
        if self._make_room(lane, waiting, ended):
            self._let_in(lane, waiting, now)
            self._mind_worker(ended)
        self._order.changed(lane)
        if ended:
            self._tell(ended)
        return ended

    def decide(self, now: float) -> Decision:
        """Return what has ended and what to execute; call it while nothing is executed.

        Raises ValueError when an order of others waits without a reason or an end.
        """
        if self._begun is not None:
            self.settle()
        ended: list[Ended] = []
        self._free_at = now
        if self._alarms.end_at <= now:
            self._expire(now, ended)
        pick = self._picked(now, ended)
        if ended:
            self._tell(ended)
        if pick is None:
            return Decision(ended, None, None, IDLE)
        if pick.lane is None:
            return Decision(ended, None, wake_at(pick, self._order, now), pick.why)
        return Decision(ended, self._start(pick.lane, pick, now), None, pick.why)

    def settle(self) -> None:
        """Tell the order what the latest decision took away; until then it is not asked.

        All that is told or asked does so first. Who executes elsewhere may call it meanwhile.
        """
        if self._begun is not None:
            (lane, members), self._begun = self._begun, None
            for waiting in members:
                self._order.removed(waiting)
            self._order.changed(lane)

    def executed(self, batch: Batch, took_ms: float, now: float) -> None:
        """Take note that a batch was executed, and how long that took."""
        self.settle()
        self._free_at = now
        lane = self._lanes.get(batch.service)
        if lane is None:
            return
        size = len(batch.jobs)
        lane.served_at, lane.usual, lane.hungry_since = now, size, now
        if lane.profile.learn(size, took_ms):
            self._order.changed(lane)
        self._order.executed(lane)
        for job in batch.jobs:
            in_time = now <= job.deadline
            self._sparing.latest.append(in_time)
            self._order.outcome(lane.name, took_ms / size, in_time=in_time)
        self._part(lane)

    def warmed(self, service: str, took_ms: float) -> None:
        """Take note of a trial execution of one job."""
        lane = self._lanes.get(service)
        if lane is not None:
            lane.profile.learn(1, took_ms)

    def drain(self, now: float, reason: str) -> list[Ended]:
        """End everything that waits as dropped, in order of arrival."""
        self.settle()
        left = [(lane, one) for lane in self._lanes.values() for one in lane.everyone()]
        left.sort(key=lambda pair: pair[1].seq)
        ended = []
        for lane, waiting in left:
            ended.append(drained(waiting, now, reason))
            self._go(lane, waiting)
        for lane in list(self._lanes.values()):
            self._order.changed(lane)
            self._part(lane)
        return ended

    def _refusal(self, job: Job, lane: Lane, work_ms: float, now: float) -> Ended | None:
        """Return the end of a job that is refused.

        One that may be late is tried where the order weighs that, and where no others wait: time
        would be idle else.
        """
        if self._sparing.refuses(lane.name, work_ms):
            return Ended(job, causes.SPARED, self._sparing.facts)
        if not self._params.admit:
            return None
        tried, free_at = self._order.weighs or not self._count, self._free_at
        return refusal(job, lane, now, free_at - now if free_at > now else 0.0, tried=tried)

    def _make_room(self, lane: Lane, waiting: Waiting, ended: list[Ended]) -> bool:
        """End whom the drop policy names until the bounds hold; False when it is the new one."""
        terms, job = lane.terms, waiting.job
        older = lane.same_key(job.key) if job.key else None
        if older is not None:
            waited = job.arrived - older.job.arrived
            ended.append(Ended(older.job, causes.REPLACED, (waited,)))
            self._go(lane, older)
        if job.key and terms.drop == "replace-by-key":
            lane.rhythm.renewed(job.key, job.arrived, replaced=older is not None)
        while lane.count >= terms.queue_tasks or (
            lane.count and lane.work_ms + waiting.work_ms > terms.queue_ms
        ):
            victim = lane.victim(waiting)
            facts = (lane.count, lane.work_ms, terms.queue_tasks, terms.queue_ms)
            ended.append(Ended(victim.job, causes.FULL[terms.drop], facts))
            if victim is waiting:
                return False
            self._go(lane, victim)
        return True

    def _mind_worker(self, ended: list[Ended]) -> None:
        """End jobs of the service that is worth least until the worker's bounds hold."""
        params = self._params
        while self._count > params.queue_tasks or (
            self._work_ms > params.queue_ms and self._count > 1
        ):
            first = self._worth.first()
            if first is None:
                return
            lane = self._lanes[first[1]]
            victim = lane.expendable()
            facts = (self._count, self._work_ms, params.queue_tasks, params.queue_ms)
            ended.append(Ended(victim.job, causes.WORKER_FULL, facts))
            self._go(lane, victim)
            self._order.changed(lane)

    def _let_in(self, lane: Lane, waiting: Waiting, now: float) -> None:
        job = waiting.job
        if not lane.count:
            self._alarms.hungry(lane, now)
        ends = job.arrived + lane.terms.max_age_ms
        if self._params.expire and job.deadline < ends:
            ends = job.deadline
        first = lane.first_end()
        lane.add(waiting, ends)
        if first is None or ends < first:
            self._alarms.ends(lane, ends)
        self._count += 1
        self._work_ms += waiting.work_ms
        worth = job.value / max(waiting.work_ms, 1e-9)
        self._worth.set(lane.name, (job.priority, worth, lane.name))
        self._order.added(lane, waiting, max(now, self._free_at))

    def _go(self, lane: Lane, waiting: Waiting) -> None:
        """Let a job wait no longer; the order is told of the lane's new head by the caller."""
        self._take(lane, waiting)
        self._order.removed(waiting)

    def _take(self, lane: Lane, waiting: Waiting) -> None:
        lane.remove(waiting)
        self._count -= 1
        self._work_ms = self._work_ms - waiting.work_ms if self._count else 0.0
        if not lane.count:
            self._worth.drop(lane.name)

    def _expire(self, now: float, ended: list[Ended]) -> None:
        """End who may wait no longer."""
        while (lane := self._alarms.ending(now)) is not None:
            while (waiting := lane.ending(now)) is not None:
                ended.append(over(lane, waiting, now, by_deadline=self._params.expire))
                self._go(lane, waiting)
                self._order.changed(lane)
            self._alarms.ended(lane)

    def _starving(self, now: float) -> Pick | None:
        """Return the next job of who was not served for too long."""
        lane = self._alarms.starving(now)
        return None if lane is None else Pick(lane, lane.head(), STARVES)

    def _picked(self, now: float, ended: list[Ended]) -> Pick | None:
        """Return what to begin, or what is waited for; ends what is in the way of it."""
        given = self._order.give_up(now) if self._gives_up else None
        if given is not None:
            ended.append(Ended(given.waiting.job, causes.SHED, given.facts))
            self._go(given.lane, given.waiting)
            self._order.changed(given.lane)
        guarded = self._params.guard
        while True:
            late = guarded and self._alarms.gap_at <= now
            pick = (self._starving(now) if late else None) or self._order.pick(now)
            if pick is None or pick.lane is None or pick.first is None:
                return pick
            lane, first = pick.lane, pick.first
            if lane.profile.careful_ms <= first.job.deadline - now or not self._params.expire:
                return pick
            if begun(first.job, lane, now, tried=self._order.weighs or self._count == 1):
                return pick
            ended.append(hopeless(first, first.job.deadline - now, lane.profile.careful_ms))
            self._go(lane, first)
            self._order.changed(lane)

    def _tell(self, ended: list[Ended]) -> None:
        """Tell the order what ended, and part with services that are done with."""
        for entry in ended:
            if entry.cause is not causes.SPARED:
                self._sparing.latest.append(False)
            self._order.outcome(entry.job.service, 0.0, in_time=False)
            lane = self._lanes.get(entry.job.service)
            if lane is not None:
                self._part(lane)

    def _start(self, lane: Lane, pick: Pick, now: float) -> Batch:
        members = form(lane, pick, now)
        for waiting in members:
            self._take(lane, waiting)
        self._begun = (lane, members)
        if len(members) == 1:
            batch = Batch(lane.name, (members[0].job,), lane.profile.typical_ms)
        else:
            jobs = tuple([waiting.job for waiting in members])
            batch = Batch(lane.name, jobs, lane.profile.typical(len(members)))
        self._free_at = now + batch.predicted_ms
        return batch

    def _part(self, lane: Lane) -> None:
        """Forget a service that takes no more jobs, once nothing of it waits."""
        if lane.leaving and not lane.count:
            self._lanes.pop(lane.name, None)
            self._alarms.forget(lane.name)
            self._sparing.forget(lane.name)
            self._order.left(lane)

"""A worker by event: the live scheduler, with frames and executions of a scenario. Pure.

Time jumps from event to event. At one instant an execution ends first, then frames arrive, then
the scheduler decides; it is asked while nothing is executed, as by the live worker.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from workers.accounting.tally import LEFT
from workers.scheduling.jobs import Batch, Ended, Job
from workers.scheduling.orders import names
from workers.scheduling.orders.base import Order
from workers.scheduling.pressure import Readings
from workers.scheduling.profiles import Profiles
from workers.scheduling.scheduler import Scheduler, SchedulerParams
from workers.scheduling.terms import Terms
from workers.simulation.errors import ScenarioRefused
from workers.simulation.frames import Frame, arriving
from workers.simulation.report import Report
from workers.simulation.scenario import Scenario, Service
from workers.simulation.thermal import Body

PLAIN = "plain-fifo"
"""What there is without a scheduler: unbounded queues, first come first served, late or not."""
_UNBOUNDED = 1_000_000_000
Orders = Mapping[str, Callable[[], Order]]


def simulate(scenario: Scenario, order: str = "", others: Orders | None = None) -> Report:
    """Run a scenario to its end under an order, that of the scenario by default.

    `others` are the orders of plug-ins. Raises ScenarioRefused for an order that is not known.
    """
    name = order or scenario.order
    try:
        made = names.order("fifo" if name == PLAIN else name, others)
    except ValueError as error:
        raise ScenarioRefused(f"{scenario.name}: {error}, {PLAIN}") from error
    plain = name == PLAIN
    scheduler = Scheduler(_params(scenario, plain=plain), made, Profiles())
    for service in scenario.services:
        scheduler.serve(_terms(service, plain=plain))
    report = Report(scenario, name)
    _Run(scenario, scheduler, report).to_the_end()
    return report


class _Run:
    """One run; `now` is where it has come to."""

    def __init__(self, scenario: Scenario, scheduler: Scheduler, report: Report) -> None:
        self._scenario = scenario
        self._scheduler = scheduler
        self._report = report
        self._frames: Iterator[Frame] = arriving(scenario)
        self._next = next(self._frames, None)
        self._warm: set[str] = set()
        self._now = 0.0
        self._body = None if scenario.thermal is None else Body(scenario.thermal)
        self._told_at = 0.0

    def to_the_end(self) -> None:
        """Go from event to event until no frame comes and none waits."""
        while True:
            self._offer()
            decision = self._scheduler.decide(self._now)
            self._report.went(decision.ended, self._now)
            self._report.decided(decision)
            if decision.batch is not None:
                self._execute(decision.batch)
            elif not self._rest(decision.wake_at):
                break
        left = self._scheduler.drain(self._now, LEFT.sentence)
        self._report.went([Ended(one.job, LEFT, ()) for one in left], self._now)
        self._report.close(self._now)

    def _rest(self, wake_at: float | None) -> bool:
        """Go on to the next event; False when there is none."""
        comes = math.inf if self._next is None else self._next.arrived
        awake = math.inf if wake_at is None or not self._scheduler.waiting else wake_at
        then = min(comes, awake)
        if then == math.inf:
            return False
        self._heat(then, busy=False)
        self._now = then
        return True

    def _execute(self, batch: Batch) -> None:
        began = self._now
        self._report.begins(batch, began)
        ends = began + self._takes(batch)
        while self._next is not None and self._next.arrived < ends:
            self._now = self._next.arrived
            self._offer()
        self._now = ends
        self._heat(ends, busy=True)
        self._scheduler.executed(batch, ends - began, ends)
        self._report.executed(batch, began, ends)

    def _offer(self) -> None:
        """Hand over the frames that have come by now."""
        while self._next is not None and self._next.arrived <= self._now:
            job = _job(self._next)
            self._report.came(job, self._now)
            self._report.went(self._scheduler.offer(job, self._now), self._now)
            self._next = next(self._frames, None)

    def _heat(self, now: float, *, busy: bool) -> None:
        """Let the device heat up or cool until now, and tell the worker of it when it is time."""
        if self._body is None:
            return
        self._body.after(now, busy=busy)
        every = self._body.thermal.told_ms
        if every and now >= self._told_at + every:
            self._told_at = now
            self._scheduler.pressure(Readings(temperature_c=self._body.at_c), now)

    def _takes(self, batch: Batch) -> float:
        """Return how long an execution takes, ms."""
        frames = [frame for job in batch.jobs if isinstance(frame := job.load, Frame)]
        service = frames[0].service
        if service.name not in self._warm:
            self._warm.add(service.name)
            if service.cold_ms is not None:
                return service.cold_ms
        items = sum(frame.item_ms for frame in frames)
        body = self._body
        hot = 1.0 if body is None else body.thermal.factor(body.at_c)
        return hot * self._scenario.factor(self._now) * (service.service_time.fixed_ms + items)


def _job(frame: Frame) -> Job:
    service = frame.service
    return Job(
        id=f"{service.name}-{frame.place}",
        service=service.name,
        arrived=frame.arrived,
        deadline=frame.deadline,
        priority=service.priority,
        value=service.value,
        group=frame.place % service.batch.groups,
        key=str(frame.place % service.keys),
        load=frame,
    )


def _params(scenario: Scenario, *, plain: bool) -> SchedulerParams:
    own = scenario.worker
    if plain:
        return SchedulerParams(queue_tasks=_UNBOUNDED, expire=False, admit=False, guard=False)
    return SchedulerParams(
        queue_tasks=own.queue_tasks,
        queue_ms=_or_endless(own.queue_ms),
        expire=own.expire,
        admit=own.admit,
        guard=own.guard,
    )


def _terms(service: Service, *, plain: bool) -> Terms:
    queue, batch = service.queue, service.batch
    terms = Terms(
        name=service.name,
        budget_ms=service.budget_ms,
        prior_ms=service.prior_ms,
        prior_batches=service.prior_batches,
        cold_ms=service.cold_ms,
        period_ms=service.period_ms,
        queue_tasks=_UNBOUNDED if plain else queue.tasks,
        queue_ms=math.inf if plain else _or_endless(queue.work_ms),
        drop="oldest" if plain else queue.drop,
        max_age_ms=math.inf if plain else _or_endless(queue.max_age_ms),
        max_batch=batch.max,
        preferred=tuple(batch.preferred),
    )
    return terms if service.max_gap_ms is None else replace(terms, max_gap_ms=service.max_gap_ms)


def _or_endless(bound: float | None) -> float:
    return math.inf if bound is None else bound

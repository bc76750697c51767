"""An accelerator that executes what a scheduler says, and writes down what happened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from workers.scheduling.jobs import Batch, Ended, Job
from workers.scheduling.orders.base import Order
from workers.scheduling.orders.names import order
from workers.scheduling.profiles import Profiles
from workers.scheduling.scheduler import Scheduler, SchedulerParams
from workers.scheduling.terms import Terms

Took = Callable[[Batch, float], float]


def job(number: int = 0, service: str = "a", **fields: object) -> Job:
    known = {"id": f"j{number}", "service": service, "arrived": 0.0, "deadline": 100.0}
    return Job(**known | fields)  # type: ignore[arg-type]  # fields are named by each test


def terms(name: str = "a", **fields: object) -> Terms:
    known = {"name": name, "budget_ms": 100.0, "prior_ms": 10.0}
    return Terms(**known | fields)  # type: ignore[arg-type]  # fields are named by each test


def scheduler(
    *served: Terms, by: str | Order = "weir", params: SchedulerParams | None = None
) -> Scheduler:
    chosen = order(by) if isinstance(by, str) else by
    made = Scheduler(params or SchedulerParams(), chosen, Profiles())
    for entry in served:
        made.serve(entry)
    return made


@dataclass
class Run:
    """Batches with their start and end, and jobs that ended otherwise; waits with their reason."""

    batches: list[tuple[float, float, Batch]] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    waits: list[tuple[float, float, str]] = field(default_factory=list)

    def done(self, service: str | None = None) -> list[str]:
        return [
            job.id
            for _, _, batch in self.batches
            for job in batch.jobs
            if service in (None, batch.service)
        ]

    def in_time(self) -> set[str]:
        return {
            job.id for _, end, batch in self.batches for job in batch.jobs if end <= job.deadline
        }


def play(made: Scheduler, jobs: Sequence[Job], took: Took) -> Run:
    """Offer jobs when they arrive, execute what is decided, until nothing waits."""
    run, now, pending = Run(), 0.0, sorted(jobs, key=lambda j: j.arrived)[::-1]

    def take(until: float) -> None:
        while pending and pending[-1].arrived <= until:
            arriving = pending.pop()
            run.ended += made.offer(arriving, arriving.arrived)

    while True:
        take(now)
        decision = made.decide(now)
        run.ended += decision.ended
        if decision.batch is not None:
            end = now + took(decision.batch, now)
            run.batches.append((now, end, decision.batch))
            take(end)
            made.executed(decision.batch, end - now, end)
            now = end
            continue
        if decision.wake_at is not None:
            run.waits.append((now, decision.wake_at, decision.why))
        coming = [pending[-1].arrived] if pending else []
        coming += [decision.wake_at] if decision.wake_at is not None else []
        if not coming:
            return run
        assert min(coming) > now, f"{decision} at {now} leads nowhere"
        now = min(coming)

"""Who is let in, who goes for it, and what is said about it."""

import math
from collections.abc import Callable

import pytest

from tests.unit.workers.scheduling.scheduling_world import job, play, scheduler, terms
from workers.scheduling.jobs import Batch, Ended
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.ranked import Fifo
from workers.scheduling.scheduler import Scheduler, SchedulerParams
from workers.scheduling.waiting import Waiting


def told(ended: list[Ended]) -> list[tuple[str, str]]:
    return [(entry.job.id, entry.status) for entry in ended]


def test_the_oldest_goes_with_the_numbers_that_led_to_it() -> None:
    made = scheduler(terms(queue_tasks=2))
    assert [made.offer(job(n), 0.0) for n in range(2)] == [[], []]
    (gone,) = made.offer(job(2), 0.0)
    assert (gone.job.id, gone.status) == ("j0", "dropped")
    assert gone.numbers == {"tasks": 2, "work_ms": 20.0, "most_tasks": 2, "most_ms": math.inf}
    assert gone.reason == (
        "queue of a full: 2 tasks and 20.0 ms of work wait, at most 2 and inf ms are let in; "
        "the oldest went"
    )


def test_the_newest_goes() -> None:
    made = scheduler(terms(queue_tasks=1, drop="newest"))
    made.offer(job(0), 0.0)
    assert told(made.offer(job(1), 0.0)) == [("j1", "dropped")]


def test_the_least_important_goes_and_of_equals_the_oldest() -> None:
    made = scheduler(terms(queue_tasks=2, drop="lowest-priority"))
    for number, priority in enumerate((1, 2)):
        made.offer(job(number, priority=priority), 0.0)
    assert told(made.offer(job(2, priority=0), 0.0)) == [("j2", "dropped")]
    assert told(made.offer(job(3, priority=1), 0.0)) == [("j0", "dropped")]


def test_a_newer_one_of_the_same_key_takes_the_place() -> None:
    made = scheduler(terms(queue_tasks=2, drop="replace-by-key"))
    made.offer(job(0, key="east"), 0.0)
    made.offer(job(1, key="west"), 1.0)
    (gone,) = made.offer(job(2, key="east", arrived=4.0), 4.0)
    assert (gone.job.id, gone.reason) == (
        "j0",
        "a newer one of its key came after it had waited 4.0 ms",
    )
    assert told(made.offer(job(3, key="north"), 5.0)) == [("j1", "dropped")]
    assert made.offer(job(4, service="a"), 5.0)[0].job.id == "j2"


def test_queues_are_bounded_in_work_but_one_job_is_let_in() -> None:
    made = scheduler(terms(queue_ms=25.0))
    assert [len(made.offer(job(n), 0.0)) for n in range(3)] == [0, 0, 1]
    assert made.queued("a") == (2, 20.0)
    tiny = scheduler(terms(queue_ms=1.0))
    assert tiny.offer(job(0), 0.0) == []


def test_the_worker_is_bounded_over_all_and_the_least_worthy_service_gives() -> None:
    made = scheduler(
        terms("a"), terms("b"), terms("c"), params=SchedulerParams(queue_tasks=2, queue_ms=1e9)
    )
    made.offer(job(0, "a", value=5.0), 0.0)
    made.offer(job(1, "b", value=1.0), 0.0)
    (gone,) = made.offer(job(2, "c", value=3.0), 0.0)
    assert gone.job.id == "j1"
    assert gone.reason.startswith("worker full: 3 tasks and 30.0 ms of work wait, at most 2")
    assert gone.reason.endswith("b was worth least")
    assert made.waiting == 2


def test_an_age_ends_what_the_deadline_would_not() -> None:
    made = scheduler(terms(max_age_ms=30.0))
    made.offer(job(0, deadline=1000.0), 0.0)
    (gone,) = made.decide(30.0).ended
    assert (gone.status, gone.numbers) == ("expired", {"waited_ms": 30.0, "max_age_ms": 30.0})


def test_a_passed_deadline_is_told_by_how_much() -> None:
    made = scheduler(terms())
    made.offer(job(0, deadline=50.0), 0.0)
    (gone,) = made.decide(60.0).ended
    assert gone.reason == "the deadline passed 10.0 ms ago, after 60.0 ms in the queue"


def test_who_cannot_be_in_time_is_refused_at_once() -> None:
    made = scheduler(terms())
    (gone,) = made.offer(job(0, deadline=9.0), 0.0)
    assert gone.status == "rejected"
    assert gone.numbers == {"left_ms": 9.0, "busy_ms": 0.0, "needed_ms": 10.0}


def test_the_execution_under_way_counts_for_admission() -> None:
    made = scheduler(terms())
    made.offer(job(0), 0.0)
    assert made.decide(0.0).batch is not None
    (gone,) = made.offer(job(1, arrived=2.0, deadline=19.0), 2.0)
    assert gone.numbers == {"left_ms": 17.0, "busy_ms": 8.0, "needed_ms": 10.0}
    assert made.offer(job(2, arrived=2.0, deadline=20.5), 2.0) == []


def test_a_prediction_that_lets_nobody_in_is_tried_after_the_longest_gap() -> None:
    """What is declared to take 500 ms takes 5: without a trial nobody would ever find out."""
    served = terms(prior_ms=500.0, max_gap_ms=300.0)
    jobs = [job(n, arrived=50.0 * n, deadline=50.0 * n + 100.0) for n in range(60)]
    run = play(scheduler(served), jobs, lambda *_: 5.0)
    statuses = {entry.status for entry in run.ended}
    assert statuses == {"rejected"}
    assert run.batches[0][0] == 350.0
    assert run.in_time() >= {f"j{n}" for n in range(40, 60)}


def test_without_admission_and_expiry_late_work_is_done() -> None:
    loose = SchedulerParams(expire=False, admit=False, guard=False)
    run = play(
        scheduler(terms(), by="fifo", params=loose),
        [job(n, deadline=5.0) for n in range(3)],
        lambda *_: 10.0,
    )
    assert run.done() == ["j0", "j1", "j2"]
    assert run.ended == []


def test_nobody_waits_for_a_service_that_is_not_there() -> None:
    made = scheduler(terms())
    (gone,) = made.offer(job(0, "other"), 0.0)
    assert (gone.status, gone.reason) == ("rejected", "other is not served here")


def test_a_service_that_is_left_finishes_what_waits() -> None:
    made = scheduler(terms())
    made.offer(job(0), 0.0)
    made.leave("a")
    assert made.offer(job(1), 0.0)[0].status == "rejected"
    batch = made.decide(0.0).batch
    assert batch is not None
    made.executed(batch, 10.0, 10.0)
    assert made.decide(10.0).batch is None
    made.serve(terms())
    assert made.offer(job(2, arrived=10.0), 10.0) == []


def test_new_terms_keep_who_waits_and_bind_who_comes() -> None:
    made = scheduler(terms(queue_tasks=5))
    for number in range(3):
        made.offer(job(number), 0.0)
    made.serve(terms(queue_tasks=2, drop="newest"))
    assert made.queued("a") == (3, 30.0)
    assert told(made.offer(job(9), 0.0)) == [("j9", "dropped")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "name must not be empty"),
        ({"budget_ms": 0.0}, "a: budget_ms is 0.0; it must be above 0"),
        ({"prior_ms": math.nan}, "a: prior_ms is nan; it must be above 0"),
        ({"prior_ms": math.inf}, "a: prior_ms is inf; it must be above 0 and finite"),
        ({"queue_tasks": 0}, "a: queue_tasks is 0; it must be at least 1"),
        ({"drop": "random"}, "a: drop is 'random'; one of oldest"),
        ({"preferred": (4,)}, "a: preferred (4,) must lie between 1 and max_batch 1"),
        ({"prior_batches": ((2, -1.0),)}, "a: prior_batches of 2 is -1.0; it must be above 0"),
    ],
)
def test_terms_that_make_no_sense_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=r"must|one of") as error:
        terms(**{"name": "a"} | fields)  # type: ignore[arg-type]  # wrong on purpose
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "fields", [{"deadline": math.nan}, {"arrived": math.inf}, {"value": -1.0}, {"value": math.nan}]
)
def test_jobs_that_cannot_be_ordered_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="job j0"):
        job(0, **fields)


def test_bounds_that_let_nothing_in_are_refused() -> None:
    with pytest.raises(ValueError, match="queue_tasks 0"):
        SchedulerParams(queue_tasks=0)


class Listening(Fifo):
    """First come, first served, and what it was told, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def served(self, lane: Lane, /) -> None:
        super().served(lane)
        self.told.append("served")

    def arrived(self, _lane: Lane, /) -> None:
        self.told.append("arrived")

    def removed(self, waiting: Waiting, /) -> None:
        self.told.append(waiting.job.id)

    def changed(self, lane: Lane, /) -> None:
        super().changed(lane)
        self.told.append("changed")

    def executed(self, _lane: Lane, /) -> None:
        self.told.append("executed")

    def left(self, lane: Lane, /) -> None:
        super().left(lane)
        self.told.append("left")


STEPS: dict[str, Callable[[Scheduler, Batch], object]] = {
    "serve": lambda made, _: made.serve(terms()),
    "offer": lambda made, _: made.offer(job(7), 1.0),
    "decide": lambda made, _: made.decide(1.0),
    "executed": lambda made, batch: made.executed(batch, 1.0, 1.0),
    "leave": lambda made, _: made.leave("a"),
    "drain": lambda made, _: made.drain(1.0, "it ends"),
    "settle": lambda made, _: made.settle(),
}


@pytest.mark.parametrize("step", STEPS)
def test_an_order_hears_of_what_began_before_anything_else(step: str) -> None:
    order = Listening()
    made = scheduler(terms(), by=order)
    made.offer(job(0), 0.0)
    batch = made.decide(0.0).batch
    assert batch is not None
    assert made.waiting == 0
    order.told.clear()
    STEPS[step](made, batch)
    assert order.told[:2] == ["j0", "changed"]
    made.settle()
    assert order.told.count("j0") == 1

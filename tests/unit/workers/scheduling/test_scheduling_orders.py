"""What each order does, worked out by hand."""

from collections.abc import Callable

import pytest

from tests.unit.workers.scheduling.scheduling_world import Run, job, play, scheduler, terms
from workers.scheduling.batches import form
from workers.scheduling.jobs import Batch, Job
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Order, Pick
from workers.scheduling.orders.names import DEFAULT, order
from workers.scheduling.orders.ranked import LeastLaxity
from workers.scheduling.profiles import Profiles
from workers.scheduling.terms import Terms
from workers.scheduling.waiting import Rank, Waiting

PEER = (
    terms("detector", budget_ms=20.0, prior_ms=8.0),
    terms("classifier", budget_ms=200.0, prior_ms=45.0),
)


def takes(**ms: float) -> Callable[[Batch, float], float]:
    return lambda batch, _: ms[batch.service]


def all_at_once(by: str | Order, *jobs: Job) -> list[str]:
    """Return in which order jobs of three services that take 10 ms each are executed."""
    made = scheduler(terms("a"), terms("b"), terms("c"), by=by)
    return play(made, jobs, lambda *_: 10.0).done()


def test_fifo_and_priority_edf() -> None:
    jobs = (
        job(0, "a", deadline=90.0),
        job(1, "b", deadline=60.0),
        job(2, "c", deadline=95.0, priority=1),
        job(3, "a", deadline=50.0),
    )
    assert all_at_once("fifo", *jobs) == ["j0", "j1", "j2", "j3"]
    assert all_at_once("priority-edf", *jobs) == ["j2", "j3", "j1", "j0"]


def test_least_laxity_counts_what_is_still_to_do() -> None:
    made = scheduler(terms("a"), terms("b", prior_ms=40.0), by="least-laxity")
    jobs = [job(0, "a", deadline=60.0), job(1, "b", deadline=80.0)]
    assert play(made, jobs, takes(a=10.0, b=40.0)).done() == ["j1", "j0"]


def test_least_laxity_does_not_take_turns_on_little() -> None:
    jobs = [job(n, "ab"[n % 2], deadline=50.0 + n / 10) for n in range(4)]
    assert all_at_once(LeastLaxity(quantum_ms=1.0), *jobs) == ["j0", "j2", "j1", "j3"]
    assert all_at_once(LeastLaxity(quantum_ms=0.0), *jobs) == ["j0", "j1", "j2", "j3"]


def detector_latencies(run: Run) -> list[float]:
    return sorted(
        end - one.arrived
        for _, end, batch in run.batches
        for one in batch.jobs
        if one.service == "detector"
    )


def peer_jobs() -> list[Job]:
    return [
        job(first + n, name, arrived=10.0 * n, deadline=10.0 * n + budget, value=value)
        for n in range(20)
        for first, name, budget, value in (
            (0, "detector", 20.0, 10.0),
            (20, "classifier", 200.0, 1.0),
        )
    ]


def test_the_default_keeps_a_tight_stream_beside_a_long_one_without_knowing_the_future() -> None:
    run = play(scheduler(*PEER, by=DEFAULT), peer_jobs(), takes(detector=8.0, classifier=45.0))
    assert detector_latencies(run) == [8.0] * 20
    assert {entry.job.service for entry in run.ended} == {"classifier"}
    assert len(run.in_time()) == 24
    assert run.waits[0][2].startswith("waits for detector, expected until 20.0: work worth")


def test_under_overload_what_is_worth_least_per_ms_is_passed_over() -> None:
    served = (terms("long", prior_ms=50.0), terms("short", prior_ms=10.0))
    jobs = [
        *(job(n, "long", deadline=60.0, value=2.0) for n in range(2)),
        *(job(n + 2, "short", deadline=70.0, value=1.0) for n in range(5)),
    ]
    run = play(scheduler(*served), jobs, takes(long=50.0, short=10.0))
    assert run.in_time() == {f"j{n}" for n in range(2, 7)}
    assert {entry.status for entry in run.ended} == {"rejected"}
    assert run.ended[0].numbers["value_per_ms"] == pytest.approx(0.04)


def test_what_was_passed_over_is_done_when_there_is_time_after_all() -> None:
    served = (terms("a", prior_ms=30.0), terms("b", prior_ms=30.0))
    jobs = [job(0, "a", deadline=45.0, value=1.0), job(1, "b", deadline=55.0, value=9.0)]
    run = play(scheduler(*served), jobs, lambda *_: 20.0)
    assert run.in_time() == {"j1"}
    quicker = play(scheduler(*served), jobs, lambda *_: 10.0)
    assert quicker.in_time() == {"j0", "j1"}


def test_values_within_a_service_count() -> None:
    jobs = [job(n, deadline=30.0 + n, value=value) for n, value in enumerate((1, 5, 5, 5, 1))]
    run = play(scheduler(terms()), jobs, lambda *_: 10.0)
    assert run.in_time() == {"j1", "j2", "j3"}


def test_a_long_job_waits_for_a_dear_one_that_is_due_and_goes_when_none_comes() -> None:
    served = (
        terms("tight", budget_ms=10.0, prior_ms=4.0, period_ms=50.0),
        terms("long", budget_ms=500.0, prior_ms=40.0),
    )
    jobs = [job(n, "tight", arrived=50.0 * n, deadline=50.0 * n + 10, value=9.0) for n in range(2)]
    jobs.append(job(5, "long", arrived=30.0, deadline=530.0))
    run = play(scheduler(*served), jobs, takes(tight=4.0, long=40.0))
    assert [(start, batch.service) for start, _, batch in run.batches] == [
        (0.0, "tight"),
        (50.0, "tight"),
        (54.0, "long"),
    ]
    assert run.waits[0][:2] == (30.0, 50.0)
    missing = play(scheduler(*served), [jobs[0], jobs[2]], takes(tight=4.0, long=40.0))
    assert missing.done() == ["j0", "j5"]
    assert missing.batches[1][0] == pytest.approx(55.0)


def test_a_burst_is_kept_clear_as_a_whole() -> None:
    """Four at once every 100 ms need 40 of their 50 ms: 30 ms before they come is too late."""
    served = (terms("burst", budget_ms=50.0), terms("long", budget_ms=500.0, prior_ms=40.0))
    jobs = [
        job(4 * n + k, "burst", arrived=100.0 * n, deadline=100.0 * n + 50.0)
        for n in range(4)
        for k in range(4)
    ]
    jobs.append(job(50, "long", arrived=275.0, deadline=775.0))
    run = play(scheduler(*served), jobs, takes(burst=10.0, long=40.0))
    assert len(run.in_time()) == 17
    assert run.batches[-1][2].service == "long"


def test_it_does_not_wait_for_what_is_worth_less() -> None:
    served = (
        terms("tight", budget_ms=10.0, prior_ms=4.0, period_ms=50.0),
        terms("long", budget_ms=45.0, prior_ms=40.0),
    )
    jobs = [
        job(0, "tight", deadline=10.0, value=1.0),
        job(1, "long", arrived=30.0, deadline=75.0, value=2.0),
    ]
    run = play(scheduler(*served), jobs, takes(tight=4.0, long=40.0))
    assert run.batches[1][0] == 30.0
    assert run.waits == []


class Sulking(Order):
    """Waits for nothing."""

    name = "sulking"

    def rank(self, waiting: Waiting, /) -> Rank:
        return waiting.seq

    def pick(self, now: float, /) -> Pick | None:
        return Pick(None, None, "", until=now)


def test_an_order_that_waits_without_reason_is_refused() -> None:
    made = scheduler(terms(), by=Sulking())
    with pytest.raises(ValueError, match=r"order 'sulking' waits until 0\.0, at 0\.0, because ''"):
        made.decide(0.0)


def test_orders_have_names_and_unknown_ones_are_told() -> None:
    assert order("mine", {"mine": Sulking}).name == "sulking"
    assert order("fifo", {"fifo": Sulking}).name == "fifo"
    with pytest.raises(ValueError, match="order 'best' is unknown; known are fifo, least-laxity"):
        order("best")


def batched(**fields: object) -> Terms:
    return terms(max_batch=8, prior_ms=6.0, prior_batches=((8, 13.0),), **fields)


def test_a_batch_is_as_large_as_every_deadline_allows() -> None:
    jobs = [job(n, deadline=deadline) for n, deadline in enumerate([11.0] * 5 + [50.0] * 4)]
    made = scheduler(batched(), by="priority-edf")
    run = play(made, jobs, lambda batch, _: 5.0 + len(batch.jobs))
    assert [len(batch.jobs) for _, _, batch in run.batches] == [6, 3]


def test_groups_are_not_mixed_and_order_is_kept() -> None:
    jobs = [job(n, group="xy"[n % 2]) for n in range(6)]
    made = scheduler(batched(), by="fifo")
    run = play(made, jobs, lambda batch, _: 5.0 + len(batch.jobs))
    assert [[one.id for one in batch.jobs] for _, _, batch in run.batches] == [
        ["j0", "j2", "j4"],
        ["j1", "j3", "j5"],
    ]


def test_preferred_sizes_are_taken_where_they_are_quicker_per_job() -> None:
    made = scheduler(batched(preferred=(4, 8)), by="fifo")
    run = play(made, [job(n) for n in range(6)], lambda batch, _: 5.0 + len(batch.jobs))
    # six padded to eight take 13 / 6 ms per job, four take 9 / 4
    assert [len(batch.jobs) for _, _, batch in run.batches] == [6]
    made = scheduler(batched(preferred=(4, 8)), by="fifo")
    run = play(made, [job(n) for n in range(5)], lambda batch, _: 5.0 + len(batch.jobs))
    # five padded to eight take 13 / 5
    assert [len(batch.jobs) for _, _, batch in run.batches] == [4, 1]


def test_a_full_queue_is_not_worked_off_one_by_one() -> None:
    """Jobs come at 500 per second; alone each takes 6 ms, eight together 13 ms."""
    jobs = [job(n, arrived=2.0 * n, deadline=2.0 * n + 20.0) for n in range(400)]
    late = [job(1000 + n, deadline=7.0) for n in range(1)]
    run = play(scheduler(batched()), late + jobs, lambda batch, _: 5.0 + len(batch.jobs))
    assert len(run.in_time()) > 0.95 * len(jobs)


def test_one_that_keeps_the_batch_small_is_left_out_for_many() -> None:
    served = batched()
    lane = Lane(served, Profiles().of(served))
    for number, deadline in enumerate([6.5] + [15.0] * 8):
        lane.add(Waiting(job(number, deadline=deadline), number, 1.0), deadline)
    for sheds, expected in ((False, ["j0"]), (True, [f"j{n}" for n in range(1, 9)])):
        pick = Pick(lane, lane.head(), "it is asked for", sheds=sheds)
        assert [one.job.id for one in form(lane, pick, 0.0)] == expected


def test_many_that_cannot_all_be_held_one_by_one_are_held_together() -> None:
    jobs = [job(0, deadline=7.0), *(job(n, deadline=15.0) for n in range(1, 9))]
    run = play(scheduler(batched()), jobs, lambda batch, _: 5.0 + len(batch.jobs))
    assert run.in_time() == {f"j{n}" for n in range(1, 9)}


def test_a_job_counts_with_its_share_of_the_batch_it_may_expect() -> None:
    made = scheduler(batched())
    for number in range(8):
        made.offer(job(number), 0.0)
    shares = sum((5.0 + size) / size for size in range(1, 9))
    assert made.queued("a") == (8, pytest.approx(shares))


def test_a_batch_ends_before_a_dear_arrival_would_be_late() -> None:
    served = (terms("tight", budget_ms=10.0, prior_ms=4.0, period_ms=50.0), batched())
    jobs = [
        *(job(n, "tight", arrived=50.0 * n, deadline=50.0 * n + 10, value=9.0) for n in range(2)),
        *(job(2 + n, "a", arrived=45.0, deadline=145.0, value=0.1) for n in range(8)),
    ]
    run = play(
        scheduler(*served),
        jobs,
        lambda batch, _: 4.0 if batch.service == "tight" else 5.0 + len(batch.jobs),
    )
    assert [(start, len(batch.jobs)) for start, _, batch in run.batches] == [
        (0.0, 1),
        (45.0, 6),
        (56.0, 1),
        (60.0, 2),
    ]


def test_what_was_passed_over_goes_first_where_all_others_can_wait() -> None:
    served = (terms("dear", prior_ms=30.0), terms("cheap"))
    jobs = [
        job(0, "cheap", deadline=62.0, value=0.1),
        job(1, "dear", deadline=65.0, value=9.0),
        job(2, "dear", deadline=65.0, value=9.0),
    ]
    assert play(scheduler(*served), jobs, lambda *_: 10.0).done() == ["j1", "j0", "j2"]


def test_of_a_burst_as_many_count_as_would_be_late() -> None:
    """Long ends 25 ms after the latest start of four that take 10 ms: 2.5 of them are late."""
    served = (terms("burst", budget_ms=50.0), terms("long", budget_ms=60.0, prior_ms=40.0))
    jobs = [
        job(4 * n + k, "burst", arrived=100.0 * n, deadline=100.0 * n + 50.0)
        for n in range(4)
        for k in range(4)
    ]
    for value, done in ((2.0, False), (3.0, True)):
        long = job(50, "long", arrived=295.0, deadline=340.0, value=value)
        run = play(scheduler(*served), [*jobs, long], takes(burst=10.0, long=40.0))
        assert ("j50" in run.in_time()) == done

"""What the default order gives up, waits for, or does first when not all can be had."""

import pytest

from tests.unit.workers.scheduling.scheduling_world import Run, job, play, scheduler, terms
from workers.scheduling.alarms import Alarms
from workers.scheduling.jobs import Batch, Job
from workers.scheduling.lanes import Lane
from workers.scheduling.profiles import Profile, ProfileParams
from workers.scheduling.rhythm import Rhythm
from workers.scheduling.scheduler import Scheduler
from workers.scheduling.waiting import Waiting
from workers.scheduling.windows import Window


def stream(
    service: str, first: int, every: float, until: float, budget: float, **fields: object
) -> list[Job]:
    return [
        job(first + n, service, arrived=n * every, deadline=n * every + budget, **fields)
        for n in range(int(until / every))
    ]


def taught(made: Scheduler, service: str, *took_ms: float) -> None:
    """Let a service have been executed so; the first time is cold."""
    for took in (took_ms[0], *took_ms):
        made.warmed(service, took)


def test_the_share_of_times_that_suffice() -> None:
    window = Window(4, [1.0, 2.0, 2.0, 5.0])
    assert [window.share(value) for value in (0.5, 1.0, 2.0, 4.9, 5.0)] == [
        0.0,
        0.25,
        0.75,
        0.75,
        1,
    ]
    profile = Profile(ProfileParams(), {1: 10.0}, cold_ms=50.0)
    assert (profile.chance(49.0), profile.chance(50.0)) == (0.0, 1.0)
    profile.learn(1, 50.0)
    profile.learn(1, 14.0)
    assert profile.chance(10.0) == pytest.approx(2 / 3)
    # of a size that was not seen all or none
    assert (profile.chance(19.0, 2), profile.chance(40.0, 2)) == (0.0, 1.0)


@pytest.mark.parametrize("by", ["fifo", "priority-edf", "weir"])
def test_an_idle_worker_tries_what_may_be_in_time(by: str) -> None:
    made = scheduler(terms(), by=by)
    taught(made, "a", *[10.0, 20.0] * 16)
    run = play(made, [job(0, deadline=15.0)], lambda *_: 10.0)
    assert run.in_time() == {"j0"}
    # but not what nobody has ever seen in time
    run = play(made, [job(1, arrived=100.0, deadline=109.0)], lambda *_: 10.0)
    assert [entry.cause.status for entry in run.ended] == ["rejected"]


def test_who_may_be_late_yields_to_who_is_worth_more() -> None:
    """Both would do alone; a half chance of 1 is worth less than what it delays."""
    made = scheduler(terms("doubtful"), terms("sure"))
    taught(made, "doubtful", *[10.0, 20.0] * 16)
    jobs = [
        job(0, "doubtful", deadline=15.0),
        job(1, "sure", deadline=19.0, value=3.0),
        job(2, "sure", deadline=19.0, value=3.0),
    ]
    run = play(made, jobs, lambda *_: 10.0)
    assert run.done() == ["j2"]


def test_what_is_too_old_soon_is_done_before_what_is_due_sooner() -> None:
    served = (terms("ages", budget_ms=300.0, max_age_ms=40.0), terms("due", prior_ms=20.0))
    jobs = [
        job(0, "ages", deadline=300.0),
        *(job(n, "due", deadline=90.0) for n in range(1, 4)),
    ]
    run = play(scheduler(*served), jobs, lambda batch, _: 10.0 if batch.service == "ages" else 20.0)
    assert run.in_time() == {"j0", "j1", "j2", "j3"}


def takes_4_or_40(batch: Batch, _now: float) -> float:
    return 4.0 if batch.service == "tight" else 40.0


def tight_and_long(jobs: list[Job], **tight: object) -> Run:
    served = (
        terms("tight", **{"budget_ms": 20.0, "prior_ms": 4.0, "period_ms": 20.0} | tight),
        terms("long", budget_ms=400.0, prior_ms=40.0),
    )
    return play(scheduler(*served), jobs, takes_4_or_40)


def test_nobody_waits_for_frames_that_would_be_late_anyway() -> None:
    frames = stream("tight", 0, 20.0, 400.0, 3.0, value=9.0)
    run = tight_and_long([*frames, job(99, "long", arrived=1.0, deadline=401.0)], budget_ms=3.0)
    assert run.waits == []
    assert run.in_time() == {"j99"}


def test_nobody_waits_where_a_later_begin_harms_as_much() -> None:
    """Whenever long begins one of the frames is late: it is worth it, and begins at once."""
    frames = stream("tight", 0, 20.0, 400.0, 20.0, value=1.0)
    run = tight_and_long([*frames, job(99, "long", arrived=5.0, deadline=405.0, value=5.0)])
    assert run.waits == []
    assert run.batches[1][0] == 5.0
    assert len(run.in_time()) == 20


def test_what_harms_more_than_it_is_worth_is_left_undone() -> None:
    frames = stream("tight", 0, 20.0, 400.0, 20.0, value=9.0)
    run = tight_and_long([*frames, job(99, "long", arrived=5.0, deadline=385.0, value=5.0)])
    assert run.in_time() == {entry.id for entry in frames}
    assert run.waits


def test_arrivals_at_random_are_kept_clear_by_their_rate() -> None:
    """Gaps of 1, 1 and 28 ms: none can be told, but 40 ms cost four frames."""
    times = [30.0 * n + shift for n in range(14) for shift in (0.0, 1.0, 2.0)]
    frames = [
        job(n, "tight", arrived=at, deadline=at + 16.0, value=3.0) for n, at in enumerate(times)
    ]
    for value, done in ((1.0, False), (30.0, True)):
        long = job(99, "long", arrived=200.0, deadline=350.0, value=value)
        run = tight_and_long([*frames, long], period_ms=None, budget_ms=16.0)
        assert ("j99" in run.in_time()) == done
        assert len(run.in_time()) >= (42 if not done else 37)


def test_a_queue_that_would_overflow_goes_first() -> None:
    """Two places fill in 10 ms: 40 ms cost six frames, whenever they begin."""
    served = (
        terms("short", budget_ms=200.0, queue_tasks=2, period_ms=5.0, drop="newest"),
        terms("long", budget_ms=400.0, prior_ms=40.0),
    )
    frames = stream("short", 0, 5.0, 100.0, 200.0)
    run = play(
        scheduler(*served),
        [*frames, job(99, "long", arrived=66.0, deadline=210.0)],
        lambda batch, _: 3.0 if batch.service == "short" else 40.0,
    )
    assert run.ended == []
    assert run.done()[-1] == "j99"


def test_a_queue_that_is_full_goes_before_what_is_due_sooner() -> None:
    """Eight frames wait when the blocker is done; long would cost four more, and can wait."""
    served = (
        terms("short", budget_ms=400.0, prior_ms=3.0, queue_tasks=8, drop="newest"),
        terms("block", budget_ms=45.0, prior_ms=39.0, period_ms=9000.0),
        terms("long", budget_ms=200.0, prior_ms=20.0),
    )
    jobs = [
        *stream("short", 0, 5.0, 400.0, 400.0),
        job(98, "block", arrived=98.5, deadline=144.0, value=50.0),
        job(99, "long", arrived=120.0, deadline=300.0),
    ]
    took = {"short": 3.0, "block": 39.0, "long": 20.0}
    run = play(scheduler(*served), jobs, lambda batch, _: took[batch.service])
    assert run.ended == []
    assert len(run.in_time()) == len(jobs)


def test_who_was_served_lately_does_not_starve() -> None:
    lane = Lane(terms(max_gap_ms=200.0), Profile(ProfileParams(), {1: 10.0}, None))
    alarms = Alarms({"a": lane})
    alarms.hungry(lane, 0.0)
    lane.add(Waiting(job(0), 1, 10.0), 1e9)
    lane.hungry_since = 150.0
    assert alarms.starving(210.0) is None
    assert alarms.starving(349.0) is None
    assert alarms.starving(350.0) is lane


def test_arrivals_at_random_are_over_after_five_mean_gaps() -> None:
    rhythm = Rhythm(100.0, declared=False)
    for at in (0.0, 1.0, 20.0, 21.0, 40.0, 41.0, 60.0, 61.0):
        rhythm.saw(at)
    assert not rhythm.steady
    assert not rhythm.told
    rhythm.saw(80.0)
    assert rhythm.told
    assert rhythm.mean_ms == pytest.approx(10.0)
    assert not rhythm.ceased(129.9)
    assert rhythm.ceased(130.1)

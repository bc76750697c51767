"""The laws that every order keeps, whatever arrives and however long it takes."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workers.scheduling.scheduling_world import Run, job, play, scheduler, terms
from workers.scheduling.jobs import Batch, Job
from workers.scheduling.orders.names import OWN
from workers.scheduling.scheduler import Scheduler, SchedulerParams
from workers.scheduling.terms import POLICIES, Terms


@dataclass(frozen=True)
class Course:
    """Services with what they really take (ms), and jobs in order of arrival."""

    served: tuple[Terms, ...]
    takes: tuple[float, ...]
    jobs: tuple[Job, ...]
    params: SchedulerParams

    def run(self, by: str) -> tuple[Scheduler, Run]:
        made = scheduler(*self.served, by=by, params=self.params)
        return made, play(made, self.jobs, self.took)

    def took(self, batch: Batch, _now: float) -> float:
        return self.takes[int(batch.service)] * (1 + 0.25 * (len(batch.jobs) - 1))


@st.composite
def services(draw: st.DrawFn, name: str) -> Terms:
    most = draw(st.sampled_from([1, 1, 4]))
    return terms(
        name,
        budget_ms=draw(st.floats(1, 200)),
        prior_ms=draw(st.none() | st.floats(0.5, 40)),
        queue_tasks=draw(st.integers(1, 6)),
        queue_ms=draw(st.sampled_from([15.0, 60.0, 1e9])),
        drop=draw(st.sampled_from(POLICIES)),
        max_age_ms=draw(st.sampled_from([20.0, 1e9])),
        max_batch=most,
        preferred=draw(st.sampled_from([(), (2, 4)])) if most > 1 else (),
        max_gap_ms=draw(st.sampled_from([30.0, 500.0])),
    )


@st.composite
def courses(draw: st.DrawFn) -> Course:
    count = draw(st.integers(1, 4))
    served = tuple(draw(services(str(number))) for number in range(count))
    step = st.tuples(
        st.floats(0, 30),
        st.integers(0, count - 1),
        st.floats(-5, 150),
        st.integers(0, 2),
        st.sampled_from(["", "x", "y"]),
    )
    now, jobs = 0.0, []
    for number, (gap, service, left, priority, key) in enumerate(draw(st.lists(step, max_size=40))):
        now += gap
        fields = {"arrived": now, "deadline": now + left, "priority": priority, "key": key}
        jobs.append(job(number, str(service), value=1.0 + priority, group=key, **fields))
    takes = tuple(draw(st.floats(0.5, 40)) for _ in range(count))
    params = SchedulerParams(
        queue_tasks=draw(st.sampled_from([3, 100])),
        queue_ms=draw(st.sampled_from([50.0, 1e9])),
        admit=draw(st.booleans()),
    )
    return Course(served, takes, tuple(jobs), params)


@pytest.mark.parametrize("by", sorted(OWN))
@settings(max_examples=40)
@given(course=courses())
def test_the_laws_hold(by: str, course: Course) -> None:
    made, run = course.run(by)
    served = {entry.name: entry for entry in course.served}
    # every job ends exactly once, with a reason and its numbers
    ends = Counter(run.done()) + Counter(entry.job.id for entry in run.ended)
    assert ends == Counter(entry.id for entry in course.jobs)
    for entry in run.ended:
        assert entry.status in ("dropped", "expired", "rejected")
        assert entry.reason
        assert "{" not in entry.reason
    for start, _, batch in run.batches:
        # nothing is executed that is too late or too old
        assert all(start < entry.deadline for entry in batch.jobs)
        assert all(
            start - entry.arrived <= served[batch.service].max_age_ms for entry in batch.jobs
        )
        # batches are of one service and group, and of a size that it takes
        assert {(entry.service, entry.group) for entry in batch.jobs} == {
            (batch.service, batch.jobs[0].group)
        }
        assert len(batch.jobs) <= served[batch.service].max_batch
    # who waits on purpose says why and until when
    for now, until, why in run.waits:
        assert until > now
        assert why
    if by != "weir":
        assert run.waits == []
    # at the end nothing is left over
    assert made.waiting == 0
    for name in served:
        assert made.queued(name) == (0, 0.0)


@pytest.mark.parametrize("by", sorted(OWN))
@settings(max_examples=15)
@given(course=courses())
def test_the_same_course_takes_the_same_turns(by: str, course: Course) -> None:
    (_, one), (_, other) = course.run(by), course.run(by)
    assert one == other


@pytest.mark.parametrize("by", sorted(OWN))
@settings(max_examples=15)
@given(course=courses())
def test_the_bounds_hold_at_every_moment(by: str, course: Course) -> None:
    made = scheduler(*course.served, by=by, params=course.params)
    for entry in course.jobs:
        made.offer(entry, entry.arrived)
        for served in course.served:
            tasks, work_ms = made.queued(served.name)
            assert tasks <= served.queue_tasks
            assert work_ms <= served.queue_ms + 1e-6 or tasks == 1
        assert made.waiting <= course.params.queue_tasks
    before = made.waiting
    ended = made.drain(course.jobs[-1].arrived if course.jobs else 0.0, "the worker {stops}")
    assert len(ended) == before
    assert {entry.reason for entry in ended} <= {"the worker {stops}"}
    assert made.waiting == 0


@pytest.mark.parametrize("by", sorted(OWN))
def test_nobody_starves(by: str) -> None:
    """A dear stream takes all time; the cheap one is served at least every 200 ms."""
    gap = 200.0
    served = (
        terms("dear", budget_ms=60.0, prior_ms=10.0),
        terms("cheap", budget_ms=150.0, prior_ms=20.0, max_gap_ms=gap),
    )
    jobs = [
        *(
            job(n, "dear", arrived=n * 10.0, deadline=n * 10.0 + 60.0, priority=9, value=9.0)
            for n in range(300)
        ),
        *(job(1000 + n, "cheap", arrived=n * 15.0, deadline=n * 15.0 + 150.0) for n in range(200)),
    ]
    made = scheduler(*served, by=by)
    run = play(made, jobs, lambda batch, _: 10.0 if batch.service == "dear" else 20.0)
    starts = [start for start, _, batch in run.batches if batch.service == "cheap"]
    gaps = [later - former for former, later in zip([0.0, *starts], starts, strict=False)]
    assert max(gaps) <= gap + 20.0 + 20.0
    assert starts[-1] > 3000.0 - gap

"""The worker's decisions: order, bounds, expiry, batches, and one result for every task."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.inference import InferenceResult
from tests.unit.workers.inference_world import T0, FakeSession, hosted, port, task, tensor
from workers.inference.engine import Engine, EngineParams
from workers.inference.executing import execute
from workers.inference.progress import Progress
from workers.inference.serving import Bounds
from workers.payloads.claims import kept
from workers.payloads.store import PayloadStore
from workers.runtimes.base import Signature
from workers.scheduling.jobs import Decision, Ended, Job
from workers.scheduling.orders import names
from workers.scheduling.orders.base import Order
from workers.scheduling.scheduler import SchedulerParams

WARM = (1.0,)
"""The cold execution of a trial, which is kept out."""


class Seen:
    """What an observer was told."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.decisions: list[Decision] = []
        self.ends: list[tuple[InferenceResult, Ended | None]] = []

    def came(self, job: Job, _now_ms: float) -> None:
        self.jobs.append(job)

    def decided(self, decision: Decision, _now_ms: float) -> None:
        self.decisions.append(decision)

    def ended(self, result: InferenceResult, ended: Ended | None) -> None:
        self.ends.append((result, ended))


def engine(
    order: Order | None = None,
    seen: Seen | None = None,
    session: FakeSession | None = None,
    bounds: Bounds | None = None,
    **registered: object,
) -> Engine:
    """Return an engine that hosts one instance, as warm as `WARM` makes it."""
    params = EngineParams(node="n", worker="w", bounds=bounds or Bounds())
    made = Engine(params, order, () if seen is None else (seen,))
    made.host(hosted(session=session, **registered), WARM)  # type: ignore[arg-type]  # of a service
    return made


def work(made: Engine, now_ms: float = T0, took_ms: float = 1.0) -> list[InferenceResult]:
    """Execute the next batch as if it took a given time."""
    step = made.decide(now_ms)
    ended = [entry.result for entry in step.finished]
    if step.batch is None:
        return ended
    executed = replace(execute(step.batch, now_ms, 1.0, lambda _: None), execution_ms=took_ms)
    return ended + [entry.result for entry in made.finish(step.batch, executed, now_ms + took_ms)]


def test_a_task_is_executed_and_accounted_for() -> None:
    made = engine()
    assert made.receive(task(3), 5, T0) == []
    (result,) = work(made, T0 + 7.5)
    assert (result.status, result.reason, result.queue_ms) == ("ok", None, 7.5)
    assert (result.node, result.worker, result.instance) == ("n", "w", "double.n")
    assert (result.runtime, result.provider, result.variant) == ("fake", "FakeProvider", "cpu-fp32")
    assert (result.received_at, result.finished_at) == (T0, T0 + 8)
    assert np.frombuffer(result.outputs[0].data or b"", "<f4").tolist() == [6.0, 2.0]
    assert made.idle


def test_what_is_too_large_for_a_result_is_kept_or_the_reason_why_not(tmp_path: Path) -> None:
    wide = Signature((port("x", None, None),), (port("y", None, None),))
    large = tensor(*range(20_000))
    store = PayloadStore(tmp_path, 100_000, 60.0)
    params = EngineParams(node="n", worker="w")
    with_store = Engine(params, keep=partial(kept, store=store))
    told = {}
    for name, made in (("kept", with_store), ("inline", Engine(params))):
        made.host(hosted(session=FakeSession(wide)), WARM)
        made.receive(task(1, inputs=(large,), user="ann"), 0, T0)
        (told[name],) = work(made)
    (output,) = told["kept"].outputs
    assert (output.data, output.shape, output.reference) == (
        None,
        (1, 20_000),
        f"payload:{output.digest}",
    )
    whole = np.frombuffer(store.get(output.digest), "<f4")
    assert whole.tolist() == [2.0 * n for n in range(20_000)]
    assert store.erase("ann", time.time() + 1) == 1, "it is hers as the input was"
    assert told["inline"].status == "failed"
    assert "output y has 80000 bytes; at most 65536 go inline" in (told["inline"].reason or "")
    with_store.receive(task(2, inputs=(tensor(*range(30_000)),)), 1, T0)
    (refused,) = work(with_store)
    assert (refused.status, "larger than the store" in (refused.reason or "")) == ("failed", True)


def asked_thrice(made: Engine) -> list[str]:
    made.receive(task(1, deadline=T0 + 900), 0, T0)
    made.receive(task(2, deadline=T0 + 500), 1, T0)
    made.receive(task(3, deadline=T0 + 999, priority=2), 2, T0)
    return [work(made)[0].task_id for _ in range(3)]


def test_the_order_is_the_one_that_was_chosen() -> None:
    one_by_one = Bounds(max_batch=1)
    by = {
        name: asked_thrice(engine(names.order(name), bounds=one_by_one))
        for name in ("priority-edf", "fifo", "weir")
    }
    assert by == {
        "priority-edf": ["t3", "t2", "t1"],
        "fifo": ["t1", "t2", "t3"],
        "weir": ["t2", "t1", "t3"],
    }


def test_in_overload_the_least_important_is_left_out_and_told_why() -> None:
    made = engine(bounds=Bounds(max_batch=1), latency_ms=10.0)
    for number, priority in enumerate((0, 1, 0, 1)):
        made.receive(task(number, priority=priority, deadline=T0 + 25), number, T0)
    results = [*work(made, T0, 10.0), *work(made, T0 + 10, 10.0), *work(made, T0 + 20, 10.0)]
    told = {result.task_id: result for result in results}
    assert [told[f"t{n}"].status for n in range(4)] == ["dropped", "ok", "dropped", "ok"]
    why = told["t0"].reason or ""
    assert why.startswith("rejected: too much work for all deadlines, by ")
    assert "worth least at 0.1000 per ms" in why


def test_the_priority_of_a_service_counts_with_that_of_its_tasks() -> None:
    made = engine(names.order("priority-edf"), priority=3)
    made.host(hosted("other"), WARM)
    made.receive(task(1, "other", priority=2), 0, T0)
    made.receive(task(2), 1, T0)
    assert work(made)[0].task_id == "t2"


def test_a_full_queue_drops_the_least_important_with_reason_and_numbers() -> None:
    seen = Seen()
    made = engine(seen=seen, bounds=Bounds(queue_tasks=2))
    assert made.receive(task(1, priority=1), 0, T0) == []
    assert made.receive(task(2, priority=0), 1, T0) == []
    (gone,) = made.receive(task(3, priority=1), 2, T0 + 4)
    assert (gone.result.task_id, gone.result.status, gone.offset) == ("t2", "dropped", 1)
    assert gone.result.reason == (
        "queue of double.n full: 2 tasks and 10.0 ms of work wait, at most 2 and 2000.0 ms are let "
        "in; the least important went"
    )
    assert gone.result.queue_ms == 4
    ((result, ended),) = seen.ends
    assert result == gone.result
    assert ended is not None
    assert ended.numbers["most_tasks"] == 2


def test_the_queue_is_bounded_in_work_too() -> None:
    made = engine(bounds=Bounds(queue_ms=50.0, max_batch=1), latency_ms=20.0)
    statuses = [made.receive(task(n), n, T0) for n in range(4)]
    assert [len(ended) for ended in statuses] == [0, 0, 1, 1]


def test_the_bounds_of_the_worker_hold_for_all_instances_together() -> None:
    params = SchedulerParams(queue_tasks=2)
    made = Engine(EngineParams(node="n", worker="w", scheduler=params))
    made.host(hosted(), WARM)
    made.host(hosted("other"), WARM)
    ended = [made.receive(task(n, ("double", "other")[n % 2]), n, T0) for n in range(3)]
    assert [len(each) for each in ended] == [0, 0, 1]
    assert (ended[2][0].result.reason or "").startswith("worker full: 3 tasks")


def test_the_newest_of_a_source_replaces_the_one_that_waits() -> None:
    made = engine(bounds=Bounds(drop="replace-by-key"))
    for number, request in enumerate(("left/1", "right/1", "lone", "left/2", "lone too")):
        gone = made.receive(task(number, request_id=request), number, T0 + number)
        assert [entry.result.request_id for entry in gone] == (["left/1"] if number == 3 else [])
    assert len(work(made, T0 + 9)) == 4


def test_a_passed_deadline_is_not_executed() -> None:
    session = FakeSession()
    made = engine(session=session)
    made.receive(task(1, deadline=T0 + 10), 0, T0)
    (result,) = work(made, T0 + 10)
    assert result.status == "expired"
    assert result.reason == "the deadline passed 0.0 ms ago, after 10.0 ms in the queue"
    work(made, T0 + 11)
    made.receive(task(2), 1, T0 + 11)
    work(made, T0 + 11)
    (late,) = made.receive(task(3, deadline=T0), 2, T0 + 20)
    assert (late.result.status, late.result.deadline_missed) == ("expired", True)
    assert (late.result.reason or "").startswith("rejected: -20.0 ms were left")
    assert session.sizes == [1]


def test_a_hopeless_task_is_given_up_until_it_may_have_become_hopeful() -> None:
    made = engine(bounds=Bounds(max_batch=1), latency_ms=100.0)
    made.receive(task(1), 0, T0)
    work(made, T0, took_ms=100.0)
    (gone,) = made.receive(task(2, deadline=T0 + 240), 1, T0 + 200)
    assert gone.result.status == "dropped"
    assert gone.result.reason == (
        "rejected: 40.0 ms were left; the worker is busy for 0.0 ms, and double.n is expected to "
        "take 100.0 ms"
    )
    later = T0 + 40_000
    made.receive(task(3, deadline=later + 40), 2, later)
    assert work(made, later)[0].status == "ok"


def test_batches_grow_as_far_as_every_deadline_allows() -> None:
    session = FakeSession()
    made = engine(session=session, bounds=Bounds(max_batch=8), latency_ms=10.0)
    for number in range(5):
        made.receive(task(number, deadline=T0 + 35), number, T0)
    assert len([result for result in work(made, T0) if result.status == "ok"]) == 3
    assert session.sizes == [3]


def test_what_takes_several_inputs_is_learned_by_their_number() -> None:
    made = engine(latency_ms=10.0)
    for number in range(4):
        made.receive(task(number), number, T0)
    assert made.queued("double.n") == (4, 40.0)
    work(made, T0, 12.0)
    for number in range(4, 8):
        made.receive(task(number), number, T0 + 20)
    waiting, work_ms = made.queued("double.n")
    assert waiting == 4
    assert work_ms == pytest.approx(12.0)


def test_shapes_and_models_are_not_mixed() -> None:
    made = engine()
    made.host(hosted("other"), WARM)
    made.receive(task(1), 0, T0)
    made.receive(task(2, "other"), 1, T0)
    made.receive(task(3), 2, T0)
    assert [[r.task_id for r in work(made)] for _ in range(2)] == [["t1", "t3"], ["t2"]]


def test_a_former_loading_finishes_what_waits_for_it() -> None:
    former, latter = FakeSession(), FakeSession()
    made = engine(session=former)
    made.receive(task(1), 0, T0)
    made.host(replace(hosted(session=latter), loaded_as="double#2"), WARM)
    made.receive(task(2), 1, T0)
    assert [[r.task_id for r in work(made)] for _ in range(2)] == [["t1"], ["t2"]]
    assert (former.sizes, latter.sizes) == ([1], [1])


def test_one_bad_input_fails_alone() -> None:
    made = engine()
    (wrong,) = made.receive(task(1, inputs=(tensor(1.0, dtype="float64"),)), 0, T0)
    assert wrong.result.status == "failed"
    assert wrong.result.reason == "input x is float64; the model takes float32"
    (shape,) = made.receive(task(2, inputs=(tensor(1.0, 2.0, 3.0),)), 1, T0)
    assert shape.result.reason == "input x has shape 1x3; the model takes ?x2"
    made.receive(task(3, inputs=(tensor(-1.0, 0.0),)), 2, T0)
    made.receive(task(4), 3, T0)
    results = {r.task_id: r for r in work(made)}
    assert (results["t3"].status, results["t3"].reason) == ("failed", "refused")
    assert results["t4"].status == "ok"


def test_repeated_tasks_are_recognised() -> None:
    seen = Seen()
    made = engine(seen=seen)
    made.receive(task(1), 0, T0)
    assert made.is_open("t1")
    assert made.receive(task(1), 1, T0) == []
    (result,) = work(made)
    again = made.receive(task(1), 2, T0 + 50)
    assert [(entry.result, entry.offset) for entry in again] == [(result, 2)]
    assert seen.ends == [(result, None)]


def test_an_instance_that_is_left_finishes_what_waits() -> None:
    made = engine()
    made.receive(task(1), 0, T0)
    assert made.queued("double.n") == (1, 5.0)
    made.leave("double.n")
    (refused,) = made.receive(task(2), 1, T0)
    assert refused.result.reason == "double.n is not ready on n"
    assert work(made)[0].status == "ok"
    assert made.queued("double.n") == (0, 0.0)


def test_what_waits_when_the_worker_stops_is_dropped_with_the_reason() -> None:
    made = engine()
    for number in range(3):
        made.receive(task(number), number, T0)
    ended = made.drain(T0 + 5, "the worker stops {now}")
    assert [(e.result.status, e.result.reason, e.offset) for e in ended] == [
        ("dropped", "the worker stops {now}", number) for number in range(3)
    ]
    assert made.idle


def test_it_waits_for_what_is_worth_more_and_says_until_when_and_why() -> None:
    seen = Seen()
    made = engine(seen=seen, latency_ms=5.0)
    made.host(hosted("slow", latency_ms=50.0), WARM)
    for number in range(6):
        now = T0 + 100.0 * number
        made.receive(task(number, deadline=int(now) + 20, priority=2), number, now)
        assert work(made, now, 5.0)[0].status == "ok"
    now = T0 + 590.0
    made.receive(task(9, "slow", deadline=int(now) + 500), 9, now)
    step = made.decide(now)
    assert step.batch is None
    assert step.wake_at is not None
    assert step.wake_at > now
    assert step.why.startswith("waits for double.n, expected until ")
    assert seen.decisions[-1].wake_at == step.wake_at
    while step.wake_at is not None:
        now, step = step.wake_at, made.decide(step.wake_at)
    assert T0 + 600 < now <= T0 + 650
    assert step.batch is not None
    assert [job.id for job in step.batch.jobs] == ["t9"]


@pytest.mark.parametrize("told", [True, False])
def test_tasks_that_were_read_together_came_when_they_came(*, told: bool) -> None:
    made = engine(latency_ms=2.0)
    made.host(hosted("slow", latency_ms=50.0), WARM)
    read = T0 + 500.0
    for number in range(6):
        arrived = T0 + 100.0 * number if told else None
        made.receive(task(number, deadline=T0 + 520, priority=2), number, read, arrived)
    assert {(result.status, result.queue_ms) for result in work(made, read, 12.0)} == {("ok", 0.0)}
    made.receive(task(9, "slow", deadline=T0 + 1000), 9, T0 + 590)
    assert (made.decide(T0 + 590).batch is None) == told


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[int, int, int, bool]]:
    """Draw (waiting before it, ms; priority; slack, ms; good input) per task."""
    step = st.tuples(st.integers(0, 20), st.integers(0, 2), st.integers(-5, 60), st.booleans())
    return draw(st.lists(step, max_size=40))


@given(
    courses(),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(1, 30),
    st.sampled_from(sorted(names.OWN)),
)
def test_every_task_gets_exactly_one_terminal_result(
    course: list[tuple[int, int, int, bool]], tasks: int, ms: int, size: int, took: int, by: str
) -> None:
    session, seen = FakeSession(), Seen()
    bounds = Bounds(queue_tasks=tasks, queue_ms=float(ms), max_batch=size)
    made = engine(names.order(by), seen, session, bounds)
    now = float(T0)
    results: list[InferenceResult] = []
    for number, (gap, priority, slack, good) in enumerate(course):
        now += gap
        if gap > 5:
            results += work(made, now, took)
        asked = task(number, priority=priority, deadline=int(now) + slack)
        asked = asked if good else replace(asked, inputs=())
        results += [entry.result for entry in made.receive(asked, number, now)]
        waiting, work_ms = made.queued("double.n")
        assert waiting <= tasks
        assert work_ms <= ms or waiting == 1
    while not made.idle:
        results += work(made, now, took)
        now += took
    assert sorted(r.task_id for r in results) == sorted(f"t{n}" for n in range(len(course)))
    assert [result for result, _ in seen.ends] == results
    deadlines = {f"t{n}": r for n, r in enumerate(course)}
    for result in results:
        if result.status == "ok":
            assert result.received_at + result.queue_ms < result.finished_at
            assert deadlines[result.task_id][2] > result.queue_ms
        else:
            assert result.reason
    assert max(session.sizes, default=0) <= size


def test_progress_is_the_lowest_task_without_a_result() -> None:
    progress = Progress()
    assert progress.position is None
    for offset in (4, 5, 6):
        progress.begin(offset)
    progress.done(5)
    assert (progress.position, progress.under_way) == (4, 2)
    progress.done(4)
    assert progress.position == 6
    progress.done(6)
    assert (progress.position, progress.under_way) == (7, 0)

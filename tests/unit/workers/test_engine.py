"""The worker's decisions: order, bounds, expiry, batches, and one result for every task."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.inference import InferenceResult
from tests.unit.workers.inference_world import T0, FakeSession, hosted, task, tensor
from workers.inference.engine import Engine, EngineParams
from workers.inference.executing import execute
from workers.inference.progress import Progress


def engine(**fields: object) -> Engine:
    made = Engine(EngineParams(node="n", worker="w", **fields))  # type: ignore[arg-type]
    made.host(hosted())
    return made


def work(made: Engine, now_ms: float = T0, took_ms: float = 1.0) -> list[InferenceResult]:
    """Execute the next batch as if it took a given time."""
    ended = [entry.result for entry in made.expire(now_ms)]
    batch = made.next_batch(now_ms)
    if not batch:
        return ended
    executed = replace(execute(batch, now_ms, 1.0, lambda _: None), execution_ms=took_ms)
    return ended + [entry.result for entry in made.finish(batch, executed, now_ms + took_ms)]


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


def test_the_most_important_goes_first_and_then_the_most_urgent() -> None:
    made = engine(max_batch=1)
    made.receive(task(1, deadline=T0 + 900), 0, T0)
    made.receive(task(2, deadline=T0 + 500), 1, T0)
    made.receive(task(3, deadline=T0 + 999, priority=2), 2, T0)
    done = [work(made)[0].task_id for _ in range(3)]
    assert done == ["t3", "t2", "t1"]


def test_a_full_queue_drops_the_lowest_with_reason_and_numbers() -> None:
    made = engine(queue_tasks=2)
    assert made.receive(task(1, priority=1), 0, T0) == []
    assert made.receive(task(2, priority=0), 1, T0) == []
    (gone,) = made.receive(task(3, priority=1), 2, T0 + 4)
    assert (gone.result.task_id, gone.result.status, gone.offset) == ("t2", "dropped", 1)
    assert gone.result.reason is not None
    assert gone.result.reason.startswith("queue full: 2 tasks and")
    assert gone.result.queue_ms == 4


def test_the_queue_is_bounded_in_work_too() -> None:
    made = engine(queue_ms=50)
    made.host(hosted(latency_ms=20.0))
    statuses = [made.receive(task(n), n, T0) for n in range(4)]
    assert [len(ended) for ended in statuses] == [0, 0, 1, 1]


def test_a_passed_deadline_is_not_executed() -> None:
    session = FakeSession()
    made = engine()
    made.host(hosted(session=session))
    made.receive(task(1, deadline=T0 + 10), 0, T0)
    (result,) = work(made, T0 + 10)
    assert (result.status, result.reason) == ("expired", "the deadline passed while it waited")
    assert session.sizes == []


def test_a_hopeless_task_is_given_up_until_it_may_have_become_hopeful() -> None:
    made = engine(max_batch=1)
    made.receive(task(1), 0, T0)
    work(made, T0, took_ms=100.0)
    made.receive(task(2, deadline=T0 + 240), 1, T0 + 200)
    (result,) = work(made, T0 + 200)
    assert result.status == "expired"
    assert result.reason == "40.0 ms were left; no execution took less than 50.0 ms"
    later = T0 + 40_000
    made.receive(task(3, deadline=later + 40), 2, later)
    assert work(made, later)[0].status == "ok"


def test_batches_grow_as_far_as_every_deadline_allows() -> None:
    session = FakeSession()
    made = engine(max_batch=8)
    made.host(hosted(session=session, latency_ms=10.0))
    for number in range(5):
        made.receive(task(number, deadline=T0 + 35), number, T0)
    assert len(work(made, T0)) == 3
    assert session.sizes == [3]


def test_shapes_and_models_are_not_mixed() -> None:
    made = engine()
    made.host(hosted("other"))
    made.receive(task(1), 0, T0)
    made.receive(task(2, "other"), 1, T0)
    made.receive(task(3), 2, T0)
    assert [[r.task_id for r in work(made)] for _ in range(2)] == [["t1", "t3"], ["t2"]]


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
    made = engine()
    made.receive(task(1), 0, T0)
    assert made.is_open("t1")
    assert made.receive(task(1), 1, T0) == []
    (result,) = work(made)
    again = made.receive(task(1), 2, T0 + 50)
    assert [(entry.result, entry.offset) for entry in again] == [(result, 2)]


def test_an_instance_that_is_left_finishes_what_waits() -> None:
    made = engine()
    made.receive(task(1), 0, T0)
    assert made.queued("double.n") == (1, 5.0)
    made.leave("double.n")
    (refused,) = made.receive(task(2), 1, T0)
    assert refused.result.reason == "double.n is not ready on n"
    assert work(made)[0].status == "ok"


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[int, int, int, bool]]:
    """Draw (waiting before it, ms; priority; slack, ms; good input) per task."""
    step = st.tuples(st.integers(0, 20), st.integers(0, 2), st.integers(-5, 60), st.booleans())
    return draw(st.lists(step, max_size=40))


@given(courses(), st.integers(1, 5), st.integers(1, 40), st.integers(1, 4), st.integers(1, 30))
def test_every_task_gets_exactly_one_terminal_result(
    course: list[tuple[int, int, int, bool]], tasks: int, ms: int, size: int, took: int
) -> None:
    session = FakeSession()
    made = engine(queue_tasks=tasks, queue_ms=ms, max_batch=size)
    made.host(hosted(session=session))
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

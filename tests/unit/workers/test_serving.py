"""The terms on which an instance is served: registration, worker, and what tasks are given."""

import math
from dataclasses import replace

import pytest

from schemas.records import KeyValue
from tests.unit.workers.inference_world import T0, FakeSession, hosted, port, task
from workers import order_plugins
from workers.inference.engine import Engine, EngineParams
from workers.inference.loop import engine_params
from workers.inference.pending import value_of
from workers.inference.serving import Bounds, Budget, Serving, serving_of, terms_of
from workers.runtimes.base import Signature
from workers.runtimes.errors import BrokenModel
from workers.scheduling.profiles import Profiles
from workers.settings import WorkerSettings


def entries(**options: str) -> tuple[KeyValue, ...]:
    other = KeyValue(key="HTTP_PROXY", value="of no concern")
    named = (KeyValue(key=f"serve.{key}", value=value) for key, value in options.items())
    return (other, *named)


def test_a_registration_says_what_it_wants_and_the_worker_the_rest() -> None:
    environment = entries(
        budget_ms="40",
        queue_tasks="8",
        drop="newest",
        max_batch="8",
        preferred="1, 4,8",
        **{"batch_ms.4": "12.5"},
    )
    made = terms_of(hosted(environment=environment, latency_ms=6.0), Bounds(max_gap_ms=70.0), 500.0)
    assert (made.name, made.budget_ms, made.prior_ms) == ("double.n", 40.0, 6.0)
    assert (made.queue_tasks, made.queue_ms, made.drop) == (8, 2000.0, "newest")
    assert (made.max_batch, made.preferred, made.prior_batches) == (8, (1, 4, 8), ((4, 12.5),))
    assert (made.max_gap_ms, made.variant, made.device) == (70.0, "cpu-fp32", "cpu")
    assert terms_of(hosted(), Bounds(), 500.0).budget_ms == 500.0


def test_what_is_declared_is_believed_until_it_has_run() -> None:
    environment = entries(**{"batch_ms.1": "5", "batch_ms.4": "11"})
    profile = Profiles().of(terms_of(hosted(environment=environment), Bounds(), 100.0))
    assert [profile.typical(size) for size in (1, 2, 4)] == [5.0, 7.0, 11.0]


def test_a_model_that_takes_one_input_has_batches_of_one() -> None:
    fixed = FakeSession(Signature((port("x", 1, 2),), (port("y", 1, 2),)))
    environment = entries(max_batch="8", preferred="4,8")
    made = terms_of(hosted(session=fixed, environment=environment), Bounds(), 100.0)
    assert (made.max_batch, made.preferred) == (1, ())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"budget": "40"}, r"option serve\.budget: unknown key; did you mean 'budget_ms'\?"),
        ({"budget_ms": "nan"}, r"option serve\.budget_ms: it is 'nan' and should be a finite"),
        ({"queue_tasks": "0"}, r"option serve\.queue_tasks: it is '0' and should be greater"),
        ({"drop": "all"}, r"option serve\.drop: it is 'all' and should be 'oldest', 'newest'"),
        (
            {"preferred": "1,two"},
            r"option serve\.preferred\[1\]: it is 'two' and should be a valid integer",
        ),
        ({"batch_ms.4": "-1"}, r"option serve\.batch_ms\.4: it is '-1' and should be greater"),
    ],
)
def test_terms_that_cannot_be_used_break_the_instance(options: dict[str, str], why: str) -> None:
    with pytest.raises(BrokenModel, match=f"^{why}"):
        serving_of(hosted(environment=entries(**options)).service)
    assert serving_of(hosted().service) == Serving()


def test_the_budget_is_what_tasks_are_given_and_seldom_looked_at() -> None:
    budget = Budget()
    assert budget.moved(-5.0, 1000.0) is None
    assert budget.moved(100.0, 1000.0) == 100.0
    assert [budget.moved(400.0, 100.0) for _ in range(16)] == [None] * 15 + [400.0]
    assert [budget.moved(401.0, 400.0) for _ in range(32)] == [None] * 32


def test_other_budgets_lose_no_task_and_make_no_model_cold() -> None:
    made = Engine(EngineParams(node="n", worker="w", bounds=Bounds(max_batch=1)))
    made.host(hosted(latency_ms=10.0), (500.0, 20.0, 20.0))
    assert made.receive(task(0, deadline=T0 + 60), 0, T0) == []
    assert made.queued("double.n") == (1, 20.0)
    for number in range(1, 17):
        made.receive(task(number, deadline=T0 + 900), number, T0)
    assert made.queued("double.n") == (17, 340.0)
    step = made.decide(T0)
    assert step.batch is not None
    assert step.batch.predicted_ms == 20.0


def test_each_priority_is_worth_so_many_times_the_one_below() -> None:
    assert [value_of(priority, 10.0) for priority in (-1, 0, 2)] == [0.1, 1.0, 100.0]
    assert value_of(5, 1.0) == 1.0
    extremes = [value_of(priority, 1e6) for priority in (-(10**9), 10**9)]
    assert all(math.isfinite(value) and value > 0.0 for value in extremes)


def test_settings_say_the_bounds_of_worker_and_instance() -> None:
    own = WorkerSettings(node="n", worker="w", queue_tasks=7, queue_ms=70)
    params = engine_params(own)
    assert (params.scheduler.queue_tasks, params.scheduler.queue_ms) == (7, 70.0)
    assert (params.bounds.queue_tasks, params.bounds.queue_ms) == (7, 70.0)
    assert params.bounds.max_age_ms == math.inf
    update = {"service_queue_tasks": 3, "service_queue_ms": 30, "max_age_ms": 5.0, "drop": "oldest"}
    bounds = engine_params(own.model_copy(update=update)).bounds
    assert bounds == replace(
        params.bounds, queue_tasks=3, queue_ms=30.0, max_age_ms=5.0, drop="oldest"
    )
    assert engine_params(WorkerSettings()).bounds == Bounds()


def test_the_order_is_named() -> None:
    assert order_plugins.named(WorkerSettings().order).name == "weir"
    with pytest.raises(ValueError, match="order 'best' is unknown; known are"):
        order_plugins.named("best")

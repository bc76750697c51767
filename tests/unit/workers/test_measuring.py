"""What a worker tells of its work: every task once, in bounded memory."""

import json
from dataclasses import replace

import pytest

from schemas.codec import pack
from schemas.inference import InferenceTask
from tests.unit.workers.inference_world import T0, hosted, task, tensor
from workers.accounting.account import MOST_SERVICES, OTHERS, Account
from workers.inference.engine import Engine, EngineParams
from workers.inference.executing import execute
from workers.inference.measuring import MOST_SAMPLES, STOPPED, Telemetry
from workers.inference.results import Home
from workers.inference.serving import Bounds
from workers.scheduling.jobs import Batch, Job

ME = "double.n"


class World:
    """An engine that is watched, and time that goes on only when told."""

    def __init__(self, **bounds: object) -> None:
        self.telemetry = Telemetry(Home("n", "w"), T0, expiry_ms=15_000)
        params = EngineParams(node="n", worker="w", bounds=Bounds(**bounds))  # type: ignore[arg-type]  # of Bounds
        self.engine = Engine(params, observers=(self.telemetry,))
        self.engine.host(hosted(), (9.0, 10.0))

    def take(self, *tasks: InferenceTask, at: float = T0) -> None:
        for each in tasks:
            self.engine.receive(each, 0, at)

    def work(self, at: float, took_ms: float = 10.0) -> None:
        step = self.engine.decide(at)
        if step.batch is not None:
            executed = execute(step.batch, at, 1.0, lambda _: None)
            done = replace(executed, execution_ms=took_ms)
            self.engine.finish(step.batch, done, at + took_ms)


def test_every_task_is_told_of_once_and_with_its_reason() -> None:
    world = World(queue_tasks=2, max_batch=1, drop="newest")
    world.take(task(1), task(2), task(3), task(4, inputs=()), task(5, "other"))
    world.work(T0 + 1)
    world.work(T0 + 20, took_ms=2_000.0)
    told = world.telemetry.report(T0 + 2_020.0)
    mine = next(one for one in told.services if one.instance == ME)
    assert (mine.service, mine.app, mine.stage) == ("double", "digits", "classify")
    assert (mine.arrived, mine.in_time, mine.late, mine.failed) == (4, 1, 1, 1)
    assert [(r.what, r.reason, r.count) for r in mine.reasons] == [
        ("dropped", "queue-full", 1),
        ("failed", "failed", 1),
    ]
    assert "at most 2" in mine.reasons[0].example
    assert mine.deadline_hit_ratio == 0.25
    assert (mine.queue_p50_ms, mine.execution_p99_ms) == (1.0, 2_000.0)
    other = next(one for one in told.services if one.instance == "other.n")
    assert (other.arrived, other.failed) == (1, 1)
    assert told.busy_share == pytest.approx(2_010 / 2_020)
    assert told.wasted_share == pytest.approx(2_000 / 2_020)
    assert sum(one.count for one in told.decisions if one.what == "begun") == 2


def test_a_broken_execution_fails_alone() -> None:
    world = World()
    world.take(task(1), replace(task(2), inputs=(tensor(-1, 0),)))
    world.work(T0 + 1)
    mine = world.telemetry.report(T0 + 50.0).services[0]
    assert (mine.in_time, mine.failed, mine.waiting) == (1, 1, 0)
    assert mine.reasons[0].example == "refused"


def test_what_waits_shows_in_the_backlog_until_it_went() -> None:
    world = World(max_batch=1)
    world.take(task(1), task(2), task(3))
    world.work(T0 + 3_500)
    world.engine.drain(T0 + 6_000, "over")
    world.take(task(9), at=T0 + 9_000)
    told = world.telemetry.report(T0 + 9_000.0)
    assert [(one.at - T0, one.waiting) for one in told.backlog] == [
        (0, 0), *((at * 1000, 3) for at in (1, 2, 3)), *((at * 1000, 0) for at in range(4, 10)),
    ]  # fmt: skip
    assert told.services[0].longest_gap_ms == 3_500.0


def test_metrics_count_anew_each_time() -> None:
    world = World()
    world.take(task(1))
    world.work(T0 + 1)
    first = {m.metric: m for m in world.telemetry.metrics(T0 + 100.0)}
    again = {m.metric: m for m in world.telemetry.metrics(T0 + 200.0)}
    assert first["worker.executed"].value == 1.0
    assert first["worker.executed"].instance == ME
    assert first["worker.queue.p95"].value == 1.0
    assert first["worker.busy"].value == pytest.approx(0.1)
    assert (first["worker.busy"].app, first["worker.busy"].instance) == ("nodes", "w")
    assert first["worker.decisions"].value == 1.0
    assert again["worker.busy"].value == 0.0
    assert "worker.executed" not in again
    assert all(pack(metric) for metric in first.values())


def test_what_waits_on_disk_is_told_once_it_is_known() -> None:
    world = World()
    assert not [m for m in world.telemetry.metrics(T0 + 100.0) if "spool" in m.metric]
    world.telemetry.spooled(3, 1_200)
    told = {m.metric: m for m in world.telemetry.metrics(T0 + 200.0)}
    assert (told["worker.spool.events"].value, told["worker.spool.bytes"].value) == (3.0, 1_200.0)
    assert told["worker.spool.bytes"].instance == "w"


def test_reports_are_events_and_json() -> None:
    world = World()
    world.take(task(1))
    running = world.telemetry.report(T0 + 5.0)
    assert running.expires_at - running.heartbeat == 15_000
    assert running.services[0].waiting == 1
    stopped = world.telemetry.report(T0 + 5.0, STOPPED)
    assert stopped.expires_at == stopped.heartbeat
    assert pack(stopped)
    told = json.loads(json.dumps(world.telemetry.summary(), allow_nan=False))
    assert (told["worker"], told["services"][ME]["waiting"]) == ("w", 1)


def _job(number: int, service: str) -> Job:
    return Job(id=f"{number}", service=service, arrived=float(number), deadline=number + 50.0)


def test_memory_does_not_grow_with_tasks_services_or_time() -> None:
    account = Account(every_ms=1.0)
    for number in range(2 * MOST_SERVICES):
        job = _job(number, f"s{number}")
        account.came(job, float(number))
        batch = Batch(job.service, (job,), 1.0)
        account.begins(batch, float(number))
        account.executed(batch, float(number), number + 1.0)
    account.close(1e9)
    told = account.summary()
    assert len(told["services"]) == MOST_SERVICES + 1
    assert told["services"][OTHERS]["executed"] == MOST_SERVICES
    assert told["total"]["executed"] == 2 * MOST_SERVICES
    assert len(told["backlog"]["samples"]) <= 401
    assert not account.waiting


def test_a_report_holds_few_samples_the_newest_among_them() -> None:
    world = World()
    world.take(task(1), at=T0 + 1e9)
    backlog = world.telemetry.report(T0 + 1e9).backlog
    assert MOST_SAMPLES / 4 < len(backlog) <= MOST_SAMPLES
    assert backlog[-1].at > T0 + 0.98e9

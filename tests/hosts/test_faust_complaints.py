"""What Faust is known to do wrong, provoked: it does not happen here, or the guard tells it."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from schemas import topics
from schemas.codec import Codec, unpack_state
from schemas.decisions import Snapshot
from schemas.processing import Output
from streams import guard
from tests.broker.cluster import kafka_or_skip
from tests.hosts.faust_world import FaustWorld, Worker
from tests.hosts.samples import Tally, TallyState, observations, tally
from tests.hosts.test_faust_host import complete, launch, said
from tests.hosts.worlds import LOGS, cluster_of, kafka_world, wait_until
from workers.settings import KafkaSettings, Settings
from workers.snapshots import keeping as snapshots

SESSION_S = 1.0
Sabotage = Callable[[Worker], Coroutine[Any, Any, None]]


def faust_on(settings: Settings, broker_pid: int, folder: Path) -> FaustWorld:
    host = settings.host.model_copy(update={"patience_s": 1.0})
    return FaustWorld(settings.model_copy(update={"data_dir": folder, "host": host}), broker_pid)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[FaustWorld]:
    with kafka_world(tmp_path) as made:
        yield faust_on(made.settings, made.broker_pid, tmp_path)


@pytest.fixture(params=LOGS)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaustWorld]:
    with kafka_world(tmp_path, cluster_of(request)) as made:
        yield faust_on(made.settings, made.broker_pid, tmp_path)


@pytest.fixture
def strict(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaustWorld]:
    """A world of short sessions, on a broker that keeps to them; the embedded one does not."""
    with kafka_world(tmp_path, request.getfixturevalue("apache")) as made:
        session = {"session_timeout_ms": int(1000 * SESSION_S)}
        kafka = made.settings.kafka.model_copy(update=session)
        settings = made.settings.model_copy(update={"kafka": kafka})
        yield faust_on(settings, made.broker_pid, tmp_path)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LOOK_S", 0.3)


async def cancel_the_agent(worker: Worker) -> None:
    (agent,) = worker.app.agents.values()
    for actor in list(agent._actors):
        actor.cancel()


async def cancel_the_task(worker: Worker) -> None:
    for task in asyncio.all_tasks():
        if "Hosted.work" in awaited(task.get_coro()):
            task.cancel()


def awaited(coroutine: Any) -> list[str]:
    """Return the names of the coroutines that wait for each other, from the outermost on."""
    names = []
    while coroutine is not None:
        names.append(getattr(coroutine, "__qualname__", ""))
        coroutine = getattr(coroutine, "cr_await", None)
    return names


async def stop_the_fetcher(worker: Worker) -> None:
    for future in worker.app._fetcher._futures:
        future.cancel()


async def leave_partitions(worker: Worker) -> None:
    worker.app.consumer.pause_partitions({TP("weir.observations", p) for p in range(4)})


def do(worker: Worker, what: Coroutine[Any, Any, None]) -> None:
    """Do something in the worker's own thread."""
    asyncio.run_coroutine_threadsafe(what, worker.app.loop).result(20)


async def block_the_loop(_: Worker) -> None:
    asyncio.get_running_loop().call_later(0.1, time.sleep, 4.0)


def told_by_the_guard(world: FaustWorld, sabotage: Sabotage) -> Worker:
    """Do something bad to a worker that works, and return it once it is not live any more."""
    with world.worker([tally()]) as worker:
        world.produce(observations(50))
        wait_until(lambda: said(world) == complete(10) and worker.app.is_ready())
        time.sleep(1.5)
        assert worker.app.is_live(), "nothing waits: an idle worker does not stand still"
        do(worker, sabotage(worker))
        world.produce(observations(50, first=50))
        wait_until(lambda: not worker.app.is_live())
        assert not worker.app.is_ready()
        assert said(world) != complete(20), "it stands still"
    return worker


def test_a_partition_that_nobody_fetches_is_told_and_a_successor_goes_on(
    world: FaustWorld,
) -> None:
    told_by_the_guard(world, leave_partitions)
    with world.worker([tally()]):
        wait_until(lambda: said(world) == complete(20))


@pytest.mark.faults
@pytest.mark.parametrize("sabotage", [cancel_the_agent, cancel_the_task, stop_the_fetcher])
def test_what_stops_without_a_word_is_told_and_a_successor_goes_on(
    either: FaustWorld, sabotage: Sabotage
) -> None:
    told_by_the_guard(either, sabotage)
    with either.worker([tally()]):
        wait_until(lambda: said(either) == complete(20))


@pytest.mark.faults
def test_a_blocked_event_loop_is_told_and_forgiven(either: FaustWorld) -> None:
    with either.worker([tally()]) as worker:
        world = either
        wait_until(worker.app.is_ready)
        do(worker, block_the_loop(worker))
        wait_until(lambda: not worker.app.is_live())
        world.produce(observations(50))
        wait_until(lambda: said(world) == complete(10) and worker.app.is_live())


async def throw_away(worker: Worker) -> None:
    """Fetch records and forget them, as Faust does when flow is stopped meanwhile."""
    consumer: Any = worker.app.consumer
    thread = consumer._thread
    found = await thread.call_thread(thread._consumer.getmany, timeout_ms=5000)
    assert found
    await consumer.perform_seek()
    consumer.resume_flow()


def test_what_was_fetched_while_flow_was_stopped_is_fetched_again(world: FaustWorld) -> None:
    """Faust then seeks to what is committed; that is nowhere when nothing is."""
    with world.worker([tally()]) as worker:
        wait_until(worker.app.is_ready)
        worker.app.loop.call_soon_threadsafe(worker.app.consumer.stop_flow)
        time.sleep(1.5)  # longer than the fetch that is under way
        world.produce(observations(50))
        do(worker, throw_away(worker))
        wait_until(lambda: said(world) == complete(10))


class Silent(Tally):
    """A Tally whose timer changes its state and says nothing."""

    def _summary(self, now_ms: int) -> Sequence[Output]:
        super()._summary(now_ms)
        return []


def newest(world: FaustWorld) -> dict[str, Snapshot]:
    """Return the newest snapshot of each instance."""
    return {e.key: e for e in world.events("weir.snapshots") if isinstance(e, Snapshot)}


def dues(world: FaustWorld) -> set[int | None]:
    return {unpack_state(s.state, TallyState).due for s in newest(world).values()}


def test_a_timer_that_says_nothing_is_kept_and_older_state_is_brought_up_to_date(
    world: FaustWorld,
) -> None:
    with world.worker([tally(Silent)]):
        world.produce(observations(50))
        wait_until(lambda: said(world) == complete(10))
        wait_until(lambda: dues(world) == {None})
        older = list(newest(world).values())
        world.produce(observations(50, first=50))
        wait_until(lambda: said(world) == complete(20))
    world.produce(older)
    with world.worker([tally(Silent)]):
        world.produce(observations(50, first=100))
        wait_until(lambda: said(world) == complete(30))


def test_who_restores_for_longer_than_its_session_stays_a_member(
    strict: FaustWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka sends no heartbeats until whoever listens to assignments has returned."""
    read, restored = snapshots.read_latest, []

    def slowly(settings: KafkaSettings, codec: Codec, keys: Sequence[str]) -> dict[str, Snapshot]:
        restored.append(keys)
        time.sleep(4 * SESSION_S)
        return read(settings, codec, keys)

    monkeypatch.setattr(snapshots, "read_latest", slowly)
    with strict.worker([tally()]):
        strict.produce(observations(50))
        wait_until(lambda: said(strict) == complete(10))
        strict.produce(observations(50, first=50))
        wait_until(lambda: said(strict) == complete(20))
    assert len(restored) == 1


def test_who_cannot_restore_ends(world: FaustWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(*_: object) -> dict[str, Snapshot]:
        raise ZeroDivisionError

    monkeypatch.setattr(snapshots, "read_latest", spoilt)
    with world.worker([tally()]) as worker:
        wait_until(lambda: isinstance(worker.error, ZeroDivisionError))
        assert not worker.app.is_ready()


@contextmanager
def processes(settings: Settings) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Give a way to start workers as processes; at the end all must end well, within 10 s."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        started.append(launch(settings))
        return started[-1]

    try:
        yield start
        for process in started:
            process.terminate()
        codes = [process.wait(60) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    log = (settings.data_dir / "worker.log").read_text("utf-8")
    assert codes == [0] * len(started), log
    assert "Traceback" not in log, log


@pytest.mark.faults
def test_a_worker_that_sleeps_beyond_its_session_harms_nothing(either: FaustWorld) -> None:
    world = either
    with processes(world.settings) as start:
        world.produce(observations(500))
        first = start()
        wait_until(lambda: bool(world.events("weir.quality")))
        os.kill(first.pid, signal.SIGSTOP)
        before = sum(map(len, said(world).values()))
        second = start()
        wait_until(lambda: said(world) == complete(100))
        os.kill(first.pid, signal.SIGCONT)
        world.produce(observations(500, first=500))
        wait_until(lambda: said(world) == complete(200))
        second.terminate()
        assert second.wait(60) == 0
        world.produce(observations(100, first=1000))
        wait_until(lambda: said(world) == complete(220))
    assert 0 < before < 500


@pytest.mark.faults
def test_members_that_come_and_go_lose_and_repeat_nothing(either: FaustWorld) -> None:
    world = either
    sent = 0
    with world.worker([tally()]) as stays:
        for turn in range(4):
            with world.worker([tally()]) as passing:
                world.produce(observations(100, first=sent))
                sent += 100
                if turn % 2:
                    wait_until(lambda worker=passing: bool(worker.owned()))  # type: ignore[misc]
        wait_until(lambda: said(world) == complete(sent // 5))
        wait_until(lambda: stays.owned() == set(range(topics.PARTITIONS)))
        assert stays.app.is_live()


@pytest.mark.faults
def test_a_broker_that_is_killed_and_comes_back_is_met_again(tmp_path: Path) -> None:
    with kafka_or_skip(tmp_path / "kafka") as cluster, kafka_world(tmp_path, cluster) as made:
        world = faust_on(made.settings, cluster.pid, tmp_path)
        with world.worker([tally()]) as worker:
            world.produce(observations(50))
            wait_until(lambda: said(world) == complete(10))
            cluster.nodes[0].kill()
            time.sleep(3)
            cluster.nodes[0].launch()
            cluster.nodes[0].wait()
            world.produce(observations(50, first=50))
            wait_until(lambda: said(world) == complete(20) or not worker.app.is_live())
        with world.worker([tally()]):
            wait_until(lambda: said(world) == complete(20))

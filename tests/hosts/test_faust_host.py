"""The Faust host on a real broker: same events as the processor alone, whatever happens."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import faust
import pytest

from schemas import files, topics
from schemas.base import Event
from schemas.codec import Codec, pack_state, unpack_state
from schemas.decisions import DeadLetter, Snapshot
from schemas.events import EVENTS
from schemas.identity import stable_id
from schemas.observing import DriftDetected, Observation, QualityEvaluated
from schemas.partitioning import partition_of
from schemas.processing import Batch, Output, Spec
from streams import faust_host
from streams.embedded.broker import Broker
from streams.errors import HostingError
from workers import kafka, kafka_reading
from workers.settings import KafkaSettings, Settings

APPS = ("anna", "berta", "carl", "dora", "emil", "frida")
PAUSE_MS = 150
_IDS = {event: number for number, event in enumerate(EVENTS.values(), 1)}
_TEXTS = {number: files.text(event.__name__) for event, number in _IDS.items()}
CODEC = Codec(_IDS, _TEXTS.__getitem__)


@dataclass(frozen=True)
class Counted:
    """State of Tally."""

    count: int
    due: int | None


class Tally:
    """Numbers what it sees; a while after the first event it says so, once."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._state = Counted(0, None)

    def process(self, batch: Batch) -> Sequence[Output]:
        count, due = self._state.count, self._state.due
        said: list[Output] = []
        if due is not None and not batch.records and batch.now_ms >= due:
            said.append(verdict("timer", f"partition{self._partition}", 0))
            due = 2**60
        for record in batch.records:
            count += 1
            due = due or batch.now_ms + PAUSE_MS
            said.append(verdict(record.event.event_id, record.event.app, count))
        self._state = Counted(count, due)
        return said

    def wake_at(self) -> int | None:
        return None if self._state.due == 2**60 else self._state.due

    def snapshot(self) -> bytes:
        return pack_state(self._state)

    def restore(self, data: bytes) -> None:
        self._state = unpack_state(data, Counted)


class Slow(Tally):
    """A Tally that takes its time, so that it can be interrupted."""

    def process(self, batch: Batch) -> Sequence[Output]:
        time.sleep(0.0005 * len(batch.records))
        return super().process(batch)


def verdict(cause: str, app: str, count: int) -> QualityEvaluated:
    return QualityEvaluated(
        event_id=stable_id("tally", app, cause),
        app=app,
        stage="",
        service="",
        instance="",
        metric="m",
        tier="rules",
        rule=cause,
        verdict="raised",
        severity="info",
        score=float(count),
        window_end=0,
        evaluated_at=0,
        causes=(cause,),
    )


def spec(**changes: object) -> Spec:
    values = {
        "name": "tally",
        "inputs": ("weir.observations", "weir.drifts"),
        "outputs": (QualityEvaluated,),
        "build": Tally,
        "parameters": "none",
    }
    return Spec(**(values | changes))


def observation(number: int) -> Observation:
    zero = dict.fromkeys(("mean", "std", "min", "max", "p50", "p90", "p95", "p99"), 0.0)
    places = dict.fromkeys(("stage", "service", "instance", "node", "unit"), "")
    return Observation(
        event_id=f"o{number}",
        app=APPS[number % len(APPS)],
        metric="m",
        window="w",
        window_start=0,
        window_end=1,
        count=1,
        late_count=0,
        emitted_at=1,
        **zero,
        **places,
    )


def drift(number: int) -> DriftDetected:
    places = dict.fromkeys(("stage", "service", "instance", "node", "cause_class"), "")
    return DriftDetected(
        event_id=f"d{number}",
        app=APPS[number % len(APPS)],
        metric="error",
        detector="adwin",
        status="confirmed",
        kind="sudden",
        before=0.1,
        after=0.5,
        width=10,
        degree=0.4,
        since=0,
        detected_at=0,
        **places,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with Broker(tmp_path / "broker.log") as broker:
        reach = KafkaSettings(bootstrap=broker.bootstrap, session_timeout_ms=1500)
        kafka.create_topics(reach, topics.TOPICS.values())
        yield Settings(kafka=reach, data_dir=tmp_path)


class Running:
    """A Faust app in a thread of its own."""

    def __init__(self, build: Callable[[], faust.App]) -> None:
        self.app: faust.App | None = None
        self._build = build
        self._started: Future[None] = Future()
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    async def _live(self) -> None:
        try:
            self.app = self._build()
            self.app.finalize()
            await self.app.start()
        except BaseException as error:
            self._started.set_exception(error)
            raise
        self._started.set_result(None)
        await asyncio.to_thread(self._end.wait)
        await self.app.stop()

    def __enter__(self) -> "Running":
        self._thread.start()
        self._started.result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def running(settings: Settings, what: Spec | None = None) -> Running:
    return Running(lambda: faust_host.build_app("tally", settings, [what or spec()], codec=CODEC))


def send(settings: Settings, events: Sequence[Event | bytes]) -> None:
    producer = kafka.producer(settings.kafka)
    for event in events:
        if isinstance(event, bytes):
            producer.produce("weir.observations", key=b"anna", value=event)
        else:
            key = topics.key_of(event).encode()
            producer.produce(topics.topic_of(event), key=key, value=CODEC.encode(event))
    assert producer.flush(10) == 0


def read(settings: Settings, kind: type[Event]) -> list[Event]:
    topic = topics.home_of(kind).name
    messages = kafka_reading.read_all(settings.kafka, [topic])
    return [CODEC.decode(message.value() or b"", kind) for message in messages]


def until(settings: Settings, kind: type[Event], number: int, limit_s: float = 20) -> list[Event]:
    end = time.monotonic() + limit_s
    while True:
        found = read(settings, kind)
        if len({event.event_id for event in found}) >= number:
            return found
        assert time.monotonic() < end, f"{len(found)} of {number}"
        time.sleep(0.05)


def numbered(events: Sequence[Event]) -> dict[str, float]:
    """Return what a processor alone would say: the place of each event in its partition."""
    counts: dict[int, int] = {}
    said = {}
    for event in events:
        partition = partition_of(event.app, topics.PARTITIONS)
        counts[partition] = counts.get(partition, 0) + 1
        said[event.event_id] = float(counts[partition])
    return said


def scores(found: Sequence[Event]) -> dict[str, float]:
    """Return score per cause; what is said twice must be the same."""
    said: dict[str, QualityEvaluated] = {}
    for event in found:
        assert said.setdefault(event.event_id, event) == event
    return {event.rule: event.score for event in said.values() if event.rule != "timer"}


def test_a_burst_with_bad_messages_repeats_and_timers(settings):
    events = [observation(number) for number in range(200)]
    whole = CODEC.encode(observation(1))
    bad = [b"junk", b"", whole[:9], whole + b"x"]
    mixed: list[Event | bytes] = [*events, *events[190:]]
    for place, value in zip((5, 6, 90, 150), bad, strict=True):
        mixed.insert(place, value)
    with running(settings) as host:
        send(settings, mixed)
        partitions = {partition_of(app, topics.PARTITIONS) for app in APPS}
        found = until(settings, QualityEvaluated, 200 + len(partitions))
        letters = until(settings, DeadLetter, len(bad))
        consumer = host.app.consumer._thread._consumer
        assert consumer._isolation_level == "read_committed"
    assert scores(found) == numbered(events)
    assert len(found) == 200 + len(partitions)
    kinds = ["not-framed", "not-framed", "malformed", "trailing-bytes"]
    assert [letter.error for letter in letters] == kinds
    assert {letter.processor for letter in letters} == {"tally"}


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
import test_faust_host as scenario
from streams import faust_host
from workers.settings import Settings
settings = Settings.model_validate_json({settings!r})
app = faust_host.build_app("tally", settings, [scenario.spec(build=scenario.Slow)], codec=scenario.CODEC)
faust_host.run(app)
"""


def process(settings: Settings) -> subprocess.Popen[bytes]:
    folder, given = str(Path(__file__).parent), settings.model_dump_json()
    program = PROGRAM.format(folder=folder, settings=given)
    with (settings.data_dir / "worker.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log)


def test_a_killed_worker_loses_nothing_and_repeats_only_equal_events(settings):
    events = [observation(number) for number in range(3000)]
    send(settings, events)
    first = process(settings)
    try:
        until(settings, QualityEvaluated, 1)
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    before = len(read(settings, QualityEvaluated))
    second = process(settings)
    try:
        partitions = {partition_of(app, topics.PARTITIONS) for app in APPS}
        found = until(settings, QualityEvaluated, 3000 + len(partitions), limit_s=30)
    finally:
        second.terminate()
        ended = second.wait(20)
    assert 0 < before < 3000
    assert scores(found) == numbered(events)
    assert ended == 0
    assert b"Traceback" not in (settings.data_dir / "worker.log").read_bytes()


def test_partitions_that_belong_together_move_together_with_their_state(settings):
    before = [kind(n) for n in range(60) for kind in (observation, drift)]
    after = [kind(n) for n in range(60, 120) for kind in (observation, drift)]
    with running(settings) as one:
        send(settings, before)
        until(settings, QualityEvaluated, 120)
        with running(settings) as two:
            wait_for(lambda: owned(one) and owned(two))
            send(settings, after)
            found = until(settings, QualityEvaluated, 240)
            for host in (one, two):
                assert owned(host, "weir.drifts") == owned(host, "weir.observations")
            assert owned(one) | owned(two) == set(range(topics.PARTITIONS))
            assert not owned(one) & owned(two)
    highest = {a: max(s.score for s in found if s.app == a) for a in APPS}
    sums = {p: 40 * [partition_of(a, 4) for a in APPS].count(p) for p in range(4)}
    by_partition = dict.fromkeys(sums, 0.0)
    for app, score in highest.items():
        p = partition_of(app, 4)
        by_partition[p] = max(by_partition[p], score)
    assert by_partition == {p: float(count) for p, count in sums.items()}
    kept = {snapshot.key: snapshot for snapshot in read(settings, Snapshot)}
    assert set(kept) == {f"tally/{p}" for p, count in sums.items() if count}


def owned(host: Running, topic: str = "weir.observations") -> set[int]:
    return {tp.partition for tp in host.app.consumer.assignment() if tp.topic == topic}


def wait_for(ready: Callable[[], object], limit_s: float = 20) -> None:
    end = time.monotonic() + limit_s
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_bug_in_a_processor_ends_the_worker(settings):
    class Broken(Tally):
        def process(self, batch: Batch) -> Sequence[Output]:
            raise ZeroDivisionError(len(batch.records))

    send(settings, [observation(1)])
    with running(settings, spec(build=Broken)) as host:
        wait_for(lambda: host.app.crashed)
    assert isinstance(host.app.crash_reason, ZeroDivisionError)


@pytest.mark.parametrize("changes", [{"columnar": True}, {"transactional": False}])
def test_processors_that_need_another_host_are_refused(changes):
    with pytest.raises(HostingError, match="weir run tally"):
        faust_host.build_app("tally", Settings(), [spec(**changes)])

"""Metrics that flow without end, and processes that are killed while they do."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from schemas.base import Event
from schemas.decisions import ActionTaken
from schemas.observing import LateMetric, MetricReport, Observation
from schemas.processing import Spec
from schemas.topics import key_of, topic_of
from tests.hosts.doomed import Blow, points, process
from tests.hosts.samples import EPOCH
from tests.hosts.worlds import CODEC, KafkaWorld, LocalWorld, wait_until

SERIES = 12
STEP_MS = 5
"""Event time from one metric to the next."""
LONGEST_LIFE_S = 3.0
T = TypeVar("T")
Life = Blow | float
"""How a process ends: at a point of its cycle, or so many seconds after its start."""


def stream(seed: int) -> Iterator[MetricReport]:
    """Yield metrics without end: out of order, one in fifty too late for any window."""
    dice = random.Random(seed)
    number = 0
    while True:
        behind = (
            dice.choice((0, 0, 0, 40, 250)) if dice.random() > 0.02 else dice.randint(900, 4000)
        )
        yield metric(EPOCH + 5_000 + number * STEP_MS - behind, dice.randrange(SERIES), number)
        number += 1


def metric(at: int, series: int, value: float) -> MetricReport:
    """Return a metric of one of the series."""
    return MetricReport(
        event_time=at, app=f"app {series % 4}", service=f"s{series}", metric="m", value=value
    )


class Feed:
    """Produces a stream in a thread, so many metrics a second, until it is ended.

    With `pauses` it falls silent now and then, for up to so many seconds.
    """

    def __init__(
        self, world: KafkaWorld, events: Iterator[MetricReport], rate: int, pauses: float = 0.0
    ) -> None:
        self.sent: list[MetricReport] = []
        self._world, self._events, self._rate, self._pauses = world, events, rate, pauses
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(300)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        dice, tick = random.Random(self._rate), 0.05
        while not self._stop.wait(tick):
            self.send([next(self._events) for _ in range(int(self._rate * tick))])
            if self._pauses and dice.random() < tick:
                self._stop.wait(dice.uniform(0, self._pauses))

    def send(self, events: list[MetricReport]) -> None:
        """Produce events, each with its event time as the time of its record."""
        for event in events:
            place = (topic_of(event), CODEC.encode(event), key_of(event).encode())
            self._world._producer.produce(*place, timestamp=event.event_time)
        assert self._world._producer.flush(60) == 0
        self.sent += events

    def close(self, after_ms: int = 600_000) -> None:
        """Produce one metric of each series, so late that every window before it ends."""
        last = max(event.event_time for event in self.sent) + after_ms
        self.send([metric(last, number, -1.0) for number in range(SERIES)])


def lives(seed: int, count: int, *, exact: bool, struck: float = 0.5) -> list[Life]:
    """Return how processes end, drawn by the seed; a share of them at points of the cycle."""
    draw = random.Random(seed)
    return [
        Blow(draw.choice(points(exact=exact)), time=draw.randint(1, 3))
        if draw.random() < struck
        else draw.uniform(0.05, LONGEST_LIFE_S)
        for _ in range(count)
    ]


def live(world: KafkaWorld, make: Callable[[], Spec], life: Life) -> None:
    """Run a host in a process that SIGKILL ends."""
    with process(world, make, life if isinstance(life, Blow) else None) as doomed:
        if isinstance(life, Blow):
            wait_until(lambda: not doomed.is_alive())
        else:
            doomed.join(life)
            doomed.kill()
            doomed.join()
        assert doomed.exitcode == -signal.SIGKILL


def suffer(world: KafkaWorld, make: Callable[[], Spec], seed: int, fates: list[Life]) -> float:
    """Run a host through all its lives; return how long they took in s."""
    begun = time.monotonic()
    for number, life in enumerate(fates):
        print(f"seed {seed}, life {number}: {life}")
        live(world, make, life)
    return time.monotonic() - begun


def undisturbed(
    make: Callable[[], Spec], definitions: list[Event], sent: list[MetricReport]
) -> LocalWorld:
    """Return a log in memory on which a host has worked through all that was sent."""
    world = LocalWorld(batch=10_000)
    world.produce(definitions)
    for event in sent:
        world.log.produce(event, timestamp=event.event_time)
    world.run(make(), lambda: False)
    return world


def accounted(events: list[Event]) -> Counter[str]:
    """Return how many metrics of each service are in final observations, counted late or told."""
    found: Counter[str] = Counter()
    for event in events:
        if isinstance(event, Observation) and event.final:
            found[event.service] += event.count + event.late_count
        elif isinstance(event, ActionTaken) and event.kind == "metrics.late":
            of = {pair.key: pair.value for pair in event.parameters}
            found[of["series"].split("/")[2]] += int(of["count"])
    return found


def finals(events: list[Event]) -> Counter[Event]:
    """Return final observations and late metrics, without what the clock decides."""
    found = [
        event
        for event in events
        if isinstance(event, LateMetric) or (isinstance(event, Observation) and event.final)
    ]
    return Counter(replace(event, emitted_at=0) for event in found)


def assert_promised(world: KafkaWorld, found: Counter[T], wanted: Counter[T]) -> None:
    """Assert that all stands there: once on Apache Kafka, at least once on the embedded broker."""
    missing, extra = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    assert not missing, f"{len(missing)} of {len(wanted)} are missing: {list(missing)[:3]}"
    assert not extra, f"{len(extra)} should not be there: {list(extra)[:3]}"
    if world.exact:
        twice = found - wanted
        assert not twice, f"{len(twice)} stand there again: {list(twice)[:3]}"

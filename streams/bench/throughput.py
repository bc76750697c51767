"""How many metrics a second the stack holds, and for how long: lag may not grow.

Lag is what the producer has sent less what a reader has applied, for each of the three readers of
weir.metrics: observe and drift as their snapshots say, which are committed with their outputs and
tell when they were taken, and the sink as ClickHouse says (highest offset stored). The worst of
the three is judged. The
first rate is raised until one is not held in a short try, then the gap is bisected; after each
try what is behind is caught up. The rate found is then held for the whole time, at a twentieth
less while it is not. Producer, broker, processors and database share the machine.

At the end everything sent is compared with the counts in the observations, as SQL sees them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from schemas.decisions import Snapshot
from schemas.topics import PARTITIONS
from streams.bench.figures import FEWEST, Held, Sample, balance, capacity, judge
from streams.bench.hearing import Ears, Heard
from streams.bench.metric_source import APP, TOLD_S
from streams.bench.sources import Metrics
from streams.errors import StreamsError
from workers.clickhouse import Database, connect
from workers.kafka.clients import cluster_id
from workers.kafka.ends import ends
from workers.registry import Registry
from workers.settings import Settings
from workers.snapshots import keeping as snapshots

READERS = ("observe", "drift")
SINK = "sink"
_METRICS = tuple(("weir.metrics", partition) for partition in range(PARTITIONS))
SAMPLE_S = 0.5
STALL_S = 3.0
"""A reader without a snapshot for so long has applied no more than its last one says."""
START_PER_S = 4_000.0
MOST_PER_S = 400_000.0
BISECTIONS = 3
SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25)
"""Of the rate found by short tries, what is tried for the whole time, in turn."""
TRY_SLACK_S, HOLD_SLACK_S = 1.0, 0.5
"""By how many seconds' worth of metrics lag may differ between first third and end."""
LONGEST = 3.0
"""A try takes so many times longer at most where a reader tells too seldom to be judged."""
CAUGHT_UP_S, SETTLE_S = 180.0, 60.0
_STORED = """SELECT sum(following) FROM (SELECT max(_offset) + 1 AS following FROM weir.metrics
WHERE _cluster = {cluster:String} GROUP BY _partition)"""
_OBSERVED = """SELECT sum(count) + sum(late_count) FROM weir.observations FINAL
WHERE _cluster = {cluster:String} AND startsWith(app, {app:String})"""


class Behind(StreamsError):
    """What was sent was not worked off in time."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was held, events a second for `seconds`; what each reader was behind at the end (s)."""

    per_s: float
    seconds: float
    behind_s: dict[str, float]
    sent: int
    lost: int
    doubled: int


class Applied:
    """Up to where each reader has applied the metrics: a sum of offsets.

    It is made when all is quiet: what stands there already is taken to be applied.
    """

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        begin = {p: end.stable for (_, p), end in ends(settings.kafka, _METRICS).items()}
        self._positions = {name: dict(begin) for name in READERS}
        self._history: dict[str, list[tuple[float, int]]] = {name: [] for name in READERS}
        self._database: Database = connect(settings.clickhouse)
        self._cluster = {"cluster": cluster_id(settings.kafka)}
        self._stored = sum(begin.values())

    def hear(self, heard: Heard) -> None:
        """Take a snapshot's positions."""
        event = heard.event
        if isinstance(event, Snapshot) and event.processor in READERS:
            own = self._positions[event.processor]
            for place in event.positions:
                own[place.partition] = max(own.get(place.partition, 0), place.next_offset)
            self._history[event.processor].append((event.taken_at / 1000, sum(own.values())))

    def since(self, reader: str, begin: float) -> list[tuple[float, int]]:
        """Return when (s) a reader took its snapshots from then on, and its count at each."""
        found = {at: count for at, count in list(self._history[reader]) if at >= begin}
        return list(found.items())

    def look(self) -> dict[str, int]:
        """Return the sum of every reader. Raises ClickHouseUnavailable."""
        found = self._database.query(_STORED, self._cluster).rows
        self._stored = max(self._stored, int(found[0][0] or 0) if found else 0)
        counts = {name: sum(own.values()) for name, own in self._positions.items()}
        return counts | {SINK: self._stored}

    def hidden(self) -> str:
        """Return in words which ends open transactions hide from readers; empty for none."""
        places = [*_METRICS, (snapshots.TOPIC, 0)]
        found = ends(self._kafka, places)
        words = [
            f"{at[0]}/{at[1]} is hidden from {end.stable} to {end.high}"
            for at, end in sorted(found.items())
            if end.high > end.stable + 1
        ]
        return f"; {', '.join(words)}" if words else ""

    def observed(self) -> int:
        """Return how many of the load's metrics are in observations, late ones included."""
        found = self._database.query(_OBSERVED, {**self._cluster, "app": APP}).rows
        return int(found[0][0] or 0) if found else 0

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


class Load:
    """Metrics sent and applied, sampled; what stood there before does not count."""

    def __init__(self, metrics: Metrics, applied: Applied, ears: Ears) -> None:
        self._metrics = metrics
        self._ears = ears
        self._applied = applied
        self._before = applied.look()

    def run(self, rate: float, seconds: float) -> dict[str, list[Sample]]:
        """Send at a rate for so long; return the samples of each reader, times in s.

        It takes longer where a reader has not told enough by then.
        """
        self._metrics.rate(rate)
        begin, looked = time.time(), 0.0
        sent: list[tuple[float, int]] = []
        stored: list[tuple[float, int]] = []
        while (now := time.time()) < begin + seconds or (
            now < begin + LONGEST * seconds and self._seldom(begin)
        ):
            sent.append((now, self._metrics.sent))
            if now >= looked + SAMPLE_S:
                looked = now
                stored.append((now, self._applied.look()[SINK]))
            self._metrics.check()
            time.sleep(TOLD_S)
        counts = {name: self._applied.since(name, begin) for name in READERS} | {SINK: stored}
        sent.append((now, self._metrics.sent))
        last = self._applied.look()
        for name, found in counts.items():
            if not found or now - found[-1][0] > STALL_S:
                found.append((now, last[name]))
        return {
            name: self._samples(sent, found, self._before[name]) for name, found in counts.items()
        }

    def _seldom(self, begin: float) -> bool:
        return any(len(self._applied.since(name, begin)) < FEWEST for name in READERS)

    def _samples(
        self, sent: list[tuple[float, int]], found: list[tuple[float, int]], before: int
    ) -> list[Sample]:
        times, totals = zip(*sent, strict=True)
        return [
            Sample(at, int(np.interp(at, times, totals)), count - before) for at, count in found
        ]

    def catch_up(self, limit_s: float = CAUGHT_UP_S) -> None:
        """Send nothing until every reader has applied everything. Raises Behind."""
        self._metrics.rate(0.0)
        end = time.monotonic() + limit_s
        time.sleep(2 * SAMPLE_S)
        while behind := self._behind():
            self._metrics.check()
            self._ears.check()
            if time.monotonic() > end:
                raise Behind(
                    f"{limit_s:.0f} s after the load still behind: {behind}{self._applied.hidden()}"
                )
            time.sleep(SAMPLE_S)

    def _behind(self) -> dict[str, int]:
        counts = self._applied.look()
        left = {n: self._metrics.sent - (counts[n] - self._before[n]) for n in counts}
        return {name: lag for name, lag in left.items() if lag > 0}


def measure(
    settings: Settings, seconds: float, try_s: float, say: Callable[[str], None]
) -> Throughput:
    """Find the rate that is held for `seconds`; short tries take `try_s`.

    Raises Behind when what was sent is not worked off, SourceFailed.
    """
    applied = Applied(settings)
    registry = Registry(settings.registry)
    try:
        with (
            Ears(settings.kafka, registry.codec(), (snapshots.TOPIC,), applied.hear) as ears,
            Metrics(settings) as metrics,
        ):
            load = Load(metrics, applied, ears)
            held, samples = _search(load, seconds, try_s, say)
            load.catch_up()
            sent = metrics.finish()
            lost, doubled = balance(sent, _settled(applied, sent))
            behind = {n: round(s[-1].lag / max(1.0, held.rate), 2) for n, s in samples.items() if s}
            return Throughput(held.rate, seconds, behind, sent, lost, doubled)
    finally:
        applied.close()
        registry.close()


def _search(
    load: Load, seconds: float, try_s: float, say: Callable[[str], None]
) -> tuple[Held, dict[str, list[Sample]]]:
    load.run(START_PER_S / 4, 2.0)

    def tries(rate: float) -> bool:
        verdict = verdict_of(load.run(rate, try_s), rate, TRY_SLACK_S)
        say(f"metrics: {rate:,.0f}/s {'held' if verdict.held else verdict.reason}")
        load.catch_up()
        return verdict.held

    found = capacity(tries, START_PER_S, BISECTIONS, MOST_PER_S)
    for share in SHARES if found else ():
        rate = found * share
        say(f"metrics: {rate:,.0f}/s for {seconds:.0f} s")
        samples = load.run(rate, seconds)
        verdict = verdict_of(samples, rate, HOLD_SLACK_S)
        if verdict.held:
            return verdict, samples
        say(f"metrics: not held: {verdict.reason}")
        load.catch_up()
    return Held(0.0, False, "no rate was held", 0.0, 0.0), {}


def verdict_of(samples: dict[str, list[Sample]], rate: float, slack_s: float) -> Held:
    """Return the worst reader's verdict; the reason names it."""
    worst: Held | None = None
    for name, taken in samples.items():
        held = judge(taken, rate, slack_s)
        if not held.held:
            return Held(held.rate, False, f"{name}: {held.reason}", held.early, held.late)
        if worst is None or held.late > worst.late:
            worst = held
    return worst or Held(0.0, False, "no samples", 0.0, 0.0)


def _settled(applied: Applied, sent: int) -> int:
    """Return the metrics observed, once all are or nothing more comes for a while."""
    end = time.monotonic() + SETTLE_S
    observed = applied.observed()
    while observed < sent and time.monotonic() < end:
        time.sleep(SAMPLE_S)
        observed = applied.observed()
    return observed

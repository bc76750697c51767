"""Observe is killed again and again while metrics flow; what stands there in the end is the same.

`CRASH_SEED` says where the kills fall, `CRASH_KILLS` how many; the seed is printed.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from processors.observing.observe import ObserveParams
from processors.observing.observe import spec as observe
from schemas.base import Event
from schemas.observing import LateMetric, Observation
from schemas.processing import Spec
from schemas.registrations import WindowDefined
from tests.hosts.crashing import (
    Feed,
    accounted,
    assert_promised,
    finals,
    lives,
    stream,
    suffer,
    undisturbed,
)
from tests.hosts.doomed import process
from tests.hosts.samples import EPOCH
from tests.hosts.worlds import KILLED_SESSION_MS, KafkaWorld, cluster_of, kafka_world, wait_until

SEED = int(os.environ.get("CRASH_SEED", "1"))
KILLS = int(os.environ.get("CRASH_KILLS", "50"))
RATE = 400
HOUR_MS = 3_600_000
BROKERS = ("embedded", "apache")
OBSERVED = "weir.observations"
LATE = "weir.late"


@pytest.fixture(params=BROKERS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path, cluster_of(request)) as made:
        made.with_kafka(transaction_timeout_ms=2_000, session_timeout_ms=KILLED_SESSION_MS)
        section = made.settings.host.model_copy(update={"batch": 2_000})
        made.settings = made.settings.model_copy(update={"host": section})
        yield made


def by_events() -> Spec:
    """Return observe whose windows only events close."""
    return observe(ObserveParams(size_ms=1_000, allowed_lateness_ms=300, idle_ms=HOUR_MS))


def by_clock() -> Spec:
    """Return observe whose windows the clock closes after 300 ms without an event."""
    return observe(ObserveParams(size_ms=1_000, allowed_lateness_ms=100, idle_ms=300))


def definitions() -> list[Event]:
    """Return definitions of windows of every kind, for all series."""
    kinds: dict[str, dict[str, int]] = {
        "tumbling": {"size_ms": 1_000},
        "hopping": {"size_ms": 1_500, "interval_ms": 400, "align_ms": 70},
        "session": {"gap_ms": 150, "size_ms": 3_000},
        "count": {"size_events": 40, "interval_events": 30},
        "trailing": {"size_events": 20, "interval_ms": 1_000, "size_ms": 3_000},
        "trailing events": {"size_ms": 1_500, "interval_events": 25},
    }
    return [
        WindowDefined(
            name=name,
            kind=name.split()[0],
            allowed_lateness_ms=300,
            registered_at=EPOCH,
            event_id=name,
            late="send",
            **{"size_ms": 0} | sizes,  # type: ignore[arg-type]
        )
        for name, sizes in kinds.items()
    ]


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_what_was_observed_is_the_same_however_often_the_process_dies(world: KafkaWorld) -> None:
    world.produce(definitions())
    with Feed(world, stream(SEED), RATE) as feed:
        took = suffer(world, by_events, SEED, lives(SEED, KILLS, exact=world.exact))
    feed.close()
    alone = undisturbed(by_events, definitions(), feed.sent)
    wanted = finals([*alone.events(OBSERVED), *alone.events(LATE)])
    with process(world, by_events):
        wait_until(lambda: said(world).keys() >= wanted.keys())
    found = said(world)
    print(f"{KILLS} kills in {took:.0f} s, {len(feed.sent)} metrics, {len(wanted)} events")
    kinds = {event.kind for event in wanted if isinstance(event, Observation)}
    assert kinds == {"tumbling", "hopping", "session", "count", "trailing"}
    assert any(isinstance(event, LateMetric) for event in wanted)
    assert len(wanted) > 100
    assert_promised(world, found, wanted)


def said(world: KafkaWorld) -> Counter[Event]:
    """Return the final observations and late metrics that stand there."""
    return finals([*world.events(OBSERVED), *world.events(LATE)])


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_where_the_clock_decides_every_metric_counts_once(world: KafkaWorld) -> None:
    with Feed(world, stream(SEED), RATE, pauses=1.5) as feed:
        took = suffer(world, by_clock, SEED + 1, lives(SEED + 1, KILLS, exact=world.exact))
    feed.close()
    wanted = Counter(event.service for event in feed.sent)
    with process(world, by_clock):
        wait_until(lambda: outcome(world) >= wanted)
    observed = [event for event in world.events(OBSERVED) if isinstance(event, Observation)]
    late = sum(event.late_count for event in observed)
    print(f"{KILLS} kills in {took:.0f} s, {len(feed.sent)} metrics, {late} counted late")
    assert late > 0
    assert outcome(world) == wanted or not world.exact


def outcome(world: KafkaWorld) -> Counter[str]:
    """Return how often the metrics of each service were accounted for.

    On the embedded broker the last of the events with the same id holds; an aborted one whose
    metrics came late when they were read again stands beside it, so that these count twice.
    """
    events = [*world.events(OBSERVED), *world.events("weir.actions")]
    if not world.exact:
        events = list({event.event_id: event for event in events}.values())  # type: ignore[attr-defined]
    return accounted(events)

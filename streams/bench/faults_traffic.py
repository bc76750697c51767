"""Faults that come from outside: poison, a flood, event times far off, members that come and go."""

import time

from schemas.base import Event
from schemas.codec import PREFIX
from schemas.observing import MetricReport
from streams import topology
from streams.bench.faults_world import World
from streams.bench.ledger_feed import SERIES, Feed
from streams.topology import Host
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.snapshots import keeping as snapshots

SURGE = 10.0
JOINS = 12
HOUR_MS = 3_600_000
OFF_MS = (-24 * HOUR_MS, -HOUR_MS, -10_000, 5_000)
"""Event times that are wrong and can be: counted as late, or early."""
AHEAD_MS = (120_000, 24 * HOUR_MS)
"""Event times that cannot be."""
MAGIC_OF_OTHERS = 7
UNTOLD = frozenset({snapshots.TOPIC})
"""Hosts look for their own keys there and read nothing else; nothing of it is stored."""


def poison(world: World, feed: Feed) -> None:
    """Send to every topic what nobody can read: text, an unknown schema, cut short, too long."""
    whole = world.registry.codec().encode(_example())
    hostile = (
        b"this is no Avro",
        PREFIX.pack(0, 1_999_999_999) + b"\\x00",
        whole[:-3],
        whole + whole[5:],
        bytes([MAGIC_OF_OTHERS]) + whole[1:],
    )
    there = kafka.partition_counts(world.settings.kafka)
    for topic in sorted(name for name in there if name.startswith("weir.")):
        for value in hostile:
            partition = world.random.randrange(there[topic])
            feed.refuse(topic, value, partition, told=topic not in UNTOLD)


def _example() -> Event:
    return MetricReport(event_time=wall_ms(), app="poison", metric="poison", value=1.0)


def surge(world: World, feed: Feed) -> None:
    """Send ten times as much for a while."""
    feed.factor = SURGE
    time.sleep(world.surge_s)
    feed.factor = 1.0


def event_times(_: World, feed: Feed) -> None:
    """Send metrics of each series whose event times are far off, in the past and in the future."""
    for series in SERIES:
        now = wall_ms()
        for off in OFF_MS:
            feed.measure(series, now + off)
        for ahead in AHEAD_MS:
            feed.measure(series, now + ahead, refused=True)


def storm(world: World, _: Feed) -> None:
    """Let members join the groups of all batch processors and leave at once, again and again.

    One is a process that works, and is killed in the midst of it; the others take partitions
    and do nothing with them.
    """
    names = [n for n, place in topology.PROCESSORS.items() if place.host is Host.BATCH]
    working = [name for name in names if name != "route"]
    with world.member("storm", working, "storm") as process:
        for number in range(JOINS):
            _visit(world, world.random.choice(names))
            if number == JOINS * 2 // 3:
                process.kill()


def _visit(world: World, name: str) -> None:
    """Be a member of a group for a moment."""
    member = kafka.consumer(world.settings.kafka, f"weir-{name}")
    try:
        member.subscribe(list(topology.spec_named(name).inputs))
        until = time.monotonic() + world.random.uniform(0.2, 2.0)
        while time.monotonic() < until:
            member.poll(0.05)
    finally:
        member.close()

"""Whether readers get on: what waits behind their positions, looked at twice."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from streams.doctor.findings import span
from streams.doctor.installation import Site
from workers.kafka import ends as kafka_ends
from workers.kafka.ends import End, Waiting
from workers.kafka.groups import Place

SLOW_MS = 30_000
"""A reader whose oldest unread message is older is behind."""

Positions = Mapping[str, Mapping[Place, int]]
"""The next offset to read, by reader and partition."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Unread messages of one partition at the second of two looks.

    `position` is the next offset to read, `end` that of the log, `since_ms` the timestamp of the
    first that waits. `moved` tells whether the position did between the looks, `grew` whether
    the end did.
    """

    place: Place
    position: int
    end: int
    since_ms: int
    moved: bool = False
    grew: bool = False


def backlogs(site: Site, read: Callable[[], Positions]) -> dict[str, tuple[Backlog, ...]]:
    """Return what waits by reader, after a second look when something waited at the first.

    Raises what `read` raises, and KafkaUnavailable.
    """
    before, ends = read(), site.ends_now()
    first = _waiting(site, before, ends)
    if not first:
        return {}
    time.sleep(site.given.watch_s)
    after, later = _forward(before, read(), first), site.ends_now()
    second = _waiting(site, after, later)
    return {
        reader: tuple(
            Backlog(
                place,
                position=after[reader][place],
                end=later[place].stable,
                since_ms=waits.timestamp_ms,
                moved=after[reader][place] > before[reader][place],
                grew=later[place].high > ends[place].high,
            )
            for place, waits in places.items()
        )
        for reader, places in second.items()
    }


def _waiting(
    site: Site, positions: Positions, ends: Mapping[Place, End]
) -> dict[str, dict[Place, Waiting]]:
    """Return what waits, of readers for whom something does.

    A position before the end says little: what lies between may be marks of transactions.
    """
    found = {}
    for reader, places in positions.items():
        short = {p: at for p, at in places.items() if p in ends and at < ends[p].stable}
        if short and (waits := kafka_ends.waiting(site.settings.kafka, short)):
            found[reader] = waits
    return found


def _forward(
    before: Positions, now: Positions, first: Mapping[str, Mapping[Place, Waiting]]
) -> dict[str, dict[Place, int]]:
    """Return where readers stand now, where something waited; no position goes back."""
    return {
        reader: {
            place: max(before[reader][place], now.get(reader, {}).get(place, 0)) for place in places
        }
        for reader, places in first.items()
    }


def stuck(found: Iterable[Backlog], now_ms: int, patience_ms: float) -> list[Backlog]:
    """Return those whose position stood still although a message waits longer than that."""
    return [each for each in found if not each.moved and now_ms - each.since_ms >= patience_ms]


def slow(found: Iterable[Backlog], now_ms: int) -> list[Backlog]:
    """Return those that move, but whose first unread message is old."""
    return [each for each in found if each.moved and now_ms - each.since_ms >= SLOW_MS]


def told(found: Iterable[Backlog], now_ms: int) -> str:
    """Return how much waits where, the oldest first, in words."""
    ordered = sorted(found, key=lambda each: each.since_ms)
    parts = [
        f"{each.place[0]}/{each.place[1]} stands at {each.position} of {each.end}, the next waits "
        f"for {span(now_ms - each.since_ms)}"
        for each in ordered[:2]
    ]
    more = f", and {len(ordered) - 2} more partitions" if len(ordered) > 2 else ""
    return "; ".join(parts) + more

"""Topics read again into ClickHouse: only what a table does not hold is inserted.

The sink goes on after the highest offset that ClickHouse holds, so no row may be inserted behind
it unless all before it are there. Hence a partition is filled in the order of its log, and one that
would have to begin behind that offset is left alone. A sink may run meanwhile: what both insert is
one row under FINAL.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from schemas.topics import TOPICS, topic_named
from workers.clickhouse import connect
from workers.errors import RecoveryRefused
from workers.kafka import clients as kafka
from workers.kafka.reading import read_ranges
from workers.payloads.store import store_of
from workers.registry import Registry
from workers.settings import Settings
from workers.sinking.erasing import Erasing
from workers.sinking.held import Held
from workers.sinking.positions import Place, is_stored, positions
from workers.sinking.storing import Storing

T = TypeVar("T")
P = ParamSpec("P")
END = 1 << 62
ROWS = 20_000
"""Messages that are looked at together."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Where to begin or to end in each partition: at an offset, or at a timestamp, ms."""

    offset: int | None = None
    time_ms: int | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a topic: messages read, rows inserted, messages that cannot be stored.

    `skipped` are partitions that would have to begin behind what is stored of them.
    """

    read: int = 0
    inserted: int = 0
    unusable: int = 0
    skipped: list[int] = field(default_factory=list)


def backfill(
    settings: Settings,
    topics: Sequence[str] = (),
    first: Bound | None = None,
    last: Bound | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> dict[str, Outcome]:
    """Insert what ClickHouse lacks of topics, all that are stored by default.

    `first` is where to begin, the whole log by default; `last` where to end, which is not read
    itself. What cannot be stored has its dead letter and is only counted. `told` hears how many
    messages were read. Raises RecoveryRefused, ClickHouseRefused, Unavailable.
    """
    database = connect(settings.clickhouse)
    with closing(database), closing(Registry(settings.registry)) as registry:
        cluster = kafka.cluster_id(settings.kafka)
        chosen = _chosen(settings, topics)
        outcomes = {topic: Outcome() for topic, _ in sorted(chosen)}
        reading = _Reading(first or Bound(), last or Bound(), positions(database, cluster))
        erasing = Erasing(database, store_of(settings), settings.privacy)
        storing = Storing(
            database,
            registry.codec(),
            cluster,
            _at_once,
            report=lambda _: None,
            missing=Held(database, cluster).missing,
            erase=erasing.stored,
            redact=settings.privacy.redact,
        )
        counts = Counter(topic for topic, _ in chosen)
        for topic, outcome in outcomes.items():
            mine = {place for place in chosen if place[0] == topic}
            for messages in _batches(settings, reading, mine):
                stored = storing.store(messages, counts)
                outcome.read += len(messages)
                outcome.inserted += stored.rows
                outcome.unusable += stored.unusable
                told(len(messages))
            outcome.skipped = sorted(p for name, p in reading.skipped if name == topic)
        erasing.all()
    return outcomes


def _at_once(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do something once: what is away ends a command, which can be given again."""
    return action(*args, **kwargs)


def _chosen(settings: Settings, topics: Sequence[str]) -> set[Place]:
    needed = topics or [name for name in TOPICS if is_stored(name)]
    counts = kafka.partition_counts(settings.kafka, needed=needed)
    stored = {name: count for name, count in counts.items() if is_stored(name)}
    unknown = [name for name in topics if name not in stored]
    if unknown:
        raise RecoveryRefused(
            f"no topic {', '.join(unknown)} that is stored; there are {', '.join(sorted(stored))}"
        )
    return {(name, p) for name in topics or stored for p in range(stored[name])}


class _Reading:
    """Tells which messages of a partition lie between the bounds, and may be stored."""

    def __init__(self, first: Bound, last: Bound, stored: Mapping[Place, int]) -> None:
        self._first = first
        self._last = last
        self._stored = stored
        self._begun: set[Place] = set()
        self._ended: set[Place] = set()
        self.skipped: set[Place] = set()

    def ranges(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """Return the offsets to read of each partition."""
        low, high = self._first.offset or 0, self._last.offset
        return dict.fromkeys(places, (low, END if high is None else high))

    def takes(self, message: kafka.RawMessage) -> bool:
        """Tell whether a message, the next of its partition, is to be stored."""
        place = (str(message.topic()), int(message.partition() or 0))
        if place in self._ended:
            return False
        at = message.timestamp()[1]
        if self._last.time_ms is not None and at >= self._last.time_ms:
            self._ended.add(place)
            return False
        if place not in self._begun:
            if self._first.time_ms is not None and at < self._first.time_ms:
                return False
            self._begin(place, int(message.offset() or 0))
        return place not in self._ended

    def _begin(self, place: Place, offset: int) -> None:
        self._begun.add(place)
        asked = self._first.offset is not None or self._first.time_ms is not None
        several = len(topic_named(place[0]).events) > 1
        if asked and not several and offset > self._stored.get(place, 0):
            self._ended.add(place)
            self.skipped.add(place)


def _batches(
    settings: Settings, reading: _Reading, places: Iterable[Place]
) -> Iterable[list[kafka.RawMessage]]:
    batch: list[kafka.RawMessage] = []
    for messages in read_ranges(settings.kafka, reading.ranges(places)):
        batch += [message for message in messages if reading.takes(message)]
        if len(batch) >= ROWS:
            yield batch
            batch = []
    if batch:
        yield batch

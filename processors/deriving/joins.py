"""What is known of each request, for as long as something may still be joined to it.

Time is cut into marks of the host's clock, each of which remembers where in the inputs it began.
An entry belongs to the mark in which its request was first seen and expires with it, whatever
joined it later; the log is kept back to the first mark that a restart must read again. A mark
that has expired is held while records that joined its entries lie in marks that have not: read
again without their beginning, they would look like news. What comes for such a request meanwhile
is news, and would not look like it: until that has expired, too, the mark is held.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from schemas.base import Event
from schemas.processing import Partition, Record
from schemas.records import SourceRange

Key = tuple[str, str]
"""Application and request id: two applications may number their requests alike."""
_NEVER = -1
_BEYOND = 1 << 62


@dataclass(frozen=True, slots=True)
class Prediction:
    """The label that a result gave, and who gave it when (ms)."""

    app: str
    stage: str
    service: str
    label: str
    at: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What was right, and when that became known (ms)."""

    app: str
    label: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkState:
    """A mark as state; `starts` has the first offset per partition."""

    at_ms: int
    held_ms: int
    expired: bool
    starts: tuple[SourceRange, ...]


@dataclass(slots=True)
class Mark:
    """A span of the host's clock, from `at_ms`, and where the inputs stood as it began.

    `held_ms` is the latest mark in which a record joined one of its expired entries, or began the
    request of one anew. `left` are the expired entries that a record joined in this mark last.
    """

    at_ms: int
    starts: dict[Partition, int]
    held_ms: int = _NEVER
    expired: bool = False
    left: list[Key] = field(default_factory=list)

    def hold(self, until: "Mark") -> None:
        """Keep it, once it has expired, at least until the other one does."""
        self.held_ms = max(self.held_ms, until.at_ms)

    def due(self, ttl_ms: int) -> int:
        """Return when (ms) it expires, or, once expired, when nothing holds it any more."""
        return (self.held_ms if self.expired else self.at_ms) + ttl_ms


@dataclass(slots=True)
class Entry:
    """What is known of one request; its `conditions` since `told_at` (ms).

    `before` are the marks of expired entries of the same request whose records are read again.
    """

    mark: Mark
    touched: Mark
    before: tuple[Mark, ...] = ()
    results: set[str] = field(default_factory=set)
    predictions: list[Prediction] = field(default_factory=list)
    answered: bool = False
    answer: Prediction | None = None
    truth: Truth | None = None
    contradicted: bool = False
    conditions: tuple[str, ...] = ()
    told_at: int = 0

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks without which what joined it would look like news."""
        return (*self.before, self.mark)

    @property
    def orphaned(self) -> bool:
        """Whether only its truth is known."""
        return self.truth is not None and not self.results and not self.answered


class Joins:
    """Entries by request, in the order in which they expire."""

    def __init__(
        self, ttl_ms: int, mark_ms: int, most: int, fill: Callable[[Entry, Event], None]
    ) -> None:
        self._ttl_ms = ttl_ms
        self._mark_ms = mark_ms
        self._most = most
        self._fill = fill
        self._entries: dict[Key, Entry] = {}
        self._gone: dict[Key, Entry] = {}
        self._marks: list[Mark] = []
        self._next: dict[Partition, int] = {}
        self._again: list[tuple[Mark, Key, Event]] = []

    def advance(self, now_ms: int) -> None:
        """Begin a mark when the last is old; for a batch that holds something.

        One also begins when an earlier one that is held has expired since the last: so all
        records of a mark found the same entries alive.
        """
        last = self._marks[-1].at_ms if self._marks else -self._mark_ms
        turned = any(m.expired and m.at_ms + self._ttl_ms > last for m in self._marks)
        if turned or now_ms >= last + self._mark_ms:
            self._marks.append(Mark(now_ms, dict(self._next)))

    def entry(self, record: Record, key: Key) -> Entry:
        """Return the entry of a record's request, made if there is none."""
        place = (record.topic, record.partition)
        if place not in self._next:
            for mark in self._marks:
                mark.starts.setdefault(place, record.offset)
        self._next[place] = record.offset + 1
        mark = self._marks[-1]
        entry = self._entries.get(key)
        if entry is None:
            gone = self._gone.get(key)
            entry = self._entries[key] = Entry(mark, mark, gone.marks if gone else ())
            for earlier in entry.before:
                earlier.hold(mark)
        entry.touched = mark
        return entry

    def again(self, record: Record, key: Key) -> None:
        """Note a record that is read again; it takes effect with the next `expire`."""
        place = (record.topic, record.partition)
        for mark in reversed(self._marks):
            if mark.starts.get(place, _BEYOND) <= record.offset:
                self._again.append((mark, key, record.event))
                return

    def expire(self, now_ms: int) -> list[tuple[int, Entry]]:
        """Drop what has outlived its time; return it with the instants (ms) of its marks."""
        self._settle()
        expiring = [m for m in self._marks if not m.expired and m.due(self._ttl_ms) <= now_ms]
        for mark in expiring:
            mark.expired = True
            for key in mark.left:
                gone = self._gone.get(key)
                if gone is not None and gone.touched is mark:
                    del self._gone[key]
            mark.left.clear()
        dropped: list[tuple[int, Entry]] = []
        while expiring and self._entries:
            key, entry = next(iter(self._entries.items()))
            if not entry.mark.expired:
                break
            del self._entries[key]
            dropped.append((entry.mark.at_ms, entry))
            for mark in entry.marks:
                mark.hold(entry.touched)
            self._leave(key, entry)
        self._marks = [m for m in self._marks if not m.expired or m.due(self._ttl_ms) > now_ms]
        return dropped

    def evict(self) -> list[Key]:
        """Drop the oldest tenth when there are too many entries; return their keys."""
        if len(self._entries) <= self._most:
            return []
        oldest = list(self._entries)[: max(1, self._most // 10)]
        for key in oldest:
            del self._entries[key]
        return oldest

    def due(self) -> int | None:
        """Return when (ms) the next mark changes; None while there is none."""
        return min((mark.due(self._ttl_ms) for mark in self._marks), default=None)

    def needed(self) -> Mapping[Partition, int]:
        """Return the first offsets that a restart must read again."""
        if not self._marks:
            return {}
        starts = self._marks[0].starts
        return {place: first for place, first in starts.items() if first < self._next[place]}

    def state(self) -> tuple[tuple[MarkState, ...], tuple[SourceRange, ...]]:
        """Return marks and the next offsets, as state; entries are read again from the log."""
        marks = tuple(
            MarkState(
                at_ms=mark.at_ms,
                held_ms=mark.held_ms,
                expired=mark.expired,
                starts=_ranges(mark.starts),
            )
            for mark in self._marks
        )
        return marks, _ranges(self._next)

    def take_over(self, marks: Iterable[MarkState], following: Iterable[SourceRange]) -> None:
        """Take over what `state` returned."""
        self._entries, self._gone, self._again = {}, {}, []
        self._marks = [
            Mark(mark.at_ms, _places(mark.starts), mark.held_ms, mark.expired) for mark in marks
        ]
        self._next = _places(following)

    def _settle(self) -> None:
        """Apply what was read again, mark by mark; the order within a mark plays no part."""
        again, self._again = sorted(self._again, key=lambda item: item[0].at_ms), []
        for mark, key, event in again:
            entry = self._entries.get(key)
            if entry is None or mark.at_ms >= entry.mark.at_ms + self._ttl_ms:
                gone = self._entries.pop(key, None)
                near = gone is not None and mark.at_ms < gone.touched.at_ms + self._ttl_ms
                entry = Entry(mark, mark, gone.marks if gone and near else ())
                self._entries[key] = entry
            entry.touched = mark
            self._fill(entry, event)
        if again:
            alive = {at: one for at, one in self._entries.items() if not one.mark.expired}
            for key, entry in self._entries.items():
                if entry.mark.expired:
                    self._leave(key, entry)
            evicted = len(alive) - self._most
            self._entries = dict(list(alive.items())[max(0, evicted) :])

    def _leave(self, key: Key, entry: Entry) -> None:
        """Remember an expired entry while a record that joined it would look like news."""
        if not entry.touched.expired:
            self._gone[key] = Entry(entry.mark, entry.touched, entry.before)
            entry.touched.left.append(key)


def _ranges(places: Mapping[Partition, int]) -> tuple[SourceRange, ...]:
    return tuple(
        SourceRange(topic=topic, partition=partition, first=first, last=first)
        for (topic, partition), first in sorted(places.items())
    )


def _places(ranges: Iterable[SourceRange]) -> dict[Partition, int]:
    return {(span.topic, span.partition): span.first for span in ranges}

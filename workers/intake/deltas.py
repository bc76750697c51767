"""From totals to what was added: the last total of each cumulative series. Pure.

A total counts from a start. When the start moves, or the total falls, the source began again and
the whole total was added since. The first total that is seen of a series was added since its start
if that lies after our own; else nobody knows since when, and it is only what the next one is
compared with.

What a draft has learnt counts when it is committed, which is when the events made of it are safe:
so a report that is refused and sent again is counted once. A series is in one draft at a time.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Generic, TypeVar

from typing_extensions import Self

from workers.intake.translated import NS_PER_MS

T = TypeVar("T")
KEEP_MS = 900_000
"""A series that says nothing for so long may be forgotten for another."""


class Busy(Exception):
    """An earlier report of the same series is still on its way."""


class TooMany(Exception):
    """As many series are remembered as may be, and all of them are alive."""


class Seen(Enum):
    """What a total is compared with: nothing that counts, its start, the last one, a later one."""

    FIRST = "first"
    WHOLE = "whole"
    ADDED = "added"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """The last total, when one is to be subtracted, and the ms that passed, 0 if unknown."""

    seen: Seen
    last: T | None = None
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class _Total:
    start_ns: int
    time_ns: int
    value: Any
    touched_ms: int


class Deltas:
    """What is remembered of cumulative series, at most `most` of them, since `began_ns`."""

    def __init__(self, most: int, began_ns: int) -> None:
        self._most = most
        self.began_ns = began_ns
        self._known: dict[Hashable, _Total] = {}
        self._held: set[Hashable] = set()
        self._coming: set[Hashable] = set()

    def __len__(self) -> int:
        return len(self._known)

    def draft(self, now_ms: int) -> "Draft":
        """Return a draft, a context manager; what is not committed in it is forgotten."""
        return Draft(self, now_ms)

    def hold(self, key: Hashable, now_ms: int) -> _Total | None:
        """Return the last total of a series that a draft takes. Raises Busy, TooMany."""
        if key in self._held:
            raise Busy("an earlier report of the same series is still on its way to Kafka")
        known = self._known.get(key)
        if known is None:
            if len(self._known) + len(self._coming) >= self._most:
                self._make_room(now_ms)
            self._coming.add(key)
        self._held.add(key)
        return known

    def _make_room(self, now_ms: int) -> None:
        oldest = next(iter(self._known), None)
        if oldest is None or now_ms - self._known[oldest].touched_ms < KEEP_MS:
            raise TooMany(f"{self._most} series are remembered; see intake.max_series")
        del self._known[oldest]

    def release(self, key: Hashable) -> None:
        """Let a series go that a draft held."""
        self._held.discard(key)
        self._coming.discard(key)

    def remember(self, key: Hashable, total: _Total) -> None:
        """Replace the total of a series; it is the youngest now."""
        self._known.pop(key, None)
        self._known[key] = total


class Draft:
    """New totals of one report, on top of those that are remembered."""

    def __init__(self, deltas: Deltas, now_ms: int) -> None:
        self._deltas = deltas
        self._now_ms = now_ms
        self._new: dict[Hashable, _Total | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for key in self._new:
            self._deltas.release(key)
        self._new.clear()

    def commit(self) -> None:
        """Remember the new totals: what was made of them is safe."""
        for key, total in self._new.items():
            if total is not None:
                self._deltas.remember(key, total)

    def advance(
        self,
        key: Hashable,
        start_ns: int,
        time_ns: int,
        value: T,
        fell: Callable[[T], bool],
    ) -> Step[T]:
        """Take a new total, and return what to subtract from it.

        `fell` tells whether it is less than an earlier one. Start and time are ns since the epoch,
        0 when they are not told. Raises Busy, TooMany.
        """
        if key not in self._new:
            self._new[key] = self._deltas.hold(key, self._now_ms)
        last = self._new[key]
        if last is not None and time_ns <= last.time_ns:
            return Step(Seen.STALE)
        self._new[key] = _Total(start_ns, time_ns, value, self._now_ms)
        if last is None:
            whole = start_ns > 0 and start_ns >= self._deltas.began_ns
            return Step(Seen.WHOLE if whole else Seen.FIRST)
        elapsed_ms = (time_ns - last.time_ns) / NS_PER_MS
        if (start_ns and last.start_ns and start_ns != last.start_ns) or fell(last.value):
            return Step(Seen.WHOLE, None, elapsed_ms)
        return Step(Seen.ADDED, last.value, elapsed_ms)

"""The series under watch: of each its detector, its range, and its past.

Every value goes to the detector of its series, one by one and in the order of the log. What is
kept of it else goes in columns, of all series at once, for a batch brings few events of each;
only a series with an alarm, or under suspicion, is judged by itself.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import compress, count
from typing import Protocol

import numpy as np
import numpy.typing as npt

from processors.drifting.concepts import Floats
from processors.drifting.pasts import Ints, Pasts, widened
from processors.drifting.watch import Drift, Watch, WatchParams, WatchState

Flags = npt.NDArray[np.bool_]
Key = tuple[str, ...]
"""The fields of a series, as schemas.topics.SERIES names them."""
_FIRST = 16
_NEVER_STALE = np.iinfo(np.int64).max


class Window(Protocol):
    """A change detector on one series."""

    def update(self, value: float) -> bool:
        """Take a value; return whether the mean has changed."""
        ...

    def __getstate__(self) -> bytes:
        """Return its state."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Events by number of their series, ascending; those of a series in their order.

    `newest` is the partition's newest event time (ms) when the event came.
    """

    numbers: Ints
    times: Ints
    offsets: Ints
    values: Floats
    newest: Ints

    def where(self, mask: Flags) -> "Rows":
        """Return some of them."""
        return Rows(
            self.numbers[mask],
            self.times[mask],
            self.offsets[mask],
            self.values[mask],
            self.newest[mask],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesState:
    """One series as state; `seen` is the partition's newest event time at its last event."""

    key: tuple[str, ...]
    low: float
    span: float
    seen: int
    window: bytes
    watch: WatchState


class WatchedSeries:
    """Numbers series from 0 on and watches them; numbers of forgotten ones are given again.

    `fresh` makes a detector for values within 0 and 1.
    """

    def __init__(self, params: WatchParams, fresh: Callable[[], Window]) -> None:
        self._params = params
        self._fresh = fresh
        self._take = type(fresh()).update
        self._numbers: dict[Key, int] = {}
        self._free: list[int] = []
        self._keys: list[Key] = []
        self._windows: list[Window] = []
        self._watches: dict[int, Watch] = {}
        self._suspects: set[int] = set()
        self._pasts = Pasts(params.blocks)
        self._seen: Ints = np.zeros(0, np.int64)
        self._low: Floats = np.zeros(0)
        self._span: Floats = np.zeros(0)

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, key: Key) -> int | None:
        """Return the number of a series, None while it is not watched."""
        return self._numbers.get(key)

    def key(self, number: int) -> Key:
        """Return the key of a series."""
        return self._keys[number]

    def scale(self, number: int) -> tuple[float, float]:
        """Return what 0 means to the detector of a series, and how far off 1 is."""
        return float(self._low[number]), float(self._span[number])

    def begin(self, key: Key, low: float, span: float, seen: int) -> int:
        """Watch a series from now on, as if nothing were known of it; return its number.

        Its range begins at `low` and is `span` wide; `seen` is the partition's newest event time,
        in ms.
        """
        number = self._numbers.get(key)
        if number is None and not self._free:
            number = len(self._keys)
            self._keys.append(key)
            self._windows.append(self._fresh())
            self._pasts.reserve(len(self._keys))
            if number >= len(self._seen):
                rows = max(_FIRST, 2 * number)
                self._seen = widened(self._seen, rows)
                self._low, self._span = widened(self._low, rows), widened(self._span, rows)
        else:
            number = self._free.pop() if number is None else number
            self._keys[number], self._windows[number] = key, self._fresh()
            self._watches.pop(number, None)
            self._suspects.discard(number)
            self._pasts.clear(number)
        self._numbers[key] = number
        self._low[number], self._span[number], self._seen[number] = low, span, seen
        return number

    def forget(self, before: int) -> bool:
        """Forget the series that were last seen before an instant; return whether any were."""
        stale = self._seen[: len(self._windows)] < before
        if not stale.any():
            return False
        gone = np.flatnonzero(stale).tolist()
        for number in gone:
            del self._numbers[self._keys[number]]
        self._free += gone
        self._seen[self._free] = _NEVER_STALE
        return True

    def lives(self, rows: Rows, most_ms: int) -> Iterator[tuple[list[int], Rows]]:
        """Yield events in which no series has a gap: those before its first, up to its second...

        A gap is longer than `most_ms` of the partition's event time. With the events come the
        numbers of the series that begin with them anew.
        """
        before = np.roll(rows.newest, 1)
        starts = np.flatnonzero(np.diff(rows.numbers, prepend=-1))
        before[starts] = self._seen[rows.numbers[starts]]
        gaps = rows.newest - before > most_ms
        if not gaps.any():
            yield [], rows
            return
        passed = np.cumsum(gaps)
        counts = np.diff(starts, append=len(gaps))
        life: Ints = passed - np.repeat(passed[starts] - gaps[starts], counts)
        for number in range(int(life.max()) + 1):
            part = life == number
            yield rows.numbers[gaps & part].tolist(), rows.where(part)

    def feed(self, rows: Rows) -> list[tuple[int, Drift]]:
        """Take events without a gap; return the drifts confirmed, with the number of the series."""
        numbers = rows.numbers.tolist()
        values = (rows.values - self._low[rows.numbers]) / self._span[rows.numbers]
        alarms = self._update(numbers, values.tolist())
        self._seen[rows.numbers] = rows.newest
        single = {numbers[place] for place in alarms} | self._suspects.intersection(numbers)
        if not single:
            self._pasts.extend(rows.numbers, rows.times, rows.offsets, values)
            return []
        rest = ~np.isin(rows.numbers, list(single))
        quiet = rows.where(rest)
        self._pasts.extend(quiet.numbers, quiet.times, quiet.offsets, values[rest])
        found = []
        for number in sorted(single):
            start, end = np.searchsorted(rows.numbers, (number, number + 1)).tolist()
            own = alarms[bisect_left(alarms, start) : bisect_left(alarms, end)]
            events = rows.times[start:end], rows.offsets[start:end], values[start:end]
            drifts = self._judge(number, events, [place - start for place in own])
            found += [(number, drift) for drift in drifts]
        return found

    def _update(self, numbers: list[int], values: list[float]) -> list[int]:
        """Hand each value to its detector, one fresh after every alarm; return where those were."""
        alarms = []
        windows = self._windows
        told = map(self._take, map(windows.__getitem__, numbers), values)
        for place in compress(count(), told):
            windows[numbers[place]] = self._fresh()
            alarms.append(place)
        return alarms

    def _judge(
        self, number: int, events: tuple[Ints, Ints, Floats], alarms: list[int]
    ) -> list[Drift]:
        times, offsets, values = events
        watch = self._watches.get(number)
        if watch is None:
            watch = self._watches[number] = Watch(self._params)
        past = self._pasts.past(number)
        drifts = watch.feed(past, times.tolist(), offsets.tolist(), values.tolist(), alarms)
        self._pasts.put(number, past)
        if watch.suspects:
            self._suspects.add(number)
        else:
            self._suspects.discard(number)
        return drifts

    def state(self) -> tuple[SeriesState, ...]:
        """Return the series in the order of their keys."""
        quiet = Watch(self._params)
        return tuple(
            SeriesState(
                key=key,
                low=float(self._low[number]),
                span=float(self._span[number]),
                seen=int(self._seen[number]),
                window=self._windows[number].__getstate__(),
                watch=self._watches.get(number, quiet).state(
                    self._pasts.state(number), self._pasts.events(number)
                ),
            )
            for key, number in sorted(self._numbers.items())
        )

    def take_over(self, state: SeriesState, window: Window) -> None:
        """Watch a series on from a state and its detector."""
        number = self.begin(state.key, state.low, state.span, state.seen)
        self._windows[number] = window
        self._pasts.take_over(number, state.watch.past, state.watch.since_change)
        watch = self._watches[number] = Watch(self._params)
        watch.take_over(state.watch)
        if watch.suspects:
            self._suspects.add(number)

"""The series under watch: of each its detector, its range, and its past.

Every value goes to the detector of its series, one by one and in the order of the log. What is
kept of it else goes in columns, of all series at once, for a batch brings few events of each;
only a series with an alarm, or under suspicion, is judged by itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.drifting.banks import Alarm, Bank
from processors.drifting.changes import Drift, WatchState
from processors.drifting.concepts import Floats
from processors.drifting.detectors import Choice
from processors.drifting.pasts import Ints, Pasts, widened
from processors.drifting.watch import Watch, WatchParams

Flags = npt.NDArray[np.bool_]
Key = tuple[str, ...]
"""The fields of a series, as schemas.topics.SERIES names them."""
_FIRST = 16
_NEVER_STALE = np.iinfo(np.int64).max


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
    choice: Choice
    low: float
    span: float
    seen: int
    memory: bytes
    watch: WatchState


class WatchedSeries:
    """Numbers series from 0 on and watches them; numbers of forgotten ones are given again.

    `banked` makes the bank of a choice of detector, for values within 0 and 1.
    """

    def __init__(self, params: WatchParams, banked: Callable[[Choice], Bank]) -> None:
        self._params = params
        self._banked = banked
        self._banks: list[Bank] = []
        self._bank_numbers: dict[Choice, int] = {}
        self._numbers: dict[Key, int] = {}
        self._free: list[int] = []
        self._keys: list[Key] = []
        self._choices: list[Choice] = []
        self._watches: dict[int, Watch] = {}
        self._suspects: set[int] = set()
        self._pasts = Pasts(params.blocks)
        self._seen: Ints = np.zeros(0, np.int64)
        self._bank: Ints = np.zeros(0, np.int64)
        self._row: Ints = np.zeros(0, np.int64)
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

    def choice(self, number: int) -> Choice:
        """Return the detector of a series."""
        return self._choices[number]

    def keys(self) -> dict[Key, int]:
        """Return the keys of all series with their numbers."""
        return dict(self._numbers)

    def failures(self) -> dict[str, str]:
        """Return what detectors of others raised, by their names."""
        return {
            choice.detector: self._banks[at].failure
            for choice, at in self._bank_numbers.items()
            if self._banks[at].failure
        }

    def begin(self, key: Key, choice: Choice, scale: tuple[float, float], seen: int) -> int:
        """Watch a series from now on, as if nothing were known of it; return its number.

        `scale` is where its range begins and how wide it is; `seen` is the partition's newest
        event time, in ms.
        """
        number = self._numbers.get(key)
        if number is None and not self._free:
            number = len(self._keys)
            self._keys.append(key)
            self._choices.append(choice)
            self._pasts.reserve(len(self._keys))
            self._reserve(number)
        elif number is None:
            number = self._free.pop()
        else:
            self._leave(number)
        self._keys[number], self._choices[number] = key, choice
        self._watches.pop(number, None)
        self._suspects.discard(number)
        self._pasts.clear(number)
        self._numbers[key] = number
        self._bank[number] = bank = self._bank_number(choice)
        self._row[number] = self._banks[bank].take()
        self._low[number], self._span[number] = scale
        self._seen[number] = seen
        return number

    def _reserve(self, number: int) -> None:
        if number >= len(self._seen):
            rows = max(_FIRST, 2 * number)
            self._seen, self._bank = widened(self._seen, rows), widened(self._bank, rows)
            self._low, self._span = widened(self._low, rows), widened(self._span, rows)
            self._row = widened(self._row, rows)

    def _bank_number(self, choice: Choice) -> int:
        number = self._bank_numbers.get(choice)
        if number is None:
            number = self._bank_numbers[choice] = len(self._banks)
            self._banks.append(self._banked(choice))
        return number

    def _leave(self, number: int) -> None:
        self._banks[self._bank[number]].give_back(int(self._row[number]))

    def end(self, key: Key) -> None:
        """Watch a series no more."""
        self._forget([self._numbers[key]])

    def forget(self, before: int) -> bool:
        """Forget the series that were last seen before an instant; return whether any were."""
        stale = self._seen[: len(self._keys)] < before
        if not stale.any():
            return False
        self._forget(np.flatnonzero(stale).tolist())
        return True

    def _forget(self, gone: list[int]) -> None:
        for number in gone:
            self._leave(number)
            del self._numbers[self._keys[number]]
        self._free += gone
        self._seen[self._free] = _NEVER_STALE

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
        """Take events without a gap; return what is told, with the number of the series."""
        values = (rows.values - self._low[rows.numbers]) / self._span[rows.numbers]
        alarms = self._alarms(rows.numbers, values)
        self._seen[rows.numbers] = rows.newest
        single = {int(rows.numbers[place]) for place in alarms}
        if self._suspects:
            single |= self._suspects.intersection(rows.numbers.tolist())
        if not single:
            self._pasts.extend(rows.numbers, rows.times, rows.offsets, values)
            return []
        rest = ~np.isin(rows.numbers, list(single))
        quiet = rows.where(rest)
        self._pasts.extend(quiet.numbers, quiet.times, quiet.offsets, values[rest])
        found = []
        for number in sorted(single):
            start, end = np.searchsorted(rows.numbers, (number, number + 1)).tolist()
            own = {place - start: alarm for place, alarm in alarms.items() if start <= place < end}
            events = rows.times[start:end], rows.offsets[start:end], values[start:end]
            found += [(number, drift) for drift in self._judge(number, events, own)]
        return found

    def _alarms(self, numbers: Ints, values: Floats) -> dict[int, Alarm]:
        """Hand the values to their banks; return the alarms by place, ascending."""
        told: dict[int, Alarm] = {}
        banks = self._bank[numbers]
        used = np.unique(banks).tolist()
        for bank in used:
            if len(used) == 1:
                alarms = self._banks[bank].feed(self._row[numbers], values)
                return {alarm.place: alarm for alarm in alarms}
            places = np.flatnonzero(banks == bank)
            alarms = self._banks[bank].feed(self._row[numbers[places]], values[places])
            told |= {int(places[alarm.place]): alarm for alarm in alarms}
        return dict(sorted(told.items()))

    def _judge(
        self, number: int, events: tuple[Ints, Ints, Floats], alarms: dict[int, Alarm]
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
                choice=self._choices[number],
                low=float(self._low[number]),
                span=float(self._span[number]),
                seen=int(self._seen[number]),
                memory=self._banks[self._bank[number]].packed(int(self._row[number])),
                watch=self._watches.get(number, quiet).state(
                    self._pasts.state(number), self._pasts.events(number)
                ),
            )
            for key, number in sorted(self._numbers.items())
        )

    def take_over(self, state: SeriesState) -> None:
        """Watch a series on from a state."""
        number = self.begin(state.key, state.choice, (state.low, state.span), state.seen)
        self._banks[self._bank[number]].unpack(int(self._row[number]), state.memory)
        self._pasts.take_over(number, state.watch.past, state.watch.since_change)
        watch = self._watches[number] = Watch(self._params)
        watch.take_over(state.watch)
        if watch.suspects:
            self._suspects.add(number)

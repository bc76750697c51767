"""All series and pairs of one partition, as rows of arrays that compiled code works on."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from processors.rules import kernels as k
from processors.rules.book import Book, Call
from processors.rules.meaning import Key
from processors.rules.state import PairState, SeriesState

Entries = npt.NDArray[np.int32]
_FIRST = 64
A = TypeVar("A", bound=np.generic)
_Name = tuple[str, Key, bool]


@dataclass(slots=True)
class Pair:
    """A rule on a series: what arrays do not hold. `sides` counts the series that it stands on.

    While it is raised, `spell` is the id of the event that said so, `silenced_by` what kept it from
    being told on, `told` whether it was told on since.
    """

    rule: int
    key: Key
    never: bool = False
    sides: int = 0
    spell: str = ""
    silenced_by: str = ""
    told: bool = False


@dataclass(slots=True)
class Series:
    """A series: its pairs, and the ends and ids of its last windows."""

    key: Key
    pairs: list[int] = field(default_factory=list)
    seen: deque[tuple[int, str]] = field(default_factory=deque)


class Table:
    """Series by number and pairs by number; numbers that are given back are used again."""

    def __init__(self, book: Book, now_ms: int, saved: Iterable[PairState] = ()) -> None:
        self.book = book
        self._now_ms = now_ms
        self._saved = {(one.rule_id, one.key, one.never): one for one in saved}
        self.numbers: dict[Key, int] = {}
        self.series: dict[int, Series] = {}
        self.pairs: dict[int, Pair] = {}
        self.named: dict[_Name, int] = {}
        self.cost = 0
        self.clock = 0
        self._free_series: list[int] = []
        self._free_pairs: list[int] = []
        self._free_memory: dict[int, list[int]] = {}
        self._used_memory = 0
        self.last = np.zeros(_FIRST, np.int64)
        self.older = np.zeros(_FIRST, np.int64)
        self.used = np.zeros(_FIRST, np.int64)
        self.entries: Entries = np.full((_FIRST, 4), -1, np.int32)
        self.whole = np.zeros((_FIRST, k.PAIR), np.int64)
        self.values = np.zeros(_FIRST)
        self.memory = np.zeros(_FIRST)
        self.version = 0
        """Changes with the pairs that there are."""

    def begin(self, key: Key, calls: list[Call]) -> int:
        """Take in a series that calls for rules; return its number."""
        number = self._free_series.pop() if self._free_series else len(self.series)
        if number >= len(self.last):
            self.last, self.older, self.used = map(_doubled, (self.last, self.older, self.used))
            self.entries = _doubled(self.entries)
        self.last[number] = self.older[number] = 0
        self.clock += 1
        self.used[number] = self.clock
        one = Series(key, seen=deque(maxlen=self.book.remembers))
        self.numbers[key], self.series[number] = number, one
        row = [self._call(one, call) for call in calls]
        row += self._expected(one, calls)
        self._enter(number, row)
        return number

    def expect(self, rule: int, key: Key) -> None:
        """Wait for any series that an absence rule selects, unless there is one or has been."""
        name = (self.book.rules[rule].event_id, key, True)
        if name in self.named:
            return
        self._pair(name, rule)
        for number, one in self.series.items():
            if any(self.pairs[each].rule == rule for each in one.pairs):
                row = [int(entry) for entry in self.entries[number] if entry >= 0]
                row += self._expected(one, [Call(rule, k.OWN, one.key)])
                self._enter(number, row)
                self.whole[self.named[name], k.RUN] = 1

    def end(self, number: int) -> list[tuple[int, PairState]]:
        """Forget a series; return the pairs that go with it and whose verdict is raised."""
        one = self.series.pop(number)
        del self.numbers[one.key]
        self.entries[number] = -1
        self._free_series.append(number)
        gone = []
        for each in one.pairs:
            pair = self.pairs[each]
            pair.sides -= 1
            if pair.sides == 0 and not pair.never:
                if self.whole[each, k.RAISED]:
                    gone.append((each, self.state_of(each)))
                self._give_back(each)
        return gone

    def oldest(self) -> int:
        """Return the series that was unused longest, of at least one."""
        numbers = np.fromiter(self.series, np.int64, len(self.series))
        return int(numbers[np.argmin(self.used[numbers])])

    def ordered(self) -> list[int]:
        """Return the numbers of all series, the longest unused first."""
        return sorted(self.series, key=lambda number: int(self.used[number]))

    def take(self, state: SeriesState, calls: list[Call]) -> None:
        """Take in a series that was saved."""
        number = self.begin(state.key, calls)
        self.last[number], self.older[number] = state.last_end, state.older
        self.series[number].seen.extend(zip(state.ends, state.ids, strict=True))

    def left(self) -> list[PairState]:
        """Return what was saved of pairs that there are no longer, in the order of their names."""
        return [self._saved[name] for name in sorted(self._saved)]

    def series_state(self) -> Iterator[SeriesState]:
        """Yield all series, the longest unused first."""
        for number in self.ordered():
            one = self.series[number]
            yield SeriesState(
                key=one.key,
                last_end=int(self.last[number]),
                older=int(self.older[number]),
                ends=tuple(end for end, _ in one.seen),
                ids=tuple(event_id for _, event_id in one.seen),
            )

    def pairs_state(self) -> Iterator[PairState]:
        """Yield the pairs that remember anything, in the order of their names."""
        widths, absent = self.book.widths, set(self.book.absent)
        for number, pair in sorted(self.pairs.items(), key=lambda item: self.name_of(item[1])):
            row = self.whole[number]
            if row[k.RUN] or row[k.RAISED] or widths[pair.rule] or pair.rule in absent:
                yield self.state_of(number)

    def name_of(self, pair: Pair) -> tuple[str, Key, bool]:
        """Return what orders pairs."""
        return self.book.rules[pair.rule].name, pair.key, pair.never

    def state_of(self, number: int) -> PairState:
        """Return a pair as it is saved."""
        pair, row = self.pairs[number], self.whole[number].tolist()
        rule, place = self.book.rules[pair.rule], row[k.MEMORY]
        width = int(self.book.widths[pair.rule])
        return PairState(
            rule=rule.name,
            rule_id=rule.event_id,
            key=pair.key,
            never=pair.never,
            run=row[k.RUN],
            raised=bool(row[k.RAISED]),
            severity=row[k.SEVERITY],
            raised_at=row[k.RAISED_AT],
            began=row[k.BEGAN],
            heard=row[k.HEARD],
            end=row[k.END],
            value=float(self.values[number]),
            spell=pair.spell,
            silenced_by=pair.silenced_by,
            told=pair.told,
            memory=self.memory[place : place + width].astype("<f8").tobytes(),
        )

    def _call(self, one: Series, call: Call) -> int:
        name = (self.book.rules[call.rule].event_id, call.key, False)
        number = self.named[name] if name in self.named else self._pair(name, call.rule)
        self.pairs[number].sides += 1
        one.pairs.append(number)
        return number * 4 + call.part

    def _expected(self, one: Series, calls: list[Call]) -> list[int]:
        """Return the entries of what waits for such a series to come."""
        row = []
        for rule in {call.rule for call in calls} & set(self.book.absent):
            asked = self.book.rules[rule]
            key = (asked.app, asked.stage, asked.service, asked.instance, asked.node)
            name = (asked.event_id, (*key, asked.metric, asked.window), True)
            if name in self.named:
                number = self.named[name]
                self.pairs[number].sides += 1
                one.pairs.append(number)
                row.append(number * 4)
        return sorted(row)

    def _enter(self, number: int, row: list[int]) -> None:
        while len(row) >= self.entries.shape[1]:
            self.entries = np.concatenate([self.entries, np.full_like(self.entries, -1)], axis=1)
        self.entries[number] = -1
        self.entries[number, : len(row)] = row
        self.version += 1

    def _pair(self, name: _Name, rule: int) -> int:
        number = self._free_pairs.pop() if self._free_pairs else len(self.pairs)
        if number >= len(self.whole):
            self.whole, self.values = _doubled(self.whole), _doubled(self.values)
        self.pairs[number] = pair = Pair(rule, name[1], name[2])
        self.named[name] = number
        self.cost += self.book.cost(rule)
        row = self.whole[number]
        row[:] = 0
        row[k.RULE], row[k.HEARD] = rule, self._now_ms
        row[k.MEMORY] = place = self._room(int(self.book.widths[rule]))
        self.values[number] = 0.0
        saved = self._saved.pop(name, None)
        if saved is not None:
            row[k.RUN], row[k.RAISED], row[k.SEVERITY] = saved.run, saved.raised, saved.severity
            row[k.RAISED_AT], row[k.BEGAN] = saved.raised_at, saved.began
            row[k.HEARD], row[k.END] = saved.heard, saved.end
            self.values[number] = saved.value
            pair.spell, pair.silenced_by, pair.told = saved.spell, saved.silenced_by, saved.told
            numbers = np.frombuffer(saved.memory, "<f8")
            self.memory[place : place + len(numbers)] = numbers
        return number

    def _room(self, width: int) -> int:
        """Return where a memory of so many numbers begins, all of them 0."""
        if self._free_memory.get(width):
            place = self._free_memory[width].pop()
        else:
            place, self._used_memory = self._used_memory, self._used_memory + width
            while self._used_memory > len(self.memory):
                self.memory = _doubled(self.memory)
        self.memory[place : place + width] = 0.0
        return place

    def _give_back(self, number: int) -> None:
        pair = self.pairs.pop(number)
        del self.named[self.book.rules[pair.rule].event_id, pair.key, pair.never]
        self.cost -= self.book.cost(pair.rule)
        width = int(self.book.widths[pair.rule])
        self._free_memory.setdefault(width, []).append(int(self.whole[number, k.MEMORY]))
        self._free_pairs.append(number)
        self.version += 1


def _doubled(array: npt.NDArray[A]) -> npt.NDArray[A]:
    """Return an array with as many rows again, of entries that say nothing."""
    blank = -1 if array.dtype == np.int32 else 0
    return np.concatenate([array, np.full_like(array, blank)])

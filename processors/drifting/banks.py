"""Banks: the detectors of one choice, over the rows of many series.

A bank is fed the values of many series in one call and says where there were alarms. After an
alarm the series begins anew in its bank.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import compress, count
from typing import Protocol

import numpy as np

from processors.drifting import kernels
from processors.drifting.detectors import DriftDetector
from processors.drifting.kernels import Flags, Floats, Ints
from processors.errors import PluginError

_FIRST = 16


class Level(Enum):
    """What an alarm is: of the mean, to be confirmed; or what two samples say by themselves."""

    ALARM = "alarm"
    WARNING = "warning"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm at the place of an event; the new concept may have begun `back` events ago.

    `statistic` and `p_value` are what two samples gave.
    """

    place: int
    level: Level = Level.ALARM
    back: int = 0
    statistic: float = 0.0
    p_value: float | None = None


class Window(Protocol):
    """River's window of ADWIN on one series."""

    def update(self, value: float) -> bool:
        """Take a value; return whether the mean has changed."""
        ...

    def __getstate__(self) -> bytes:
        """Return its state."""
        ...


class Bank(Protocol):
    """Detectors of series, each under the number of a row."""

    @property
    def failure(self) -> str:
        """What a detector of others raised; empty while none has."""
        ...

    def take(self) -> int:
        """Return the number of a row for a series that begins."""
        ...

    def give_back(self, row: int) -> None:
        """Take back a row that is needed no more."""
        ...

    def feed(self, rows: Ints, values: Floats) -> list[Alarm]:
        """Take values, those of a row together and in their order; return the alarms likewise."""
        ...

    def packed(self, row: int) -> bytes:
        """Return the state of a row."""
        ...

    def unpack(self, row: int, data: bytes) -> None:
        """Take over the state of a row."""
        ...


class AdwinBank:
    """ADWIN by River, whose windows are objects; `fresh` makes one, from a state if it is given."""

    failure = ""

    def __init__(self, fresh: Callable[[bytes | None], Window]) -> None:
        self._fresh = fresh
        self._take = type(fresh(None)).update
        self._windows: list[Window] = []
        self._free: list[int] = []

    def take(self) -> int:
        """Return a row with a fresh window."""
        if self._free:
            return self._free.pop()
        self._windows.append(self._fresh(None))
        return len(self._windows) - 1

    def give_back(self, row: int) -> None:
        """Put a fresh window into a row."""
        self._windows[row] = self._fresh(None)
        self._free.append(row)

    def feed(self, rows: Ints, values: Floats) -> list[Alarm]:
        """Hand each value to its window, one fresh after every alarm."""
        alarms, windows, numbers = [], self._windows, rows.tolist()
        told = map(self._take, map(windows.__getitem__, numbers), values.tolist())
        for place in compress(count(), told):
            windows[numbers[place]] = self._fresh(None)
            alarms.append(Alarm(place))
        return alarms

    def packed(self, row: int) -> bytes:
        """Return River's bytes."""
        return self._windows[row].__getstate__()

    def unpack(self, row: int, data: bytes) -> None:
        """Make a window of River's bytes."""
        self._windows[row] = self._fresh(data)


class Rows:
    """Rows of numbers, zeros at first; those that are given back are used again."""

    failure = ""

    def __init__(self, width: int) -> None:
        self.states: Floats = np.zeros((_FIRST, width))
        self._free = list(range(_FIRST - 1, -1, -1))

    def take(self) -> int:
        """Return the number of a row of zeros."""
        if not self._free:
            held = len(self.states)
            self.states = np.vstack([self.states, np.zeros_like(self.states)])
            self._free = list(range(2 * held - 1, held - 1, -1))
        return self._free.pop()

    def give_back(self, row: int) -> None:
        """Clear a row that is needed no more."""
        self.states[row] = 0.0
        self._free.append(row)

    def packed(self, row: int) -> bytes:
        """Return a row as bytes, little-endian."""
        data: bytes = self.states[row].astype("<f8").tobytes()
        return data

    def unpack(self, row: int, data: bytes) -> None:
        """Fill a row from bytes; of another length they are of another detector, and forgotten."""
        if len(data) == 8 * self.states.shape[1]:
            self.states[row] = np.frombuffer(data, "<f8")


class CompiledBank(Rows):
    """A detector of `kernels`, with its parameters."""

    def __init__(self, kind: int, given: tuple[float, ...]) -> None:
        super().__init__(kernels.WIDTH)
        self._kind, self._given = kind, np.array(given)

    def feed(self, rows: Ints, values: Floats) -> list[Alarm]:
        """Give each value to its row."""
        alarms: Flags = np.zeros(len(values), np.bool_)
        kernels.advance(self._kind, self.states, rows, values, self._given, alarms)
        return [Alarm(place) for place in np.flatnonzero(alarms).tolist()]


class PlainBank(Rows):
    """A detector of others, in Python. A value at which it fails gives no alarm."""

    def __init__(self, detector: DriftDetector) -> None:
        super().__init__(detector.width)
        self._detector = detector
        self.failure = ""

    def feed(self, rows: Ints, values: Floats) -> list[Alarm]:
        """Give each value to its row."""
        alarms = []
        for place, (row, value) in enumerate(zip(rows.tolist(), values.tolist(), strict=True)):
            try:
                found = self._detector.update(self.states[row], value)
            except PluginError as error:
                self.failure = str(error)
                continue
            if found:
                self.states[row] = 0.0
                alarms.append(Alarm(place))
        return alarms

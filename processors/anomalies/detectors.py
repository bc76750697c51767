"""Detectors of anomalies: what they are, and how the values of many series are judged by one.

A detector says how strange a value is, in a unit of its own; Weir says how often that series was
as strange before, and flags what is rarer than the operator states. So every detector keeps to
the same false-alarm rate, learns only what was not flagged, and judges by the past alone.

An installed distribution names further ones under the entry point group `weir.detectors`: a
function without arguments that returns a `Detector`.

    class Steps:
        width = 2                                   # numbers it remembers, all 0 at first

        def strangeness(self, memory, time_ms, value):
            return abs(value - memory[0]) if memory[1] else math.nan

        def learn(self, memory, time_ms, value):
            memory[0], memory[1] = value, 1.0
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from processors.anomalies import kernels
from processors.anomalies.kernels import CALIBRATION, USUAL, WIDTH, Floats, Ints
from processors.anomalies.multivariate import VectorDetector
from processors.errors import PluginError

GROUP = "weir.detectors"
WEIR = "weir"
Flags = npt.NDArray[np.bool_]
_FIRST = 16
_STRANGEST = 1e300


@runtime_checkable
class Detector(Protocol):
    """Says how strange a value is, and learns it. All it remembers of a series is its memory."""

    @property
    def width(self) -> int:
        """How many numbers it remembers of a series; all are 0 at first."""
        ...

    def strangeness(self, memory: Floats, time_ms: int, value: float) -> float:
        """Return how strange a finite value is, more if stranger; NaN while it cannot tell.

        Infinite is as strange as can be.
        """
        ...

    def learn(self, memory: Floats, time_ms: int, value: float) -> None:
        """Learn a value, just judged, that was not flagged."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """Judgements of values.

    `scores`: -log10 of how often the past of the series was as strange, 0 where it was often.
    `fresh`: whether a value is stranger than what came shortly before. `usual`: the mean of the
    last some 64 values that had been learned.
    """

    scores: Floats
    fresh: Flags
    usual: Floats

    @classmethod
    def of(cls, count: int) -> "Judged":
        """Return room for so many values."""
        return cls(np.zeros(count), np.zeros(count, np.bool_), np.zeros(count))


class Judge(Protocol):
    """Judges values of many series, whose memories are rows of numbers."""

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        ...

    @property
    def failure(self) -> str:
        """What a detector of others raised last; empty while none has."""
        ...

    def judge(
        self, states: Floats, numbers: Ints, times: Ints, values: Floats, rates: Floats
    ) -> Judged:
        """Judge and learn values in their order; `numbers` says which row of `states` each is of.

        Values are numbers, or rows of numbers for what judges vectors. Times are ms since the
        epoch, `rates` the shares of values that may be flagged. What is no finite number has score
        0 and is not learned.
        """
        ...


class WeirJudge:
    """Weir's own detector, compiled; see `processors.anomalies.kernels`."""

    width = WIDTH
    failure = ""

    def judge(
        self, states: Floats, numbers: Ints, times: Ints, values: Floats, rates: Floats
    ) -> Judged:
        """Judge values; see Judge."""
        to = Judged.of(len(values))
        kernels.advance(states, numbers, times, values, rates, to.scores, to.fresh, to.usual)
        return to


class PlainJudge:
    """A detector in Python, calibrated by Weir. A value at which it fails is not judged."""

    def __init__(self, detector: Detector | VectorDetector) -> None:
        self._detector: Any = detector
        self.width = CALIBRATION + detector.width
        self.failure = ""

    def judge(
        self, states: Floats, numbers: Ints, times: Ints, values: Floats, rates: Floats
    ) -> Judged:
        """Judge values; see Judge. What its detector cannot judge yet is only learned."""
        to = Judged.of(len(values))
        rows = zip(numbers.tolist(), times.tolist(), values, rates.tolist(), strict=True)
        with np.errstate(all="ignore"):  # values may be huge; what comes of it is no number
            for at, (number, time, value, rate) in enumerate(rows):
                row = states[number]
                to.usual[at] = row[USUAL]
                if np.isfinite(value).all():
                    to.scores[at], to.fresh[at] = self._one(row, time, value, rate)
        return to

    def _one(self, row: Floats, time: int, value: Any, rate: float) -> tuple[float, bool]:
        memory = row[CALIBRATION:]
        first = float(value[0]) if value.ndim else float(value)
        given = value if value.ndim else first
        try:
            strangeness = min(self._detector.strangeness(memory, time, given), _STRANGEST)
            known = math.isfinite(strangeness)
            score, learns = kernels.judged(row, strangeness, rate) if known else (0.0, True)
            if learns:
                self._detector.learn(memory, time, given)
        except PluginError as error:
            self.failure = str(error)
            return 0.0, False
        if not known:
            return 0.0, False
        return score, kernels.settled(row, first, strangeness, score, learns)


class Memories:
    """The rows of the series that one judge sees; rows that are given back are used again."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.states: Floats = np.zeros((_FIRST, judge.width))
        self._free = list(range(_FIRST - 1, -1, -1))

    def take(self) -> int:
        """Return the number of a row of zeros."""
        if not self._free:
            count = len(self.states)
            self.states = np.vstack([self.states, np.zeros_like(self.states)])
            self._free = list(range(2 * count - 1, count - 1, -1))
        return self._free.pop()

    def clear(self, number: int) -> None:
        """Let a row be zeros again."""
        self.states[number] = 0.0

    def give_back(self, number: int) -> None:
        """Clear a row that is needed no more."""
        self.clear(number)
        self._free.append(number)

    def packed(self, number: int) -> bytes:
        """Return a row as bytes, little-endian."""
        row: bytes = self.states[number].astype("<f8").tobytes()
        return row

    def unpack(self, number: int, data: bytes) -> None:
        """Fill a row from bytes; of another length they are of another detector, and forgotten."""
        if len(data) == 8 * self.judge.width:
            self.states[number] = np.frombuffer(data, "<f8")

"""How far a worker is from doing its work well, and what it takes on less for it. Pure.

The degradation score lies between 0 (nothing is the matter) and 1. Each reading counts from 0 at
a bound from which it matters to 1 where it is as bad as can be, along a straight line:

    heat    = hottest sensor, 75 to 95 degrees Celsius
    memory  = share of the machine's memory in use, 0.85 to 0.97
    cpu     = share of all cores in use, 0.90 to 1.00, counted half
    queue   = fill of the worker's queues, tasks or ms, whichever is more, 0.50 to 1.00, half
    misses  = share of the latest 128 jobs that were not answered in time, 0.05 to 0.50, half

    strain  = 1 - (1 - heat) (1 - memory)
    load    = 1 - (1 - cpu / 2) (1 - queue / 2) (1 - misses / 2)
    score   = 1 - (1 - strain) (1 - load)
    spared  = 0.9 strain (1 + load) / 2

What a machine does not tell counts 0. `spared` is the share of its time in which the worker takes
on no work: only heat and memory are relieved by doing less, a loaded worker the more so; a worker
that is merely busy refuses nobody for it, and one that is hot keeps at least a tenth of its time.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from workers.scheduling.lanes import Lane

METRIC = "worker.degradation"
"""The metric of the score, without unit; `worker.degradation.heat` and so on are its parts."""
_LATEST = 128
_MOST_SPARED = 0.9
_TINY_MS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the machine tells: shares of CPU and memory in use, degrees Celsius; None if unknown.

    Raises ValueError for NaN, and for shares outside 0 to 1.
    """

    cpu: float | None = None
    memory: float | None = None
    temperature_c: float | None = None

    def __post_init__(self) -> None:
        for name, share in (("cpu", self.cpu), ("memory", self.memory)):
            if share is not None and not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is {share}; it must be a share from 0 to 1")
        if self.temperature_c is not None and not math.isfinite(self.temperature_c):
            raise ValueError(f"temperature_c is {self.temperature_c}; it must be a number")


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureParams:
    """From where to where each reading counts; raises ValueError where that is no stretch."""

    heat: tuple[float, float] = (75.0, 95.0)
    memory: tuple[float, float] = (0.85, 0.97)
    cpu: tuple[float, float] = (0.9, 1.0)
    queue: tuple[float, float] = (0.5, 1.0)
    misses: tuple[float, float] = (0.05, 0.5)

    def __post_init__(self) -> None:
        for name in self.__slots__:
            low, high = getattr(self, name)
            if not -math.inf < low < high < math.inf:
                raise ValueError(f"{name} counts from {low} to {high}; the second must be larger")


class Pressure(NamedTuple):
    """The parts of the score, each from 0 to 1."""

    heat: float = 0.0
    memory: float = 0.0
    cpu: float = 0.0
    queue: float = 0.0
    misses: float = 0.0

    @property
    def strain(self) -> float:
        """Return what is relieved by doing less."""
        return 1.0 - (1.0 - self.heat) * (1.0 - self.memory)

    @property
    def load(self) -> float:
        """Return what comes of being asked for much."""
        return 1.0 - (1.0 - self.cpu / 2) * (1.0 - self.queue / 2) * (1.0 - self.misses / 2)

    @property
    def score(self) -> float:
        """Return the degradation score."""
        return 1.0 - (1.0 - self.strain) * (1.0 - self.load)

    @property
    def spared(self) -> float:
        """Return the share of time in which no work is taken on."""
        return _MOST_SPARED * self.strain * (1.0 + self.load) / 2

    def metrics(self) -> Mapping[str, float]:
        """Return the score and its parts by the names of their metrics."""
        parts = {f"{METRIC}.{name}": value for name, value in self._asdict().items()}
        return {METRIC: self.score, **parts}


def pressure(params: PressureParams, told: Readings, queue: float, misses: float) -> Pressure:
    """Return the parts of the score for readings, the fill of queues and the share of misses."""
    return Pressure(
        _part(told.temperature_c, params.heat),
        _part(told.memory, params.memory),
        _part(told.cpu, params.cpu),
        _part(queue, params.queue),
        _part(misses, params.misses),
    )


def _part(value: float | None, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return 0.0 if value is None else min(1.0, max(0.0, (value - low) / (high - low)))


class Sparing:
    """Which jobs are refused so that a share of the time stays free: those worth least.

    Since the former readings each service asked for some work. What fits into the time that is
    not spared is taken on again, by priority and value per ms; of what does not fit, the same
    share of a service's jobs is refused, evenly.
    """

    def __init__(self) -> None:
        self.latest: deque[bool] = deque(maxlen=_LATEST)
        self.now = Pressure()
        self._asked: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._owed: dict[str, float] = {}
        self._since: float | None = None

    @property
    def misses(self) -> float:
        """Return the share of the latest jobs that were not answered in time."""
        return self.latest.count(False) / len(self.latest) if self.latest else 0.0

    @property
    def facts(self) -> tuple[float, float, float, float]:
        """Return what is told about a job that is refused."""
        now = self.now
        return (now.score, now.heat, now.memory, now.spared)

    def told(self, found: Pressure, lanes: Iterable[Lane], now: float) -> None:
        """Take note of what is the matter, and decide how much of whose work to refuse."""
        elapsed = 0.0 if self._since is None else now - self._since
        self.now, self._since, self._refused = found, now, {}
        if found.spared:
            left = (1.0 - found.spared) * elapsed
            for lane in sorted(lanes, key=_worth, reverse=True):
                asked = self._asked.get(lane.name, 0.0)
                kept = min(asked, left)
                left -= kept
                if asked > kept:
                    self._refused[lane.name] = 1.0 - kept / asked
        self._asked = {}

    def refuses(self, name: str, work_ms: float) -> bool:
        """Count a job's work in, and tell whether the service's job is refused."""
        self._asked[name] = self._asked.get(name, 0.0) + work_ms
        share = self._refused.get(name)
        if share is None:
            return False
        owed = self._owed.get(name, 0.0) + share
        self._owed[name] = owed - 1.0 if owed >= 1.0 else owed
        return owed >= 1.0

    def forget(self, service: str) -> None:
        """Drop everything about a service."""
        for kept in (self._asked, self._refused, self._owed):
            kept.pop(service, None)


def _worth(lane: Lane) -> tuple[int, float, str]:
    return (lane.priority, lane.value / max(lane.expected_ms(), _TINY_MS), lane.name)

"""The agent at work: asks its samplers in turn and reports what they say."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

from workers.agent.readings import MIB, Rates, Reading
from workers.probing.link import Wire
from workers.probing.periodic import following
from workers.telemetry import logger

STUCK_S = 60.0
"""Some file systems and drivers never answer; so much later than due is too late."""

log = logger(__name__)


class Sampler(Protocol):
    """Something that can be asked how it is."""

    def read(self) -> Iterable[Reading]:
        """Return what is to be reported now."""
        ...


class Reporting(Protocol):
    """What a reading goes to: a probe."""

    def report(self, metric: str, value: float, *, unit: str = "") -> None:
        """Report a measurement of now."""
        ...


@dataclass(slots=True)
class Turn:
    """When a sampler is asked; `every_s` apart, a turn that was missed is left out."""

    name: str
    sampler: Sampler
    every_s: float
    due: float = 0.0
    failed: int = 0


def take_turns(
    probe: Reporting,
    turns: Sequence[Turn],
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask each sampler when it is its turn, until `stop`; one that fails is asked again."""
    while not stop.is_set() and turns:
        for turn in turns:
            now = clock()
            if now >= turn.due:
                turn.due = following(turn.due, turn.every_s, now)
                ask(probe, turn)
        stop.wait(max(0.0, min(turn.due for turn in turns) - clock()))


def stuck(turns: Sequence[Turn], now_s: float) -> bool:
    """Tell whether a turn was due so long ago that a sampler must have held the others up."""
    return any(turn.due and turn.due + STUCK_S < now_s for turn in turns)


def ask(probe: Reporting, turn: Turn) -> None:
    """Report what a sampler says; what a machine cannot tell is told once, in the log."""
    try:
        for metric, value, unit in turn.sampler.read():
            probe.report(metric, value, unit=unit)
    except (OSError, psutil.Error, ValueError, RuntimeError) as error:
        turn.failed += 1
        if turn.failed == 1:
            log.warning("agent.sampler_failed", sampler=turn.name, error=repr(error))


class Cost:
    """What the agent itself costs: agent.cpu (% of a core), agent.memory (MiB, resident),
    agent.sent (B/s to brokers, as compressed) and agent.events (1/s).

    `events` tells how many were handed over so far.
    """

    def __init__(
        self, events: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._own = psutil.Process()
        self._events = events
        self._clock = clock
        self._rates = Rates()
        self.wire = Wire()
        """What it is told of the way to brokers."""

    def read(self) -> Iterator[Reading]:
        """Yield what it cost since the last reading."""
        used = self._own.cpu_times()
        counters = {
            "cpu": used.user + used.system,
            "sent": self.wire.bytes,
            "events": self._events(),
        }
        rates = self._rates.of(counters, self._clock())
        yield Reading("agent.memory", self._own.memory_info().rss / MIB, "MiB")
        for name, scale, unit in (("cpu", 100, "%"), ("sent", 1, "B/s"), ("events", 1, "1/s")):
            if name in rates:
                yield Reading(f"agent.{name}", rates[name] * scale, unit)

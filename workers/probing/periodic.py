"""What a probe looks at by itself, again and again: gauges and counters."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workers.probing.encoding import NO_NUMBER
from workers.probing.timing import Report
from workers.telemetry import logger

log = logger(__name__)


class Counter:
    """A sum that only grows, added to from any thread; reported as what came since last time."""

    def __init__(self, metric: str, unit: str = "", *, rate: bool = False) -> None:
        self.metric = metric
        self.unit = unit
        self._rate = rate
        self._adding = threading.Lock()
        self._total = 0.0
        self._told = 0.0
        self._refused = 0

    def add(self, amount: float = 1) -> None:
        """Add to it; a negative amount, or none that is finite, is refused and counted."""
        try:
            more = float(amount)
        except NO_NUMBER:
            more = -1.0
        with self._adding:
            if 0 <= more < float("inf"):
                self._total += more
            else:
                self._refused += 1

    @property
    def total(self) -> float:
        """Return the sum since it began."""
        return self._total

    @property
    def refused(self) -> int:
        """Return how many amounts were refused."""
        return self._refused

    def tell(self, report: Report, elapsed_s: float) -> None:
        """Report what came in the last seconds; with `rate`, per second."""
        with self._adding:
            delta, self._told = self._total - self._told, self._total
        if self._rate:
            report(f"{self.metric}.rate", delta / elapsed_s, unit=f"{self.unit or '1'}/s")
        else:
            report(self.metric, delta, unit=self.unit)


@dataclass(slots=True)
class Gauge:
    """A value that is asked for; None is reported as nothing."""

    metric: str
    read: Callable[[], float | None]
    unit: str = ""
    failed: int = 0

    def tell(self, report: Report, _: float) -> None:
        """Ask and report; what the callback raises is counted, and told once."""
        try:
            value = self.read()
        except Exception as error:  # noqa: BLE001 - other people's code: it must not end the rest
            self.failed += 1
            if self.failed == 1:
                log.warning("probe.gauge_failed", metric=self.metric, error=repr(error))
            return
        if value is not None:
            report(self.metric, value, unit=self.unit)


def following(due: float, every_s: float, now: float) -> float:
    """Return when the next turn is; turns that were missed are left out."""
    later = due + every_s
    return later if later > now else now + every_s


@dataclass(slots=True)
class _Entry:
    told: Any
    every_s: float
    due: float
    last: float


@dataclass(slots=True)
class Periodic:
    """Tells gauges and counters in a thread of its own, so that a slow gauge delays no others."""

    report: Report
    clock: Callable[[], float] = time.monotonic
    _entries: list[_Entry] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None
    _ended: bool = False

    def add(self, told: Gauge | Counter, every_s: float) -> None:
        """Tell of it every so many seconds, at least 0.01."""
        now, every = self.clock(), max(0.01, every_s)
        with self._changed:
            self._entries.append(_Entry(told, every, now + every, now))
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(target=self._run, name="probe-gauges", daemon=True)
                self._thread.start()
            self._changed.notify()

    def end(self, timeout_s: float) -> None:
        """Tell of the counters a last time, and stop."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
        now = self.clock()
        for entry in self._entries:
            if isinstance(entry.told, Counter):
                entry.told.tell(self.report, max(1e-3, now - entry.last))

    def turn(self) -> None:
        """Tell what is due."""
        now = self.clock()
        with self._changed:
            due = [entry for entry in self._entries if entry.due <= now]
        for entry in due:
            entry.told.tell(self.report, max(1e-3, now - entry.last))
            entry.last = now
            entry.due = following(entry.due, entry.every_s, now)

    def _run(self) -> None:
        while not self._ended:
            self.turn()
            with self._changed:
                if not self._ended:
                    next_due = min(entry.due for entry in self._entries)
                    self._changed.wait(max(0.0, next_due - self.clock()))

"""Patience: what is needed and away is asked for again, and everybody is told once.

While it waits the sink is not ready. One line is logged when waiting begins and one when it is
over; the tries between them are logged for DEBUG alone.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from workers import telemetry
from workers.errors import DiskTrouble, HostStopped, Unavailable

T = TypeVar("T")
P = ParamSpec("P")
_log = telemetry.logger("sink")


@dataclass(frozen=True, slots=True)
class Pauses:
    """The first and the longest pause between tries, and what counts as no answer; all ms."""

    first_ms: int = 200
    longest_ms: int = 5_000
    silence_ms: int = 5_000


class Patience:
    """Tries again, ever more slowly, while something that is needed cannot be reached.

    `ready` is set while it follows and waits for nothing. `disk_trouble` is when (monotonic, s)
    the database first had trouble with its disk; whoever acts on it sets it to None. Used by one
    thread.
    """

    def __init__(
        self, stop: threading.Event, pauses: Pauses, ready: threading.Event | None = None
    ) -> None:
        self._stop = stop
        self._pauses = pauses
        self._ready = ready or threading.Event()
        self._guard = threading.Lock()
        self._follows = False
        self._since: float | None = None
        self._call = 0
        self.disk_trouble: float | None = None

    def follow(self) -> None:
        """Say that everything is there and partitions are followed: ready, but while waiting."""
        with self._guard:
            self._follows = True
            if self._since is None:
                self._ready.set()

    def away(self, why: str) -> None:
        """Say that something cannot be reached."""
        with self._guard:
            self._begin(why)

    def back(self) -> None:
        """Say that everything can be reached."""
        with self._guard:
            self._call += 1
            if self._since is None:
                return
            waited = time.monotonic() - self._since
            self._since = None
            if self._follows:
                self._ready.set()
        _log.info("sink.goes-on", waited_s=round(waited, 1))

    def __call__(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the action gives, however long it takes.

        Raises HostStopped when it failed and the process is to stop; what was not stored will be
        read again.
        """
        pause = self._pauses.first_ms
        while True:
            try:
                with self._listening():
                    found = action(*args, **kwargs)
            except Unavailable as error:
                if isinstance(error, DiskTrouble) and self.disk_trouble is None:
                    self.disk_trouble = time.monotonic()
                self.away(str(error))
                _log.debug("sink.tries-again", why=str(error), pause_ms=pause)
                if self._stop.wait(pause / 1000):
                    raise HostStopped(f"stopped while waiting: {error}") from error
                pause = min(pause * 2, self._pauses.longest_ms)
            else:
                self.back()
                return found

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Tell of an answer that is long in coming while the block waits for it."""
        with self._guard:
            self._call += 1
            call = self._call
        seconds = self._pauses.silence_ms / 1000
        timer = threading.Timer(seconds, self._silent, (call, seconds))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _silent(self, call: int, seconds: float) -> None:
        with self._guard:
            if call == self._call:
                self._begin(f"no answer for {seconds:g} s")

    def _begin(self, why: str) -> None:
        if self._since is None:
            self._since = time.monotonic()
            self._ready.clear()
            _log.warning("sink.waits", why=why)

"""One program of the stack, kept running: started again when it ends or does not live any more.

It is renewed on demand, so that an upgrade needs no end of the stack: told to finish and started
again or, where nobody must wait for it, told so when its successor is ready.
"""

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from streams.embedded.incarnation import Incarnation
from streams.embedded.processes import LOOPBACK, free_port, tail
from streams.errors import StackError
from streams.exits import BAD_DATA, USAGE
from streams.running import Part

MIB = 1_048_576
FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.5, 10.0, 30.0
FAILURES_BEFORE_READY = 3
DRAIN_S = 10.0
"""A process that is renewed has so long to finish; one that stands still a third of it."""
SUCCESSOR_S = 240.0


@dataclass
class Supervised:
    """A program that is kept running; `port` and `path` are where it says that it is ready.

    It is started again after a pause that doubles up to 10 s, and is short again after 30 s of
    work. `live` is where it says whether it works. `handover` is the signal by which it makes room
    for a successor; with `overlap` the successor is ready before, on another port.
    """

    name: str
    argv: Sequence[str]
    log: Path
    port: int
    path: str = "/ready"
    environment: Mapping[str, str] = field(default_factory=dict)
    on_parent_death: signal.Signals = signal.SIGTERM
    live: str = ""
    handover: signal.Signals = signal.SIGTERM
    overlap: bool = False
    restarts: int = 0
    renewals: int = 0
    _now: Incarnation | None = None
    _next: Incarnation | None = None
    _leaving: list[Incarnation] = field(default_factory=list)
    _pause_s: float = FIRST_PAUSE_S
    _due: float | None = None
    _was_ready: bool = False
    _renewing: bool = False

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._now is not None and self._now.alive

    @property
    def renewing(self) -> bool:
        """Whether a renewal is under way."""
        return self._renewing or bool(self._leaving)

    def launch(self) -> None:
        """Start the process without waiting for it."""
        self._now = self._launched(self.port)
        self._due = None

    def _launched(self, port: int) -> Incarnation:
        return Incarnation(
            self.argv,
            self.log,
            port,
            self.path,
            self.live,
            self.environment,
            self.on_parent_death,
        )

    def ready(self) -> bool:
        """Ask whether it is ready. Raises StackError when it keeps ending before it ever was."""
        ready = self._now is not None and self._now.look()
        self._was_ready = self._was_ready or ready
        given_up = self.restarts >= FAILURES_BEFORE_READY or self._refused
        if not self._was_ready and given_up:
            raise StackError(f"{self.name} does not start: {tail(self.log)}")
        return ready

    def revive(self) -> None:
        """Start the process again when it has ended and its pause is over."""
        if self._now is None or self._now.alive:
            return
        now = time.monotonic()
        if self._due is None:
            fresh = not self._was_ready or now - self._now.began > STEADY_S
            self._pause_s = FIRST_PAUSE_S if fresh else min(self._pause_s * 2, LONGEST_PAUSE_S)
            if self._refused:
                self._pause_s = LONGEST_PAUSE_S
            self._due = now + self._pause_s
            self._now.is_ready = False
        elif now >= self._due:
            self.restarts += 1
            self.launch()

    @property
    def _refused(self) -> bool:
        """Whether it ended by itself and said that starting again does not help."""
        return self._now is not None and self._now.code in (USAGE, BAD_DATA)

    def renew(self) -> None:
        """Begin to replace the process by a new one; `tend` sees it through."""
        if self._now is None or self.renewing:
            return
        self._renewing = True
        if self.overlap and self._now.alive:
            self._next = self._launched(free_port())
        else:
            self._now.ask_to_end(self.handover, DRAIN_S)

    def tend(self) -> None:
        """Do what is due: see renewals through, end what stands still, start what has ended."""
        for leaving in self._leaving:
            leaving.insist()
        self._leaving = [leaving for leaving in self._leaving if leaving.alive]
        if self._next is not None:
            self._see_through(self._next)
        elif self._renewing:
            self._renew_in_place()
        elif self._now is not None:
            if self._now.deaf:
                self._now.ask_to_end(self.handover, DRAIN_S / 3)
            self._now.insist()
        self.revive()

    def _renew_in_place(self) -> None:
        if self._now is None or self._now.alive:
            if self._now is not None:
                self._now.insist()
            return
        self._renewing = False
        self.renewals += 1
        self.launch()

    def _see_through(self, successor: Incarnation) -> None:
        if successor.look():
            if self._now is not None:
                self._now.ask_to_end(self.handover, DRAIN_S)
                self._leaving.append(self._now)
            self._now, self.port = successor, successor.port
            self.renewals += 1
        elif successor.alive and time.monotonic() - successor.began < SUCCESSOR_S:
            return
        else:
            successor.ask_to_end(signal.SIGTERM, DRAIN_S)
            self._leaving.append(successor)
        self._next, self._renewing = None, False

    def terminate(self) -> None:
        """Ask the process to end."""
        for each in self._all():
            each.terminate()

    def stop(self, grace_s: float) -> None:
        """End the process, by force after `grace_s` seconds."""
        for each in self._all():
            each.stop(grace_s)
        self._now = self._next = None
        self._leaving = []

    def _all(self) -> list[Incarnation]:
        return [each for each in (self._now, self._next, *self._leaving) if each is not None]

    def part(self) -> Part:
        """Return how it is."""
        pid = self._now.pid if self._now else 0
        return Part(
            name=self.name,
            pid=pid,
            alive=self.alive,
            ready=self._now is not None and self._now.is_ready,
            restarts=self.restarts,
            memory_mib=memory_mib(pid) if self.alive else 0.0,
            health=f"http://{LOOPBACK}:{self.port}{self.path}",
            log=str(self.log),
            renewals=self.renewals,
            refusal=tail(self.log, 400) if self._refused else "",
        )


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB; 0 when it is gone."""
    try:
        return round(psutil.Process(pid).memory_info().rss / MIB, 1)
    except psutil.NoSuchProcess:
        return 0.0

"""One process of the stack: launched, asked for its readiness, started again when it ends."""

import http.client
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from streams.embedded.processes import LOOPBACK, launch, stop, tail
from streams.errors import StackError
from streams.running import Part

MIB = 1_048_576
FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.5, 10.0, 30.0
FAILURES_BEFORE_READY = 3
PROBE_S = 1.0


@dataclass
class Supervised:
    """A process that is kept running; `port` and `path` are where it says that it is ready.

    It is started again after a pause that doubles up to 10 s, and is short again after 30 s of
    work.
    """

    name: str
    argv: Sequence[str]
    log: Path
    port: int
    path: str = "/ready"
    environment: Mapping[str, str] = field(default_factory=dict)
    on_parent_death: signal.Signals = signal.SIGTERM
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _began: float = 0.0
    _pause_s: float = FIRST_PAUSE_S
    _due: float | None = None
    _ready: bool = False
    _was_ready: bool = False

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process without waiting for it."""
        self._process = launch(
            self.argv, self.log, self.environment, on_parent_death=self.on_parent_death
        )
        self._began = time.monotonic()
        self._ready = False
        self._due = None

    def ready(self) -> bool:
        """Ask whether it is ready. Raises StackError when it keeps ending before it ever was."""
        self._ready = self.alive and _answers(self.port, self.path)
        self._was_ready = self._was_ready or self._ready
        if not self._was_ready and self.restarts >= FAILURES_BEFORE_READY:
            raise StackError(f"{self.name} does not start: {tail(self.log)}")
        return self._ready

    def revive(self) -> None:
        """Start the process again when it has ended and its pause is over."""
        if self._process is None or self.alive:
            return
        now = time.monotonic()
        if self._due is None:
            fresh = not self._was_ready or now - self._began > STEADY_S
            self._pause_s = FIRST_PAUSE_S if fresh else min(self._pause_s * 2, LONGEST_PAUSE_S)
            self._due = now + self._pause_s
            self._ready = False
        elif now >= self._due:
            self.restarts += 1
            self.launch()

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process is not None and self.alive:
            self._process.terminate()

    def stop(self, grace_s: float) -> None:
        """End the process, by force after `grace_s` seconds."""
        if self._process is not None:
            stop(self._process, grace_s)
            self._process = None

    def part(self) -> Part:
        """Return how it is."""
        pid = self._process.pid if self._process else 0
        return Part(
            name=self.name,
            pid=pid,
            alive=self.alive,
            ready=self._ready,
            restarts=self.restarts,
            memory_mib=memory_mib(pid) if self.alive else 0.0,
            health=f"http://{LOOPBACK}:{self.port}{self.path}",
            log=str(self.log),
        )


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB; 0 when it is gone."""
    try:
        return round(psutil.Process(pid).memory_info().rss / MIB, 1)
    except psutil.NoSuchProcess:
        return 0.0


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

"""Runs `tegrastats` on a Jetson and keeps what it last said."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

from workers.agent.readings import Reading, quoted
from workers.agent.tegrastats import LONGEST, parse
from workers.telemetry import logger

PROGRAM = "tegrastats"
AGAIN_S = 10.0
"""A program that ended is started again after so long."""

log = logger(__name__)


def command(every_s: float, found: Callable[[str], str | None] = shutil.which) -> list[str] | None:
    """Return how to run it, or None where there is none."""
    place = found(PROGRAM)
    return [place, "--interval", str(max(100, round(every_s * 1000)))] if place else None


class Tegra:
    """Each line is read once, by the next `read`; a machine without the program tells nothing."""

    def __init__(self, command: list[str] | None) -> None:
        self._command = command
        self._line: str | None = None
        self._told = False
        self._ending = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        if command is not None:
            threading.Thread(target=self._follow, name="tegrastats", daemon=True).start()

    def read(self) -> Iterator[Reading]:
        """Yield what the newest line says, if it is new."""
        line, self._line = self._line, None
        if line is None:
            return
        readings, unread = parse(line)
        if unread and not self._told:
            self._told = True
            log.warning("agent.tegrastats_unread", pieces=quoted(unread[:10]))
        yield from readings

    def close(self) -> None:
        """End the program."""
        self._ending.set()
        if self._process is not None:
            self._process.terminate()

    def _follow(self) -> None:
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                self._run()
            except OSError as error:
                log.warning("agent.tegrastats_failed", error=str(error))
            self._ending.wait(max(0.0, AGAIN_S - (time.monotonic() - began)))

    def _run(self) -> None:
        with subprocess.Popen(
            self._command or (),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
        ) as process:
            self._process = process
            if self._ending.is_set():
                process.terminate()
            while process.stdout and (line := process.stdout.readline(LONGEST)):
                self._line = line

"""One run of a supervised program: its process, and what it answers when it is asked how it is."""

import http.client
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from streams.embedded.processes import LOOPBACK, launch, stop

PROBE_S = 1.5
SILENT_S, SILENT_LOOKS = 10.0, 4
"""It does not live any more when it has not answered for so long, and so many times."""
REFUSING_LOOKS = 2
"""Nor when it has said so many times that it does not."""
PORT = "{port}"
"""Stands in the arguments for the port on which it answers."""


class Incarnation:
    """A process from its launch to its end; `live` is where it says whether it works, if it does.

    Launch it from a thread that lives as long as it shall; see `processes.launch`.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        port: int,
        path: str,
        live: str,
        environment: Mapping[str, str],
        on_parent_death: signal.Signals,
    ) -> None:
        argv = [part.replace(PORT, str(port)) for part in argv]
        self._process = launch(argv, log, environment, on_parent_death=on_parent_death)
        self.began = time.monotonic()
        self.port = port
        self.is_ready = False
        self.was_ready = False
        self._path = path
        self._live = live
        self._heard: float | None = None
        self._silent = 0
        self._refused = 0
        self._asked: float | None = None
        self._grace_s = 0.0

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def look(self) -> bool:
        """Ask how it is; return whether it is ready."""
        self.is_ready = self.alive and self._ask(self._path) == 200
        self.was_ready = self.was_ready or self.is_ready
        said = 200 if self.is_ready or not self.alive else self._ask(self._live or self._path)
        if said is None:
            self._silent += 1
        else:
            self._silent, self._heard = 0, time.monotonic()
        self._refused = self._refused + 1 if self._live and said not in (200, None) else 0
        return self.is_ready

    @property
    def deaf(self) -> bool:
        """Whether it runs and works no more: it says so, or says nothing though it once did."""
        if not self.alive or self._heard is None:
            return False
        silent = self._silent >= SILENT_LOOKS and time.monotonic() - self._heard > SILENT_S
        return silent or self._refused >= REFUSING_LOOKS

    def ask_to_end(self, how: signal.Signals, grace_s: float) -> None:
        """Send a signal, once; `insist` ends it by force when `grace_s` seconds have passed."""
        if self._asked is None and self.alive:
            self._asked, self._grace_s = time.monotonic(), grace_s
            self._process.send_signal(how)

    def insist(self) -> None:
        """End it by force if it was asked to end and its time is over."""
        if self._asked is not None and time.monotonic() - self._asked > self._grace_s:
            self._process.kill()

    @property
    def asked(self) -> bool:
        """Whether it was asked to end."""
        return self._asked is not None

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        if self.alive:
            self._process.terminate()

    def stop(self, grace_s: float) -> None:
        """End it, by force after `grace_s` seconds."""
        stop(self._process, grace_s)

    def _ask(self, path: str) -> int | None:
        """Return the status of its answer; None when there is none in time."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=PROBE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

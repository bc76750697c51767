"""Child processes that never outlive their parent, and the ports they listen on."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from streams.errors import StackError

LOOPBACK = "127.0.0.1"
POLL_S = 0.02
_PORTS = range(15_000, 30_000)
_CHANCE = random.SystemRandom()
_given: deque[int] = deque(maxlen=1_000)
_LAUNCH = """
import ctypes, os, sys
parent, signal = int(sys.argv[1]), int(sys.argv[2])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal)
if os.getppid() != parent:
    sys.exit("the parent ended before this process began")
os.execvp(sys.argv[3], sys.argv[3:])
"""


def free_port() -> int:
    """Return a port of the loopback interface on which nobody listens now.

    No port is given again soon by one process, and none that the system could take for the near
    end of a connection: whoever asked may listen on it a good while later.
    """
    while True:
        port = _CHANCE.choice(_PORTS)
        if port not in _given and not _taken(port):
            _given.append(port)
            return port


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
        return False


def listens(port: int) -> bool:
    """Return whether someone accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def refuse_taken(port: int, name: str) -> None:
    """Raise StackError when someone listens on the port that a server is about to take."""
    if listens(port):
        raise StackError(f"{name}: port {port} is taken by another process; choose another")


def launch(
    argv: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    on_parent_death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output appended to `log`.

    On Linux the kernel sends it `on_parent_death` when the thread that called this ends, so call
    it from one that lives as long as the child shall. It gets no Ctrl-C of the terminal: whoever
    started it stops it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid())]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*launcher, str(int(on_parent_death)), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End a process: SIGTERM, and SIGKILL when it is still there after `grace_s` seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    name: str,
    log: Path,
    limit_s: float,
) -> None:
    """Return when `ready()` is true.

    Raises StackError, with the end of the log, when the process ends or `limit_s` seconds pass.
    """
    deadline = time.monotonic() + limit_s
    while True:
        if process.poll() is not None:
            raise StackError(f"{name} ended with code {process.returncode}: {tail(log)}")
        if ready():
            return
        if time.monotonic() > deadline:
            raise StackError(f"{name} was not ready within {limit_s:.0f} s: {tail(log)}")
        time.sleep(POLL_S)


def tail(log: Path, limit: int = 600) -> str:
    """Return the last characters of a log file, or where it would be."""
    if not log.exists():
        return f"no log at {log}"
    text = log.read_bytes()[-limit:].decode("utf-8", "replace").strip()
    return f"{text or 'it wrote nothing'} (log: {log})"

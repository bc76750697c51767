"""Engines that were built for one GPU, kept in a folder: whole ones alone, the newest few.

The name of a file tells the SHA-256 of what it holds, so that it is a prebuilt engine as it is.
"""

import hashlib
import os
import time
from pathlib import Path

from workers.telemetry import logger

KEPT = 16
"""Most engines that are kept; those that were used longest ago go."""
LEFT_OVER_S = 86_400.0
"""What a writer that was killed left behind goes after a day."""
ENGINE, UNFINISHED = ".engine", ".new"

log = logger(__name__)


def kept(folder: Path, key: str) -> bytes | None:
    """Return an engine that is kept under a key, whole; None when there is none."""
    for path in folder.glob(f"{key}-*{ENGINE}"):
        plan = path.read_bytes()
        if path == _place(folder, key, plan):
            path.touch()
            return plan
        path.unlink(missing_ok=True)
    return None


def keep(folder: Path, key: str, plan: bytes) -> None:
    """Keep an engine under a key, and remove what is too much.

    An engine that cannot be kept is told in the log: it can be used all the same.
    """
    temporary = folder / f"{key}-{os.getpid()}{UNFINISHED}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(plan)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(_place(folder, key, plan))
        _tidy(folder, time.time())
    except OSError as error:
        log.warning("engine.not_kept", folder=str(folder), reason=error.strerror or str(error))


def _place(folder: Path, key: str, plan: bytes) -> Path:
    return folder / f"{key}-{hashlib.sha256(plan).hexdigest()}{ENGINE}"


def _tidy(folder: Path, now: float) -> None:
    ages = {path: now - path.stat().st_mtime for path in folder.iterdir() if path.is_file()}
    engines = sorted((path for path in ages if path.suffix == ENGINE), key=ages.__getitem__)
    left_over = [path for path in ages if path.suffix == UNFINISHED and ages[path] > LEFT_OVER_S]
    for path in (*engines[KEPT:], *left_over):
        path.unlink(missing_ok=True)

"""The environment of the peers: a venv of their own in the cache, from a locked list with hashes.

`make lock` renews the list. The folder is named by what the list holds, so that a renewed list
makes a new one.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from streams.errors import StackError

LOCK = Path(__file__).parents[2] / "requirements" / "bench.lock"
LIMIT_S = 900.0
_MARK = ".complete"


def interpreter(say: Callable[[str], None], lock: Path = LOCK, cache: Path | None = None) -> Path:
    """Return the Python of the peers, after installing them the first time.

    The environment lies below $XDG_CACHE_HOME, or ~/.cache. Raises StackError, which says why,
    where they cannot be had.
    """
    if not lock.exists():
        raise StackError(f"{lock} is not there: the peers' versions come with a checkout of Weir")
    name = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    place = (cache or _cache()) / f"bench-{name}"
    python = place / "bin" / "python"
    if (place / _MARK).exists():
        return python
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (place / _MARK).exists():
            say("installing the peers into an environment of their own; a minute or two, once")
            _install(place, python, lock)
    return python


def _install(place: Path, python: Path, lock: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    _call([sys.executable, "-m", "venv", str(place)])
    arguments = ["-q", "--disable-pip-version-check", "--no-input", "--require-hashes"]
    _call([str(python), "-m", "pip", "install", *arguments, "-r", str(lock)])
    (place / _MARK).touch()


def _call(argv: list[str]) -> None:
    try:
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"the peers were not installed within {LIMIT_S:.0f} s") from error
    if done.returncode != 0:
        told = (done.stderr or done.stdout).strip()[-600:]
        raise StackError(f"the peers could not be installed: {told}")


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "weir"

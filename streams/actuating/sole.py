"""One actuator at a time for the workers of a folder: whoever comes second waits.

The kernel frees the lock with the process that has it, however that ends; one that only stands
still keeps it, since it may go on at any time.
"""

import fcntl
import os
from pathlib import Path
from typing import IO


class Sole:
    """The lock of a folder. Nothing is locked before `held` is asked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "actuator.lock"
        self._file: IO[str] | None = None
        self.holder = ""
        """Process id of the other that had it when it was last asked for."""

    def held(self) -> bool:
        """Return whether it is ours; it is taken where it is free. Raises OSError."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            self.holder = file.read().strip()
            file.close()
            return False
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return True

    def close(self) -> None:
        """Let it go."""
        if self._file is not None:
            self._file.close()
            self._file = None

"""`weir` with a clock that a file moves: what a process does whose machine's clock jumps.

    python -m streams.bench.shifted FILE run observe

FILE holds the milliseconds by which this process is ahead of the others; without it there are
none. Python's wall clock is moved, which is all that decides here. The timestamps of records,
which librdkafka makes of the machine's own clock, stay right: they tell such a process apart.
"""

import sys
import time
from pathlib import Path

LOOK_S = 0.05


class ShiftedClock:
    """Reads the system's clock, moved by what a file says; the file is looked at 20 times a s."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._true_ns = time.time_ns
        self._shift_ns = 0
        self._look_at = 0.0

    def time_ns(self) -> int:
        """Return nanoseconds since the epoch."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._shift_ns = _read(self._file) * 1_000_000
        return self._true_ns() + self._shift_ns

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self.time_ns() / 1e9


def _read(file: Path) -> int:
    try:
        return int(file.read_text("utf-8") or 0)
    except (OSError, ValueError):
        return 0


def main() -> None:
    """Move the clock, then do as `weir` does with the arguments that follow the file."""
    clock = ShiftedClock(Path(sys.argv.pop(1)))
    time.time_ns, time.time = clock.time_ns, clock.time
    from streams.cli import main as weir  # noqa: PLC0415 - only after the clock is moved

    weir()


if __name__ == "__main__":
    main()

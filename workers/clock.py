"""The one place where processes read the time; everything that decides is handed it.

It is the system's time, but for jumps: a clock that is set an hour ahead, and back a moment later,
would let everything expire at once. A jump is followed when it has lasted for ten seconds; until
then time goes on evenly. What drifts slowly, as a clock that is being disciplined, is followed at
once.
"""

import time
from collections.abc import Callable
from typing import Final

Clock = Callable[[], int]
"""Returns milliseconds since the epoch."""
JUMP_NS: Final = 500_000_000
"""A step of the system's time between two readings that is more than that is a jump."""
LASTING_NS: Final = 10_000_000_000


class SteadyClock:
    """The system's time without its short jumps; `wall` and `even` return ns, for tests."""

    def __init__(
        self,
        wall: Callable[[], int] = lambda: time.time_ns(),  # noqa: PLW0108 - it may be replaced
        even: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall = wall
        self._even = even
        self._ahead = wall() - even()
        self._jumped_at: int | None = None

    def ns(self) -> int:
        """Return nanoseconds since the epoch."""
        even = self._even()
        ahead = self._wall() - even
        if abs(ahead - self._ahead) <= JUMP_NS:
            self._ahead, self._jumped_at = ahead, None
        elif self._jumped_at is None:
            self._jumped_at = even
        elif even - self._jumped_at >= LASTING_NS:
            self._ahead, self._jumped_at = ahead, None
        return even + self._ahead


_CLOCK: Final = SteadyClock()


def wall_ms() -> int:
    """Return the time, ms since the epoch."""
    return _CLOCK.ns() // 1_000_000


def fine_ms() -> float:
    """Return the time, ms since the epoch, with fractions."""
    return _CLOCK.ns() / 1e6

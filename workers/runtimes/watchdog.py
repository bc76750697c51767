"""Calls for a stop of what is under way for too long."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stop = Callable[[], None]
"""Asks something to end; called once, in the watchdog's thread, and must not block."""


class Watchdog:
    """Watches what several threads have under way, in one thread that lives while there is any.

    Beginning and ending cost a lock each: the thread wakes at deadlines, not for every call.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: dict[int, tuple[float, Stop]] = {}
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None
        self._number = 0

    @contextmanager
    def over(self, seconds: float, stop: Stop) -> Iterator[None]:
        """Call `stop` when the block is not left within so many seconds."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._number += 1
            number = self._number
            self._under_way[number] = (deadline, stop)
            self._look_by(deadline)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.pop(number, None)

    def _look_by(self, deadline: float) -> None:
        if self._thread is None:
            self._wakes_at = deadline
            self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
            self._thread.start()
        elif deadline < self._wakes_at:
            self._wakes_at = deadline
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while self._under_way:
                self._wakes_at = min(deadline for deadline, _ in self._under_way.values())
                left = self._wakes_at - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                else:
                    self._stop_overdue()
            self._thread = None

    def _stop_overdue(self) -> None:
        now = time.monotonic()
        for number, (deadline, stop) in list(self._under_way.items()):
            if deadline <= now:
                del self._under_way[number]
                stop()

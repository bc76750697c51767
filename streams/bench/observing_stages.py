"""Where the CPU time of a host goes: the time of its thread, part by part, each without its parts.

What a stage costs is measured around the functions at the host's seams, a few calls a batch, so
that the measurement costs next to nothing.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

from processors.observing.observe import spec
from workers.hosting import commit as host_commit
from workers.hosting.columns import ColumnReader
from workers.hosting.host import BatchHost
from workers.hosting.work import Work
from workers.kafka.member import Member
from workers.kafka.sending import Transactions

POLL, DECODE, WINDOWS, ENCODE, COMMIT, HOST = (
    "poll",
    "decode",
    "windows",
    "encode",
    "commit",
    "host",
)
THREADS = "client threads"
"""What is not spent by the host's thread: librdkafka fetches and sends in threads of its own."""
SEAMS: tuple[tuple[Any, str, str], ...] = (
    (BatchHost, "_turn", HOST),
    (Member, "poll", POLL),
    (ColumnReader, "read", DECODE),
    (host_commit, "encoded", ENCODE),
    (Work, "snapshots", COMMIT),
    (Transactions, "commit", COMMIT),
)
NS = 1e9


class Stages:
    """CPU seconds by stage; made before the host, in the process whose time it tells."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._inner = 0
        for owner, name, stage in SEAMS:
            self._watch(owner, name, stage)
        self._watch(type(spec().build(0)), "process", WINDOWS)

    def _watch(self, owner: Any, name: str, stage: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(original)
        def watched(*arguments: Any, **named: Any) -> Any:
            outer, self._inner = self._inner, 0
            begun = time.thread_time_ns()
            try:
                return original(*arguments, **named)
            finally:
                spent = time.thread_time_ns() - begun
                own = spent - self._inner
                self._spent[stage] = self._spent.get(stage, 0.0) + own
                self._inner = outer + spent

        setattr(owner, name, watched)

    def clear(self) -> None:
        """Forget what was spent so far."""
        self._spent.clear()

    def report(self, cpu_s: float, events: int) -> dict[str, float]:
        """Return µs of CPU per event by stage, given what the process spent on so many events."""
        seconds = {stage: spent / NS for stage, spent in self._spent.items()}
        seconds[THREADS] = cpu_s - sum(seconds.values())
        return {stage: round(spent / events * 1e6, 3) for stage, spent in seconds.items()}

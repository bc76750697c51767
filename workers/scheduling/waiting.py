"""A job that waits. Pure."""

from typing import Any

from workers.scheduling.jobs import Job

Rank = Any
"""What an order sorts the jobs of one service by: anything comparable, alike within the order."""


class Waiting:
    """A job with its arrival among all, its predicted work (ms), and whether it was set aside.

    `late_ms` is by how much the deadlines could not be held when it was; `mark` is the order's.
    """

    __slots__ = ("alive", "aside", "job", "late_ms", "mark", "rank", "seq", "work_ms")

    def __init__(self, job: Job, seq: int, work_ms: float) -> None:
        self.job = job
        self.seq = seq
        self.rank: Rank = seq
        self.work_ms = work_ms
        self.alive = True
        self.aside = False
        self.late_ms = 0.0
        self.mark: int | None = None

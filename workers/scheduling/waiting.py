"""A job that waits. Pure."""

import math
from typing import Any

from workers.scheduling.jobs import Job

Rank = Any
"""What an order sorts the jobs of one service by: anything comparable, alike within the order."""


class Waiting:
    """A job with its arrival among all, its predicted work (ms), and whether it was set aside.

    It is to be done by `due`: its deadline, or when it ends that begins at the age at which it may
    wait no longer. `late_ms` is by how much it or others were expected to be late when it was set
    aside; `mark` is the order's.
    """

    __slots__ = ("alive", "aside", "due", "job", "late_ms", "mark", "rank", "seq", "work_ms")

    def __init__(self, job: Job, seq: int, work_ms: float, max_age_ms: float = math.inf) -> None:
        self.job = job
        self.seq = seq
        self.rank: Rank = seq
        self.work_ms = work_ms
        due, aged = job.deadline, job.arrived + max_age_ms + work_ms
        self.due = due if due < aged else aged  # noqa: FURB136  # a call doubles its cost
        self.alive = True
        self.aside = False
        self.late_ms = 0.0
        self.mark: int | None = None

"""Rates in events per CPU second, measured side by side; for the benchmarks of this folder."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report: two rates of the same run, and the least ratio that we accept."""

    what: str
    ours: float
    against: str
    theirs: float
    least: float

    @property
    def ratio(self) -> float:
        """How many times the other's rate ours is."""
        return self.ours / self.theirs


def rate(work: Callable[[], int], rounds: int = 5) -> float:
    """Return the best of several rounds, in units of work per CPU second of this process."""
    best = 0.0
    for _ in range(rounds):
        begun = time.process_time()
        done = work()
        best = max(best, done / (time.process_time() - begun))
    return best


def child_rate(module: str, *arguments: str, count: int) -> float:
    """Run a module to its end and return `count` per CPU second that it reports to have spent.

    The module prints the CPU seconds of its measured part as its last line.
    """
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "WEIR_LOG_LEVEL": "WARNING"}
    run = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        timeout=300,
    )
    return count / float(run.stdout.splitlines()[-1])


def cpu_seconds() -> float:
    """Return the CPU time that this process has used, all its threads included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

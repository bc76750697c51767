"""Chosen processes, by id or by name: what they use together.

Metrics: process.<name>.count, .cpu (% of one core), .memory (MiB, resident), .threads. A choice
that matches nothing is told as a count of 0.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import psutil

from workers.agent.readings import MIB, Reading

LOOK_S = 5.0
"""New processes of a name are looked for so often: walking through all of them is what costs."""
MOST = 64
"""Processes of one choice that are followed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process uses: % of a core, None before it is known; resident bytes, threads."""

    cpu: float | None
    memory: int
    threads: int


def together(name: str, usages: Sequence[Usage]) -> Iterator[Reading]:
    """Yield the readings of the processes of one choice."""
    yield Reading(f"process.{name}.count", len(usages), "1")
    if usages:
        known = [usage.cpu for usage in usages if usage.cpu is not None]
        if known:
            yield Reading(f"process.{name}.cpu", sum(known), "%")
        yield Reading(f"process.{name}.memory", sum(u.memory for u in usages) / MIB, "MiB")
        yield Reading(f"process.{name}.threads", sum(usage.threads for usage in usages), "1")


class Chosen:
    """Follows processes; a choice of digits alone is a process id, anything else a name."""

    def __init__(self, choices: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._choices = tuple(dict.fromkeys(choices))
        self._clock = clock
        self._followed: dict[str, dict[int, psutil.Process]] = {name: {} for name in self._choices}
        self._new: set[int] = set()
        self._looked = float("-inf")

    def read(self) -> Iterator[Reading]:
        """Yield what each choice uses; the CPU of a process from its second reading on."""
        if self._choices and self._clock() - self._looked >= LOOK_S:
            self._looked = self._clock()
            self._look()
        for name, followed in self._followed.items():
            usages = []
            for pid, process in list(followed.items()):
                usage = _usage(process)
                if usage is None:
                    del followed[pid]
                else:
                    usages.append(replace(usage, cpu=None) if pid in self._new else usage)
            yield from together(name, usages)
        self._new.clear()

    def _look(self) -> None:
        names = {choice for choice in self._choices if not choice.isdecimal()}
        for choice in self._choices:
            if choice.isdecimal():
                with contextlib.suppress(psutil.Error, OverflowError):
                    self._follow(choice, psutil.Process(int(choice)))
        if names:
            for process in psutil.process_iter(["name"]):
                if process.info["name"] in names:
                    self._follow(process.info["name"], process)

    def _follow(self, choice: str, process: psutil.Process) -> None:
        followed = self._followed[choice]
        known = followed.get(process.pid)
        if known == process or (known is None and len(followed) >= MOST):
            return
        if _usage(process) is not None:
            followed[process.pid] = process
            self._new.add(process.pid)


def _usage(process: psutil.Process) -> Usage | None:
    try:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            memory = process.memory_info().rss
            return Usage(process.cpu_percent(None), memory, process.num_threads())
    except psutil.Error:
        return None

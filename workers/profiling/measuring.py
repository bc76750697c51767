"""Measures a model in a process of its own: alone, beside a busy neighbour, and short of memory.

The model has some cores, the neighbour that takes CPU time sits on these same cores, the one that
takes the way to memory on the others, so that one is not taken for the other.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import IO, Any

import psutil

from workers.profiling.hog import CPU, MEMORY
from workers.profiling.judging import Measured, Profile, delayed, measured, strained
from workers.runtimes.errors import BrokenModel


@dataclass(frozen=True, slots=True)
class Errand:
    """What to measure: a file or URI, its format, device, options of its runtime, batch."""

    artifact: str
    format: str = "onnx"
    device: str = "cpu"
    options: dict[str, str] = field(default_factory=dict)
    batch: int = 1


def profile(errand: Errand, seconds: float, cores: int = 1, rounds: int = 3) -> Profile:
    """Return how a model behaves alone and under contention, measured for so long each time.

    Rounds alternate, and medians count, because others may use the machine, too. It has the first
    `cores` of the cores that this process may use; without others, contention for memory is not
    measured. Raises BrokenModel, saying why, for a model that does not run.
    """
    free = sorted(psutil.Process().cpu_affinity() or [0])
    own, others = free[:cores], free[cores:]
    alone: list[Measured] = []
    slowed: dict[str, list[float]] = {CPU: [], MEMORY: []}
    with _subject(errand, own) as (told, ask), _hogs(CPU, own) as cpu, _hogs(MEMORY, others) as way:
        for _ in range(rounds):
            alone.append(ask(seconds))
            for kind, hogs, ratio in ((CPU, cpu, delayed), (MEMORY, way, strained)):
                if hogs:
                    with _let(hogs):
                        slowed[kind].append(ratio(alone[-1], ask(seconds)))
    middle = sorted(alone, key=lambda one: one.mean_ms)[rounds // 2]
    under = {kind: median(ratios) if ratios else None for kind, ratios in slowed.items()}
    return Profile(str(told["provider"]), middle, under[CPU], under[MEMORY])


@contextmanager
def _let(hogs: Sequence[psutil.Process]) -> Iterator[None]:
    """Let processes run for a while that are suspended else."""
    for hog in hogs:
        hog.resume()
    try:
        yield
    finally:
        for hog in hogs:
            hog.suspend()


class _Asking:
    """Asks the measured process for one measurement after another."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._to, self._from = _streams(process)

    def __call__(self, seconds: float) -> Measured:
        self._to.write(f"{seconds}\n")
        self._to.flush()
        return measured(self.answer())

    def answer(self) -> dict[str, Any]:
        line = self._from.readline()
        if not line:
            raise BrokenModel(
                "the process in which the model runs has ended; is its memory enough?"
            )
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise BrokenModel(str(told["error"]))
        return told


@contextmanager
def _subject(errand: Errand, cores: Sequence[int]) -> Iterator[tuple[dict[str, Any], _Asking]]:
    told = {
        "artifact": errand.artifact,
        "format": errand.format,
        "device": errand.device,
        "options": errand.options,
        "batch": errand.batch,
    }
    module = "workers.profiling.subject"
    argv = [sys.executable, "-m", module, ",".join(map(str, cores)), json.dumps(told)]
    with _running(argv) as process:
        asking = _Asking(process)
        yield asking.answer(), asking


@contextmanager
def _hogs(kind: str, cores: Sequence[int]) -> Iterator[list[psutil.Process]]:
    """Start a process on each core, suspended as soon as it has begun."""
    module, found = "workers.profiling.hog", []
    with ExitStack() as every:
        for core in cores:
            argv = [sys.executable, "-m", module, kind, str(core), str(os.getpid())]
            process = every.enter_context(_running(argv))
            if not _streams(process)[1].readline():
                raise BrokenModel("the process that is to contend for this machine has ended")
            found.append(psutil.Process(process.pid))
            found[-1].suspend()
        yield found


@contextmanager
def _running(argv: Sequence[str]) -> "Iterator[subprocess.Popen[str]]":
    """Start a process, and end it at the end."""
    process = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _streams(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the measured process must have both streams")
    return process.stdin, process.stdout

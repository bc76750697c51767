"""How the machine is doing that a worker runs on: processors, memory, its hottest part.

Sensors may take their time to answer, so that they are asked in a thread of their own.
"""

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from workers.agent import gpus
from workers.agent.machine import Machine
from workers.agent.nvml import nvidia
from workers.agent.readings import Reading
from workers.agent.tegra_process import Tegra, command
from workers.scheduling.pressure import Readings
from workers.telemetry import logger

EVERY_S = 1.0
KEPT_S = 5.0
"""What a sensor said counts for so long, if it says nothing since."""
_HEAT = re.compile(r"(jetson\.)?temperature\..+|gpu\.\d+\.temperature")
_ELSEWHERE = re.compile(
    r"temperature\.(nvme|drivetemp|iwlwifi|ath|mt7|r8169|bat).*|.*\.pmic.*|.*\.peak"
)
"""Disks and radios, which are not relieved by fewer executions; constants; and what is past."""

log = logger(__name__)


class Source(Protocol):
    """Something that tells readings."""

    def read(self) -> Iterable[Reading]:
        """Return what it tells now."""
        ...


class Vitals:
    """Asks once a second from `begin` to `close`; `take` is for the worker's own thread."""

    def __init__(self, sources: Sequence[Source] | None = None, every_s: float = EVERY_S) -> None:
        self._tegra = Tegra(command(every_s)) if sources is None else None
        self._sources = sources
        self._every_s = every_s
        self._ending = threading.Event()
        self._newest: Readings | None = None
        self._failed: set[str] = set()

    def begin(self) -> None:
        """Ask from now on."""
        threading.Thread(target=self._run, name="vitals", daemon=True).start()

    def take(self) -> Readings | None:
        """Return what was told since the last call; None when nothing was."""
        newest, self._newest = self._newest, None
        return newest

    def close(self) -> None:
        """Ask no more."""
        self._ending.set()
        if self._tegra is not None:
            self._tegra.close()

    def _run(self) -> None:
        sources = _of_here(self._tegra) if self._sources is None else self._sources
        told: dict[str, tuple[float, Reading]] = {}
        while not self._ending.wait(self._every_s):
            now = time.monotonic()
            told |= {reading.metric: (now, reading) for reading in self._ask(sources)}
            told = {name: (at, r) for name, (at, r) in told.items() if now - at <= KEPT_S}
            self._newest = readings_of(reading for _, reading in told.values())

    def _ask(self, sources: Iterable[Source]) -> Iterator[Reading]:
        for source in sources:
            try:
                yield from source.read()
            except Exception as error:  # noqa: BLE001 - drivers: one that fails must not end the rest
                name = type(source).__name__
                if name not in self._failed:
                    self._failed.add(name)
                    log.warning("worker.unread", source=name, reason=str(error))


class _Gpus:
    """GPUs as a source."""

    def __init__(self, found: gpus.Gpus) -> None:
        self._found = found

    def read(self) -> Iterator[Reading]:
        """Yield what the GPUs tell."""
        yield from gpus.readings(self._found.states())


def _of_here(tegra: Tegra | None) -> list[Source]:
    own: list[Source] = [Machine((), per_core=False), _Gpus(nvidia())]
    return own if tegra is None else [*own, tegra]


def readings_of(told: Iterable[Reading]) -> Readings:
    """Return what an agent's readings say of the machine; None for what they do not tell.

    The temperature is that of the hottest processor or accelerator, or of the board.
    """
    values = {reading.metric: reading.value for reading in told}
    heat = [
        value
        for name, value in values.items()
        if _HEAT.fullmatch(name) and not _ELSEWHERE.fullmatch(name)
    ]
    return Readings(
        cpu=_share(values.get("cpu.used"), 100.0),
        memory=_memory(values),
        temperature_c=max(heat, default=None),
    )


def _memory(values: Mapping[str, float]) -> float | None:
    free, total = values.get("memory.available"), values.get("memory.total")
    return None if free is None or not total else _share(total - free, total)


def _share(part: float | None, whole: float) -> float | None:
    return None if part is None else min(1.0, max(0.0, part / whole))

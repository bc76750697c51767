"""What this device tells of itself during a run: least, mean and most of each metric."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from workers.agent.gpus import Gpus, readings
from workers.agent.machine import Machine
from workers.agent.nvml import nvidia
from workers.agent.readings import Reading
from workers.agent.tegra_process import Tegra, command
from workers.inference.vitals import readings_of
from workers.scheduling.pressure import Readings
from workers.telemetry import logger

EVERY_S = 1.0
MOST_METRICS = 300

Sampler = Callable[[], Iterable[Reading]]
log = logger(__name__)


class Resources:
    """Readings by metric, in memory that does not grow with time."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._newest: Readings | None = None

    def take(self, found: Iterable[Reading]) -> None:
        """Take readings; metrics beyond 300 are left out."""
        with self._lock:
            for metric, value, unit in found:
                known = self._found.get(metric)
                if known is not None:
                    known["min"] = min(known["min"], value)
                    known["max"] = max(known["max"], value)
                    known["last"] = value
                    known["count"] += 1
                    known["mean"] += (value - known["mean"]) / known["count"]
                elif len(self._found) < MOST_METRICS:
                    same = dict.fromkeys(("min", "mean", "max", "last"), value)
                    self._found[metric] = {"unit": unit, "count": 1, **same}

    def round(self) -> None:
        """Note that everything was asked once more."""
        with self._lock:
            last = [Reading(name, told["last"]) for name, told in self._found.items()]
        self._newest = readings_of(last)

    def vitals(self) -> Readings | None:
        """Return how the machine was doing in the latest round; None once it was told."""
        newest, self._newest = self._newest, None
        return newest

    def summary(self) -> dict[str, Any]:
        """Return every metric, as JSON can hold it."""
        with self._lock:
            return {name: _rounded(told) for name, told in sorted(self._found.items())}


@contextmanager
def watched(every_s: float = EVERY_S, gpus: Gpus | None = None) -> Iterator[Resources]:
    """Read this machine, its GPUs and, on a Jetson, tegrastats, in a thread of its own meanwhile.

    A last reading is taken when the block is left.
    """
    found = Resources()
    tegra = Tegra(command(every_s))
    samplers = _samplers(gpus or nvidia(), tegra)
    stop = threading.Event()
    thread = threading.Thread(
        target=_follow, args=(found, samplers, every_s, stop), name="resources", daemon=True
    )
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join(every_s + 5.0)
        tegra.close()


def _samplers(gpus: Gpus, tegra: Tegra) -> tuple[Sampler, ...]:
    own = psutil.Process()
    own.cpu_percent()

    def process() -> Iterator[Reading]:
        yield Reading("process.cpu", own.cpu_percent(), "%")
        yield Reading("process.memory", own.memory_info().rss / (1 << 20), "MiB")

    machine = Machine(per_core=False)
    return (machine.read, process, lambda: readings(gpus.states()), tegra.read)


def _follow(
    found: Resources, samplers: tuple[Sampler, ...], every_s: float, stop: threading.Event
) -> None:
    ending = False
    while not ending:
        ending = stop.wait(every_s)
        for sampler in samplers:
            _ask(found, sampler)
        found.round()


def _ask(found: Resources, sampler: Sampler) -> None:
    try:
        found.take(sampler())
    except (OSError, psutil.Error, ValueError, RuntimeError) as error:
        log.warning("resources.unread", error=repr(error))


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    return {name: round(v, 3) if isinstance(v, float) else v for name, v in told.items()}

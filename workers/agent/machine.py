"""This machine by psutil: processors, memory, disks, network, temperatures.

Metrics: cpu.used and cpu.core.<n>.used (%), cpu.core.<n>.frequency (MHz), load.1 (tasks);
memory.used, memory.available, memory.total, swap.used (MiB); disk.<path>.used (%), disk.<path>.free
(MiB), disk.read and disk.written (B/s); net.<interface>.received and .sent (B/s), .errors and
.drops (1/s); temperature.<chip>.<sensor> (C). What a machine does not tell is absent.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psutil

from workers.agent.readings import MIB, Rates, Reading

SHORTEST_S = 0.1
MOST_INTERFACES = 16
MOST_SENSORS = 32
_VIRTUAL = re.compile(
    r"(lo\d*|(ifb|veth|docker|br-|cni|flannel|tunl|dummy|sit|ip6tnl|virbr|cali).*)"
)
"""Interfaces that carry what others carry too."""


class Machine:
    """Reads the state of this machine; rates and loads are those since the last reading.

    Loads of less than 0.1 s are not told: processors count in steps of 10 ms.
    """

    def __init__(
        self,
        disks: Sequence[str] = ("/",),
        *,
        per_core: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._disks = tuple(disks)
        self._per_core = per_core
        self._clock = clock
        self._rates = Rates()
        self.cores_used: tuple[float, ...] = ()
        """Load of each core in % as last read; empty before."""
        psutil.cpu_percent(None, percpu=True)
        self._asked = clock()
        self._rates.of(self._counters(), self._asked)

    def read(self) -> Iterator[Reading]:
        """Yield what the machine tells now."""
        yield from self._processors()
        yield from _memory()
        yield from self._filesystems()
        for name, rate in self._rates.of(self._counters(), self._clock()).items():
            yield Reading(name, rate, "1/s" if name.endswith(("errors", "drops")) else "B/s")
        if hasattr(psutil, "sensors_temperatures"):  # Linux and FreeBSD alone have it
            yield from temperatures(psutil.sensors_temperatures())

    def _processors(self) -> Iterator[Reading]:
        now = self._clock()
        if now - self._asked < SHORTEST_S:
            return
        self._asked = now
        used = psutil.cpu_percent(None, percpu=True)
        self.cores_used = tuple(used)
        yield Reading("cpu.used", sum(used) / len(used), "%")
        yield Reading("load.1", psutil.getloadavg()[0], "1")
        if not self._per_core:
            return
        for number, share in enumerate(used):
            yield Reading(f"cpu.core.{number}.used", share, "%")
        for number, clock in enumerate(psutil.cpu_freq(percpu=True) or ()):
            yield Reading(f"cpu.core.{number}.frequency", clock.current, "MHz")

    def _filesystems(self) -> Iterator[Reading]:
        for path in self._disks:
            try:
                usage = psutil.disk_usage(path)
            except OSError:
                continue
            yield Reading(f"disk.{path}.used", usage.percent, "%")
            yield Reading(f"disk.{path}.free", usage.free / MIB, "MiB")

    def _counters(self) -> dict[str, float]:
        counters: dict[str, float] = {}
        disk = psutil.disk_io_counters()
        if disk is not None:
            counters |= {"disk.read": disk.read_bytes, "disk.written": disk.write_bytes}
        real = [
            n for n in psutil.net_io_counters(pernic=True).items() if not _VIRTUAL.fullmatch(n[0])
        ]
        for name, nic in real[:MOST_INTERFACES]:
            counters |= {
                f"net.{name}.received": nic.bytes_recv,
                f"net.{name}.sent": nic.bytes_sent,
                f"net.{name}.errors": nic.errin + nic.errout,
                f"net.{name}.drops": nic.dropin + nic.dropout,
            }
        return counters


def _memory() -> Iterator[Reading]:
    memory = psutil.virtual_memory()
    yield Reading("memory.used", memory.used / MIB, "MiB")
    yield Reading("memory.available", memory.available / MIB, "MiB")
    yield Reading("memory.total", memory.total / MIB, "MiB")
    yield Reading("swap.used", psutil.swap_memory().used / MIB, "MiB")


def temperatures(chips: Mapping[str, Sequence[Any]]) -> Iterator[Reading]:
    """Yield what sensors tell, at most 32; those of one name, as two disks have, are numbered."""
    told: Counter[str] = Counter()
    for chip, sensors in chips.items():
        for number, sensor in enumerate(sensors[: MOST_SENSORS - told.total()]):
            label = (sensor.label or str(number)).lower().replace(" ", "_")
            name = f"temperature.{chip}.{label}"
            told[name] += 1
            again = f".{told[name]}" if told[name] > 1 else ""
            yield Reading(f"{name}{again}", sensor.current, "C")

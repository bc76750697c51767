"""The process that is measured: observe on the batch host, `observing_weir COUNT CLOSING PROFILE`.

Settings come from WEIR_. It observes COUNT events and prints a line of JSON: seconds of wall and
CPU from the moment at which partitions are assigned until the commit that follows the last event,
all threads included; peak memory; and where the CPU time went, when PROFILE is 1. With CLOSING 1
it then stays until the clock has closed the last windows, outside of the time.
"""

import gc
import json
import resource
import sys
import threading
import time
from importlib.metadata import version
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from processors.observing.observe import spec
from schemas.registrations import WindowDefined
from streams.bench.observing_stages import Stages
from streams.settings import load
from workers import telemetry
from workers.catalogue import CatalogueReader
from workers.hosting import metrics as host_metrics
from workers.hosting.host import BatchHost
from workers.registry import Registry

POLL_S = 0.01
COMMIT_S = 0.3
"""A commit of the last events that has not come after this was there already."""
QUIET_S = 4.0
"""Without outputs for so long after the last event, and at rest: every window has closed."""
BUSY = 0.25
"""The share of a core at which it is not at rest."""
NAME = "observe"


def _sample(metric: MetricWrapperBase, suffix: str) -> float:
    """Return one value of one metric; to ask the registry would cost more than some batches do."""
    (family,) = metric.labels(NAME).collect()
    return next(sample.value for sample in family.samples if sample.name.endswith(suffix))


def applied() -> float:
    """Return how many messages the host has applied."""
    return _sample(host_metrics.MESSAGES, "_total")


def commits() -> float:
    """Return how many times the host has committed."""
    return _sample(host_metrics.COMMIT_SECONDS, "_count")


def now() -> tuple[float, float]:
    """Return the wall's clock and the CPU time of this process (s)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def peak_mib() -> float:
    """Return the most memory that this process has ever had resident, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Failed(Exception):
    """The host ended before all was applied."""


def measure(count: int, *, closing: bool, stages: Stages | None) -> dict[str, Any]:
    """Observe `count` messages and return the figures. Raises Failed."""
    settings = load()
    codec = Registry(settings.registry).codec()
    reader = CatalogueReader(settings.kafka, codec, {WindowDefined})
    reader.begin()
    host = BatchHost(spec(), settings, codec=codec, catalogue=reader)
    stop = threading.Event()
    thread = threading.Thread(target=host.run, args=(stop,), name="host")
    thread.start()
    while not host.ready and thread.is_alive():
        time.sleep(POLL_S)
    before, begun = peak_mib(), now()
    if stages is not None:
        stages.clear()
    _until_applied(count, thread)
    ended = now()
    parts = {} if stages is None else stages.report(ended[1] - begun[1], count)
    if closing:
        _until_quiet(thread)
    stop.set()
    thread.join()
    reader.stop()
    if applied() < count:
        raise Failed(f"the host ended after {applied():.0f} of {count} messages")
    return {
        "events": count,
        "wall_s": ended[0] - begun[0],
        "cpu_s": ended[1] - begun[1],
        "memory_mib": {"before": round(before, 1), "peak": round(peak_mib(), 1)},
        "dead_letters": _sample(host_metrics.BAD, "_total"),
        "profile_us": parts,
        "versions": {
            name: version(name) for name in ("confluent-kafka", "polars", "numpy", "fastavro")
        },
    }


def _until_applied(count: int, thread: threading.Thread) -> None:
    """Return when all was applied and committed."""
    before = 0.0
    while applied() < count and thread.is_alive():
        before = commits()
        time.sleep(POLL_S)
    until = time.monotonic() + COMMIT_S
    while commits() == before and time.monotonic() < until:
        time.sleep(POLL_S)


def _until_quiet(thread: threading.Thread) -> None:
    """Return when nothing has come out for a while, and nothing was being computed meanwhile."""
    told, since = -1.0, now()
    while thread.is_alive():
        time.sleep(0.05)
        outputs, (wall, cpu) = _sample(host_metrics.OUTPUTS, "_total"), now()
        busy = cpu - since[1] > BUSY * QUIET_S
        if outputs != told or busy:
            told, since = outputs, (wall, cpu)
        elif wall - since[0] > QUIET_S:
            return


def main(arguments: list[str]) -> int:
    """Print the figures; 1 when the host ended too soon."""
    count, closing, profile = (int(argument) for argument in arguments)
    telemetry.configure("WARNING", json=False)
    stages = Stages() if profile else None
    try:
        told = measure(count, closing=bool(closing), stages=stages)
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    gc.freeze()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

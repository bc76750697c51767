"""How long a caller of a probe is held up: `report`, alone and among threads, broker there or not.

Each call is timed by itself, the clock's own two readings included. Paced calls come in bursts of
ten every 10 ms, as from a program that does other work; a burst without pause is the worst that a
caller can do: buffer and interpreter are then contended by the sending thread.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from workers.probe import Probe
from workers.probing.sampling import Sampling
from workers.settings import Identity, RegistrySettings, Settings

BURST, PACED, THREADS = 200_000, 20_000, 4
NOWHERE = "127.0.0.1:9"
PAUSE_S, TOGETHER = 0.01, 10


def measure(settings: Settings, share: float = 1.0) -> dict[str, dict[str, Any]]:
    """Return by situation: p50, p99, p99.9 and the maximum in µs, and the calls that were timed.

    Only a `share` of all calls is made where that is enough.
    """
    burst, paced = round(BURST * share), round(PACED * share)
    here = settings.model_copy(update={"identity": Identity(app="bench", instance="enqueue")})
    kafka = here.kafka.model_copy(update={"bootstrap": NOWHERE})
    registry = RegistrySettings(url=f"http://{NOWHERE}")
    away = here.model_copy(update={"kafka": kafka, "registry": registry})
    sampled = Sampling(rate=0.01, seed=1)
    return {
        "paced": _case(here, paced, 1, PAUSE_S),
        "paced, 4 threads": _case(here, paced, THREADS, PAUSE_S),
        "burst": _case(here, burst, 1, 0.0),
        "burst, 4 threads": _case(here, burst, THREADS, 0.0),
        "burst, sampled at 1 %": _case(here, burst, 1, 0.0, sampled),
        "paced, broker and registry away": _case(away, paced, 1, PAUSE_S),
        "burst, broker and registry away": _case(away, burst, 1, 0.0),
    }


def _case(
    settings: Settings, calls: int, threads: int, pause_s: float, sampling: Sampling | None = None
) -> dict[str, Any]:
    probe = Probe(settings, sampling=sampling)
    time.sleep(1.0)
    taken = [np.zeros(calls // threads, np.int64) for _ in range(threads)]
    work = [threading.Thread(target=partial(_call, probe.report, t, pause_s)) for t in taken]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    found = _figures(np.concatenate(taken) / 1000)
    found |= {"sent": probe.sent, "dropped": probe.dropped}
    probe.close(timeout_s=0.5)
    return found


def _call(report: Callable[..., None], taken: Any, pause_s: float) -> None:
    clock = time.perf_counter_ns
    for number in range(len(taken)):
        if pause_s and number % TOGETHER == 0:
            time.sleep(pause_s)
        began = clock()
        report("latency", 1.5, unit="ms")
        taken[number] = clock() - began


def _figures(taken_us: Any) -> dict[str, Any]:
    p50, p99, p999 = np.quantile(taken_us, (0.5, 0.99, 0.999))
    return {
        "p50_us": round(float(p50), 2),
        "p99_us": round(float(p99), 2),
        "p999_us": round(float(p999), 2),
        "max_us": round(float(taken_us.max()), 1),
        "calls": int(taken_us.size),
    }

"""A saturated worker against the same session called in a loop with the same batch size.

The worker takes tasks as Avro, decides, batches, executes and encodes results; the loop calls the
session on arrays that are there already. Both take short turns, and the median of the ratios of
neighbours counts, so that what else the machine does meets both.
"""

import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from streams.bench.worker_bed import Bed, Due, Images, engine_of, hosted
from streams.bench.worker_overload import Say
from streams.errors import StackError
from workers.inference.replicas import Hosted
from workers.inference.serving import Bounds

BATCH = 8
GOAL_RATIO = 0.9
_BATCHES = 3
_LONG_MS = 1e7


def measure(name: str, path: Path, images: Images, rounds: int, say: Say) -> dict[str, Any]:
    """Return the ratio of rates (tasks/s), worker over loop, both medians, and ms per task.

    `cpu_ratio` is that of tasks per second of CPU time, which a busy machine disturbs less.
    Raises StackError when a task is not answered: what was dropped took no time.
    """
    instance = hosted(name, path)
    engine = engine_of(Bounds(max_batch=BATCH, queue_ms=_LONG_MS), _LONG_MS)
    engine.host(instance)
    bed = Bed(engine)
    rates, shares = [], []
    for _ in range(rounds + 1):
        tasks = [
            Due(name, 0.0, _LONG_MS, images[place % len(images)])
            for place in range(BATCH * _BATCHES)
        ]
        begun = time.process_time()
        worked = len(tasks) / bed.run(tasks) * 1000
        if any(end.status != "ok" for end in bed.ends[-len(tasks) :]):
            raise StackError("a task ended without an answer: no rate of a worker can be told")
        between = time.process_time()
        rates.append((worked, _looped(instance, images)))
        shares.append((time.process_time() - between) / (between - begun))
    sizes = {ran.size for ran in bed.ran[-rounds * _BATCHES :]}
    ratio = median(worked / looped for worked, looped in rates[1:])
    per_s, alone_per_s = (median(each) for each in zip(*rates[1:], strict=True))
    say(f"saturated: {ratio:.3f} of the session alone, in batches of {sorted(sizes)}")
    return {
        "throughput_ratio": ratio,
        "throughput": {
            "batch": BATCH,
            "worker_per_s": per_s,
            "session_per_s": alone_per_s,
            "cpu_ratio": median(shares[1:]),
            "added_ms_per_task": 1000 / per_s - 1000 / alone_per_s,
        },
    }


def _looped(instance: Hosted, images: Images) -> float:
    """Return the rate (tasks/s) of the session alone."""
    batches = [
        np.ascontiguousarray(images[BATCH * place : BATCH * (place + 1)], np.float32)
        for place in range(_BATCHES)
    ]
    began = time.perf_counter()
    for batch in batches:
        instance.session.run([batch])
    return BATCH * _BATCHES / (time.perf_counter() - began)

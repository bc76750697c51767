"""Executes a batch on its model, and plays a slower device where that is asked for."""

import time
from collections.abc import Callable, Sequence

from workers.inference.engine import Executed
from workers.inference.pending import Pending, pendings_of
from workers.inference.tensors import join, share_out
from workers.runtimes.base import Array
from workers.runtimes.errors import ExecutionFailed
from workers.scheduling.jobs import Batch

Pause = Callable[[float], None]
"""Lets a number of milliseconds pass."""


def execute(batch: Batch, now_ms: float, speed: float, pause: Pause) -> Executed:
    """Execute jobs of one model and shape together; one by one when that fails.

    A device of `speed` below 1 is simulated: after an execution that took t ms, t/speed - t ms
    pass, and the reported time is t/speed. CPU time is that of the process, and never stretched.
    """
    started, spent = time.perf_counter(), time.process_time()
    parts = _together(pendings_of(batch))
    took_ms = (time.perf_counter() - started) * 1000
    cpu_ms = (time.process_time() - spent) * 1000
    if speed < 1.0:
        pause(took_ms / speed - took_ms)
        took_ms = (time.perf_counter() - started) * 1000
    return Executed(parts, now_ms, took_ms, cpu_ms)


def _together(batch: Sequence[Pending]) -> list[Sequence[Array] | str]:
    session = batch[0].hosted.session
    prepared = [pending.prepared for pending in batch]
    try:
        return list(share_out(session.run(join(prepared)), prepared))
    except ExecutionFailed as error:
        if len(batch) == 1:
            return [str(error)]
    return [part for pending in batch for part in _together([pending])]

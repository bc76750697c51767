"""The process that asks: `python -m streams.bench.request_source APP`, settings from WEIR_.

Each line of stdin is JSON, {"rate": requests a second, "seconds": s, "seed": n}; each is answered
by one line of stdout with the latencies in ms, in the order of the requests, null for those that
came to nothing, and `statuses`, how often each status came.

The load is open: requests are due at the instants of a Poisson process, whatever has been
answered by then, and latency counts from the instant at which a request was due. What a stack
that falls behind makes others wait is in the figures.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.inference import InferenceRequest, InferenceResponse
from schemas.records import Tensor
from streams.settings import load
from workers.client import Client, tensors
from workers.clock import wall_ms

DEADLINE_MS = 1_000
PATIENCE_S = 8.0
COMPLETE = "complete"


@dataclass
class Run:
    """What came of one run: ms per request, None without a complete answer; counts per status."""

    latencies: list[float | None] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    def answered(self, number: int, due: float, done: "Future[InferenceResponse]") -> None:
        """Note an answer, or that there is none."""
        took = (time.monotonic() - due) * 1000
        error = done.exception()
        status = done.result().status if error is None else type(error).__name__
        self.statuses[status] += 1
        if status == COMPLETE:
            self.latencies[number] = round(took, 3)


def arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Yield the instants (s from the start) of a Poisson process; equal seeds, equal instants."""
    drawn = random.Random(seed)  # noqa: S311 - load, not secrets
    at = drawn.expovariate(rate)
    while at < seconds:
        yield at
        at += drawn.expovariate(rate)


def ask(client: Client, app: str, rate: float, seconds: float, seed: int) -> Run:
    """Send requests and return when all are answered or given up."""
    run = Run()
    inputs = tensors({"x": np.asarray([[0.1, 0.9, 0.3]], dtype=np.float32)})
    start = time.monotonic()
    open_ones: list[Future[InferenceResponse]] = []
    for number, at in enumerate(arrivals(rate, seconds, seed)):
        due = start + at
        time.sleep(max(0.0, due - time.monotonic()))
        run.latencies.append(None)
        future = client.submit(_request(app, f"{seed}-{start}-{number}", inputs))
        future.add_done_callback(lambda f, n=number, d=due: run.answered(n, d, f))  # type: ignore[misc]  # defaults are not inferred
        open_ones.append(future)
    wait(open_ones, PATIENCE_S)
    return run


def _request(app: str, name: str, inputs: tuple[Tensor, ...]) -> InferenceRequest:
    now = wall_ms()
    return InferenceRequest(
        request_id=f"{app}-{name}",
        app=app,
        created_at=now,
        deadline=now + DEADLINE_MS,
        inputs=inputs,
    )


def main(arguments: Sequence[str]) -> int:
    """Serve stdin to its end."""
    (app,) = arguments
    with Client(load()) as client:
        _tell({"ready": True})
        for line in sys.stdin:
            wanted = json.loads(line)
            run = ask(client, app, wanted["rate"], wanted["seconds"], wanted["seed"])
            _tell({"latencies": run.latencies, "statuses": dict(run.statuses)})
    return 0


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Requests at a steady rate and, a little later, the truth; corrupted from some moment on."""

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from schemas.inference import InferenceRequest
from schemas.records import Tensor
from streams.demo.corruption import CORRUPTIONS, Images
from streams.demo.models import Pool
from workers.client import Client

DEADLINE_MS = 1_500
LABEL_AFTER_S = (0.2, 0.8)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent: `rate` a second for `seconds`, corrupted after `corrupt_after` s or never."""

    app: str
    contract: str
    consumer: str
    seed: int
    rate: float
    seconds: float
    corruption: str
    corrupt_after: float | None


@dataclass(frozen=True, slots=True)
class Item:
    """One request to come: seconds after the start, its label, and whether it is corrupted."""

    at: float
    image: Images
    label: str
    label_at: float
    corrupted: bool


def items(plan: Plan, pool: Pool) -> Iterator[Item]:
    """Yield the requests of a plan in order; equal plans yield equal requests.

    Arrivals are a Poisson process of `rate` per second; images are drawn with replacement.
    """
    rng = np.random.default_rng([plan.seed, 7])
    corrupt = CORRUPTIONS[plan.corruption]
    at = float(rng.exponential(1 / plan.rate))
    while at < plan.seconds:
        choice = int(rng.integers(len(pool.images)))
        image = pool.images[choice : choice + 1]
        corrupted = plan.corrupt_after is not None and at >= plan.corrupt_after
        if corrupted:
            image = corrupt(image, rng)
        label_at = at + float(rng.uniform(*LABEL_AFTER_S))
        yield Item(at, image, str(pool.labels[choice]), label_at, corrupted)
        at += float(rng.exponential(1 / plan.rate))


class Traffic:
    """Sends a plan in real time; `corrupted_at` is when (ms since the epoch) corruption began."""

    def __init__(self, plan: Plan, pool: Pool, client: Client) -> None:
        self._plan = plan
        self._items = items(plan, pool)
        self._client = client
        self.sent = 0
        self.corrupted_at: int | None = None
        self.started_at = 0

    def run(self, stop: threading.Event, tick: Callable[[float], None]) -> None:
        """Send everything; `tick` is told the seconds gone by. Returns early when stopped."""
        start = time.monotonic()
        self.started_at = _now_ms()
        truths: list[tuple[float, str, str]] = []
        for item in self._items:
            self._wait(start, item.at, truths, stop)
            if stop.is_set():
                return
            request = self._request(item)
            self._client.send(request)
            self.sent += 1
            heapq.heappush(truths, (item.label_at, request.request_id, item.label))
            tick(time.monotonic() - start)
        self._wait(start, self._plan.seconds + LABEL_AFTER_S[1], truths, stop)

    def _wait(
        self,
        start: float,
        until: float,
        truths: list[tuple[float, str, str]],
        stop: threading.Event,
    ) -> None:
        while not stop.is_set():
            due = min(until, truths[0][0]) if truths else until
            left = start + due - time.monotonic()
            if left > 0 and stop.wait(left):
                return
            if not truths or truths[0][0] > until:
                return
            _, request_id, label = heapq.heappop(truths)
            self._client.label(self._plan.app, request_id, label)

    def _request(self, item: Item) -> InferenceRequest:
        now = _now_ms()
        if item.corrupted and self.corrupted_at is None:
            self.corrupted_at = now
        tensor = Tensor(
            name="X", dtype="float32", shape=item.image.shape, data=item.image.tobytes()
        )
        return InferenceRequest(
            request_id=f"{self._plan.app}-{self._plan.seed}-{self.started_at}-{self.sent}",
            app=self._plan.app,
            consumer=self._plan.consumer,
            contract=self._plan.contract,
            created_at=now,
            deadline=now + DEADLINE_MS,
            inputs=(tensor,),
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

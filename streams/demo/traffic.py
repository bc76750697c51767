"""Requests at a steady rate and, a little later, the truth; corrupted from some moment on.

What follows from a corruption takes as long as the machine needs for it. So the traffic goes on
beyond its time until enough is known, within bounds.
"""

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from schemas.inference import InferenceRequest
from schemas.records import Tensor
from streams.demo.corruption import CORRUPTIONS, Images
from streams.demo.models import Pool

DEADLINE_MS = 1_500
LABEL_AFTER_S = (0.2, 0.8)
LONGEST = 3
"""At most so many times as long as planned goes the traffic on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent: `rate` a second for `seconds`, corrupted after `corrupt_after` s or never.

    It may go on for LONGEST times as long.
    """

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
    """Yield the requests of a plan in order, to its longest; equal plans yield equal requests.

    Arrivals are a Poisson process of `rate` per second; images are drawn with replacement.
    """
    rng = np.random.default_rng([plan.seed, 7])
    corrupt = CORRUPTIONS[plan.corruption]
    at = float(rng.exponential(1 / plan.rate))
    while at < plan.seconds * LONGEST:
        choice = int(rng.integers(len(pool.images)))
        image = pool.images[choice : choice + 1]
        corrupted = plan.corrupt_after is not None and at >= plan.corrupt_after
        if corrupted:
            image = corrupt(image, rng)
        label_at = at + float(rng.uniform(*LABEL_AFTER_S))
        yield Item(at, image, str(pool.labels[choice]), label_at, corrupted)
        at += float(rng.exponential(1 / plan.rate))


class Sender(Protocol):
    """What takes requests and labels: `workers.client.Client`."""

    def send(self, request: InferenceRequest) -> object:
        """Send a request."""

    def label(self, app: str, request_id: str, label: str) -> object:
        """Send the truth about one."""


class Traffic:
    """Sends a plan in real time.

    `started_at`, `corrupted_at` and `ended_at` say when, in ms since the epoch, the first request,
    the first corrupted one and the last were sent.
    """

    def __init__(self, plan: Plan, pool: Pool, client: Sender) -> None:
        self._plan = plan
        self._items = items(plan, pool)
        self._client = client
        self._truths: list[tuple[float, str, str]] = []
        self.sent = 0
        self.corrupted_at: int | None = None
        self.started_at = 0
        self.ended_at = 0

    def run(self, enough: threading.Event, tick: Callable[[float], None]) -> None:
        """Send for as long as planned, then until `enough`; `tick` is told the seconds gone by."""
        start = time.monotonic()
        self.started_at = _now_ms()
        until = 0.0
        for item in self._items:
            if item.at >= self._plan.seconds and enough.is_set():
                break
            self._wait(start, item.at)
            request = self._request(item)
            self._client.send(request)
            self.sent += 1
            self.ended_at = request.created_at
            heapq.heappush(self._truths, (item.label_at, request.request_id, item.label))
            until = item.at + LABEL_AFTER_S[1]
            tick(time.monotonic() - start)
        self._wait(start, until)

    def _wait(self, start: float, until: float) -> None:
        """Send the labels that are due until then, and return then; in s, `until` after `start`."""
        while self._truths and self._truths[0][0] <= until:
            due, request_id, label = heapq.heappop(self._truths)
            _sleep_to(start + due)
            self._client.label(self._plan.app, request_id, label)
        _sleep_to(start + until)

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


def _sleep_to(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

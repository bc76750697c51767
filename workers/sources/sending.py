"""Sends the frames of a source as requests, at a steady rate, and counts what became of them."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from schemas.inference import InferenceRequest
from workers.client import tensors
from workers.clock import wall_ms
from workers.sources.frames import Frame, Source
from workers.sources.pacing import Pacer

Send = Callable[[InferenceRequest], None]
Stopped = Callable[[], bool]
LONGEST_NAP_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """For whom a source asks, and how: `deadline_ms` is counted from the sending."""

    app: str
    consumer: str = ""
    contract: str = ""
    priority: int = 0
    deadline_ms: int = 1000
    tensor: str = "x"


@dataclass(slots=True)
class Sent:
    """What a source has done: frames sent, and left out because they were late."""

    kind: str
    sent: int = 0
    late: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    @property
    def rate_hz(self) -> float:
        """Return how many frames a second were sent; 0 for less than two."""
        return (self.sent - 1) / (self.last_at - self.first_at) if self.sent > 1 else 0.0


def run(
    source: Source, asking: Asking, rate_hz: float, most: int | None, send: Send, stopped: Stopped
) -> Sent:
    """Send the frames of a source, at most `most`, late ones counted in, unless it is stopped.

    Raises UnusableSource and what `send` raises.
    """
    told = Sent(source.kind)
    end = min((size for size in (most, source.length) if size is not None), default=None)
    pacer = Pacer(rate_hz, time.monotonic())
    while not stopped():
        number, wait_s = pacer.turn(time.monotonic())
        told.late = (number if end is None else min(number, end)) - told.sent
        if end is not None and number >= end:
            break
        if wait_s > 0:
            time.sleep(min(wait_s, LONGEST_NAP_S))
            continue
        send(request_of(source.frame(number), source.kind, asking, wall_ms()))
        told.last_at = time.monotonic()
        told.first_at = told.first_at or told.last_at
        told.sent += 1
    return told


def request_of(frame: Frame, kind: str, asking: Asking, now_ms: int) -> InferenceRequest:
    """Return the request of a frame; its id tells the kind of source and the frame's digest."""
    return InferenceRequest(
        request_id=f"{kind}-{frame.digest[:16]}-{uuid.uuid4().hex}",
        app=asking.app,
        consumer=asking.consumer,
        contract=asking.contract,
        priority=asking.priority,
        created_at=now_ms,
        deadline=now_ms + asking.deadline_ms,
        inputs=tensors({asking.tensor: frame.array}),
    )

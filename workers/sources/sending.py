"""Sends the frames of a source as requests, at a steady rate, and counts what became of them."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from schemas.inference import InferenceRequest
from schemas.records import KeyValue
from workers.clock import wall_ms
from workers.sources.forms import Frame
from workers.sources.frames import Source
from workers.sources.live import Captured, LiveSource
from workers.sources.pacing import Pacer

Send = Callable[[InferenceRequest], None]
Stopped = Callable[[], bool]
LONGEST_NAP_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """For whom a source asks, and how; ids of requests begin with the `name` of the source.

    `deadline_ms` is counted from when a frame was read, or came.
    """

    app: str
    name: str
    consumer: str = ""
    contract: str = ""
    priority: int = 0
    deadline_ms: int = 1000
    conditions: tuple[KeyValue, ...] = ()

    def new_id(self) -> str:
        """Return an id that no other request has; up to its last '/' that of the source."""
        return f"{self.name}/{uuid.uuid4().hex}"


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

    def one_more(self) -> None:
        """Count a frame that was sent now."""
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.sent += 1


def run(
    source: Source, asking: Asking, rate_hz: float, most: int | None, send: Send, stopped: Stopped
) -> Sent:
    """Send the frames of a source, at most `most`, late ones counted in, unless it is stopped.

    Raises UnusableSource and what `send` raises.
    """
    told = Sent(source.kind)
    pacer = Pacer(rate_hz, time.monotonic())
    passed = 0
    while not stopped():
        number, wait_s = pacer.turn(time.monotonic())
        passed = number if most is None else min(number, most)
        if most is not None and number >= most:
            break
        if wait_s > 0:
            time.sleep(min(wait_s, LONGEST_NAP_S))
            continue
        frame = source.frame(number)
        if frame is None:
            passed = min(number, source.length or 0)
            break
        send(request_of(frame, source.kind, asking, wall_ms()))
        told.one_more()
        passed = number + 1
    told.late = passed - told.sent
    return told


def relay(
    source: LiveSource,
    asking: Asking,
    rate_hz: float,
    most: int | None,
    send: Send,
    stopped: Stopped,
) -> Sent:
    """Send what a live source gives, at most so many a second and `most` in all, until stopped.

    Late are frames that newer ones replaced, and those that waited until their deadline. Raises
    UnusableSource, SourceLost and what `send` raises.
    """
    told, old = Sent(source.kind), 0
    pacer = Pacer(rate_hz, time.monotonic())
    while not stopped() and told.sent != most:
        _, wait_s = pacer.turn(time.monotonic())
        if wait_s > 0:
            time.sleep(min(wait_s, LONGEST_NAP_S))
            continue
        captured, too_old = _fresh(source, asking.deadline_ms, stopped)
        old += too_old
        if captured is not None:
            send(
                request_of(captured.frame, source.kind, asking, captured.at_ms, captured.request_id)
            )
            told.one_more()
    told.late = source.left_out + old
    return told


def request_of(
    frame: Frame, kind: str, asking: Asking, made_ms: int, request_id: str = ""
) -> InferenceRequest:
    """Return the request of a frame that was made at `made_ms` (since the epoch)."""
    return InferenceRequest(
        request_id=request_id or asking.new_id(),
        app=asking.app,
        consumer=asking.consumer,
        contract=asking.contract,
        priority=asking.priority,
        created_at=made_ms,
        deadline=made_ms + asking.deadline_ms,
        inputs=frame.inputs,
        source_kind=kind,
        frame_digest=frame.digest,
        conditions=asking.conditions,
    )


def _fresh(source: LiveSource, deadline_ms: int, stopped: Stopped) -> tuple[Captured | None, int]:
    """Return the next frame whose deadline is not over, and how many before it were too old."""
    too_old = 0
    while not stopped():
        captured = source.take(LONGEST_NAP_S)
        if captured is None:
            continue
        if wall_ms() < captured.at_ms + deadline_ms:
            return captured, too_old
        too_old += 1
    return None, too_old

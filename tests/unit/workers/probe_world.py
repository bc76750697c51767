"""A producer that can be away, full, slow to acknowledge or broken, and a probe that sends to it.

It shows what a probe does with what a client answers, not that librdkafka answers so:
`tests/embedded` has the real one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from schemas.base import Event
from schemas.events import EVENTS
from schemas.observing import MetricReport
from workers.local import local_codec
from workers.probe import Probe
from workers.probing.link import Link
from workers.probing.sampling import Sampling
from workers.settings import Identity, Settings

E = TypeVar("E", bound=Event)
IDS = {event: number for number, event in enumerate(EVENTS.values(), start=1)}
IDENTITY = Identity(app="shop", stage="till", service="camera", instance="camera-1", node="n1")


@dataclass
class FakeProducer:
    """Takes at most `room` messages until they are acknowledged by a poll."""

    room: int = 1_000_000
    away: bool = False
    failing: Exception | None = None
    undeliverable: bool = False
    under_way: list[tuple[str, bytes, str, Any]] = field(default_factory=list)
    delivered: list[tuple[str, bytes, str]] = field(default_factory=list)

    def produce(self, topic: str, value: bytes, *, key: str, on_delivery: Any) -> None:
        if self.failing is not None:
            error, self.failing = self.failing, None
            raise error
        if len(self.under_way) >= self.room:
            raise BufferError("Local: Queue full")
        self.under_way.append((topic, value, key, on_delivery))

    def poll(self, _timeout: float, /) -> int:
        if self.away:
            return 0
        taken, self.under_way = self.under_way, []
        for topic, value, key, told in taken:
            told("gave up" if self.undeliverable else None, None)
            if not self.undeliverable:
                self.delivered.append((topic, value, key))
        return len(taken)

    def flush(self, _timeout: float, /) -> int:
        self.poll(0)
        return len(self.under_way)

    def events(self, kind: type[E]) -> list[E]:
        """Return what was delivered, decoded."""
        codec, number = local_codec(), IDS[kind]
        values = [value for _, value, _ in self.delivered]
        return [codec.decode(v, kind) for v in values if int.from_bytes(v[1:5], "big") == number]

    def metrics(self) -> dict[str, list[float]]:
        """Return the values that were delivered, by metric."""
        found: dict[str, list[float]] = {}
        for event in self.events(MetricReport):
            found.setdefault(event.metric, []).append(event.value)
        return found


def probe(producer: FakeProducer, sampling: Sampling | None = None, buffer: int = 10_000) -> Probe:
    def connect(lost: Callable[[], object]) -> Link:
        return Link(producer, IDS.get, lost)

    settings = Settings(identity=IDENTITY)
    return Probe(settings, sampling=sampling, buffer=buffer, connect=connect)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)

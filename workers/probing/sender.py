"""The thread's side of a probe: makes events of what waits, and tells of the probe itself."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from schemas.base import Event
from schemas.observing import MetricReport
from schemas.registrations import InstanceReported
from workers.clock import Clock, wall_ms
from workers.probing.buffer import Buffer, Tally
from workers.probing.encoding import NO_NUMBER, MetricEncoder
from workers.probing.link import Fate, Link
from workers.probing.sampling import Sampler
from workers.telemetry import logger

HEARTBEAT_S = 1.0
EXPIRY_MS = 5_000
RETRY_S = 0.5
"""Broker and registry are asked so seldom while they are away."""
ROUND = 1_000
"""So many events go out before what became of others is heard."""
DROPPED, REFUSED = "probe.dropped", "probe.refused"
"""Metrics that a probe reports of itself: what was lost since it last could tell."""

LAST_MS = 1 << 53
Measured = tuple[str, float, str, str | None, int]
"""Metric, value, unit, request id, and time in ms since the epoch, as the caller gave them."""
Later = Callable[[], Event]
"""Makes an event when it is to be sent; raises one of NOTHING when there is none."""
NOTHING = (*NO_NUMBER, AttributeError)
Waiting = Buffer[Measured | Later]

log = logger(__name__)


@dataclass(slots=True)
class Counts:
    """What became of what a probe was told; only the sender writes `sent`."""

    sent: int = 0
    dropped: Tally = field(default_factory=Tally)
    refused: Tally = field(default_factory=Tally)


class Sender:
    """Sends what waits. Belongs to one thread; `own` is the instance as it reports itself."""

    def __init__(
        self,
        link: Link,
        own: InstanceReported,
        waiting: Waiting,
        counts: Counts,
        sampler: Sampler,
        clock: Clock = wall_ms,
    ) -> None:
        self._link = link
        self._own = own
        self._waiting = waiting
        self._counts = counts
        self._sampler = sampler
        self._clock = clock
        self._encoder = MetricEncoder(_reporter(own))
        self._told = {DROPPED: 0, REFUSED: 0}
        self._next_beat = 0.0
        self.beside: Callable[[], Iterable[Event]] = tuple
        """Makes what is sent with every heartbeat."""

    def turn(self, now_s: float) -> bool:
        """Send the heartbeat when it is due, then all that waits; False when that cannot be now."""
        if now_s >= self._next_beat:
            if not self._beat("ready"):
                self._link.poll()
                return False
            self._next_beat = now_s + HEARTBEAT_S
        return self._pass_on()

    def end(self, timeout_s: float) -> None:
        """Send what waits, say that this instance has stopped; what is left counts as dropped."""
        until = time.monotonic() + timeout_s
        if self._pass_on():
            self._beat("stopped")
        for _ in range(self._link.close(max(0.0, until - time.monotonic()))):
            self._counts.dropped.add()
        self._waiting.shut()
        while self._waiting.take() is not None:
            self._counts.dropped.add()

    def _beat(self, health: str) -> bool:
        now = self._clock()
        own = replace(self._own, health=health, heartbeat=now, expires_at=now + EXPIRY_MS)
        if self._link.send(own) is not Fate.SENT:
            return False
        for event in self._beside():
            self._link.send(event)
        self._sampler.tell(
            lambda metric, value: self._post((metric, value, "", None, now)) is Fate.SENT
        )
        self._tell(DROPPED, self._counts.dropped, now)
        self._tell(REFUSED, self._counts.refused, now)
        return True

    def _beside(self) -> Iterable[Event]:
        try:
            return tuple(self.beside())
        except Exception as error:  # noqa: BLE001 - other people's code: it must not end the rest
            self._counts.refused.add()
            log.warning("probe.nothing_beside", error=repr(error))
            return ()

    def _tell(self, metric: str, tally: Tally, now: int) -> None:
        """Report what a tally has counted since it was last reported, when that is anything."""
        total = tally.total()
        news = total - self._told[metric]
        if news and self._post((metric, float(news), "1", None, now)) is Fate.SENT:
            self._told[metric] = total

    def _pass_on(self) -> bool:
        sent = 0
        while (item := self._waiting.take()) is not None:
            fate = self._post(item) if isinstance(item, tuple) else self._make(item)
            if fate is Fate.LATER:
                self._waiting.put_back(item)
                self._link.poll()
                return False
            if fate is Fate.REFUSED:
                self._counts.refused.add()
                continue
            self._counts.sent += 1
            sent += 1
            if sent % ROUND == 0:
                self._link.poll()
        self._link.poll()
        return True

    def _post(self, measured: Measured) -> Fate:
        metric, value, unit, request_id, when = measured
        try:
            if not sensible(measured):
                return Fate.REFUSED
            request = None if request_id is None else str(request_id)
            series = self._encoder.series(str(metric), str(unit))
        except NOTHING:
            return Fate.REFUSED
        return self._link.post(MetricReport, series.key, series.encode(when, value, request))

    def _make(self, item: Later) -> Fate:
        try:
            event = item()
        except NOTHING:
            return Fate.REFUSED
        return self._link.send(event)


def sensible(measured: Measured) -> bool:
    """Return whether a measurement has a name, a finite number, and a time that can be."""
    metric, value, _, _, when = measured
    return bool(metric) and math.isfinite(value) and 0 <= when < LAST_MS


def _reporter(own: InstanceReported) -> MetricReport:
    return MetricReport(
        event_time=0,
        app=own.app,
        stage=own.stage,
        service=own.service,
        instance=own.instance,
        node=own.node,
        metric="",
        value=0.0,
    )

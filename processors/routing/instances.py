"""Which instances are alive, how long each would take, and which one is asked.

Sources: the power of two choices (Mitzenmacher, IEEE TPDS 2001): the better of two instances drawn
at random is nearly as good as the best of all, and routers that know each other's work late do
not all run to the same one. What is usual is told from what is slow by the smoothed mean and mean
deviation (Jacobson, SIGCOMM 1988; RFC 6298).
"""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from processors.routing.state import Attempt, Estimate, Spread
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.registrations import InstanceReported, NodeReported, ServiceRegistered

NEVER = 1 << 62
DEVIATIONS = 4.0
"""So many mean deviations over its mean a service's time is unusual."""
_NONE: tuple[InstanceReported, ...] = ()
Place = tuple[str, str]
"""Worker and instance: what tells one incarnation of an instance from the next."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """The instances of a service that take tasks, and until when (ms) that is known to hold."""

    instances: tuple[InstanceReported, ...]
    until: int


class Instances:
    """The instances of the catalogue, and this router's own work under way on them.

    A worker runs one task at a time, so its backlog is that of all its instances together: what
    its last heartbeats said, plus what was sent there since.
    """

    def __init__(self, default_ms: float, smoothing: float) -> None:
        self._default_ms = default_ms
        self._smoothing = smoothing
        self._seen: Mapping[str, InstanceReported] | None = None
        self._nodes: Mapping[str, Event] | None = None
        self._services: Mapping[str, ServiceRegistered] = {}
        self._by_service: dict[str, tuple[InstanceReported, ...]] = {}
        self._by_place: dict[Place, InstanceReported] = {}
        self._ready_of: dict[str, _Ready] = {}
        self._reported: dict[str, tuple[int, int]] = {}
        self._failed: frozenset[str] = frozenset()
        self._sent: dict[str, dict[str, tuple[int, int]]] = {}
        self._since: dict[str, int] = {}
        self._estimates: dict[str, float] = {}
        self._spreads: dict[str, Spread] = {}
        self._live: frozenset[Place] = frozenset()
        self._moved = True

    def refresh(self, catalogue: Catalogue, now_ms: int) -> None:
        """Take over the catalogue, where it changed."""
        nodes, seen = self._nodes, self._seen
        self._services = catalogue.of(ServiceRegistered)
        nodes = catalogue.of(NodeReported)
        if nodes is not self._nodes:
            self._nodes = nodes
            self._failed = frozenset(n.node for n in nodes.values() if n.status == "failed")
            self._ready_of = {}
        found = catalogue.of(InstanceReported)
        if found is not self._seen:
            self._seen = found
            self._take_over(found)
        if nodes is not self._nodes or seen is not self._seen:
            self._compare(now_ms)

    def _compare(self, now_ms: int) -> None:
        live = frozenset(p for p, one in self._by_place.items() if self._takes(one, now_ms))
        self._moved |= live != self._live
        self._live = live

    def have_moved(self, now_ms: int) -> bool:
        """Tell whether instances came or went since this was asked, however shortly."""
        self._compare(now_ms)
        moved, self._moved = self._moved, False
        return moved

    def _take_over(self, found: Mapping[str, InstanceReported]) -> None:
        grouped: dict[str, list[InstanceReported]] = {}
        self._reported, self._by_place, self._ready_of = {}, {}, {}
        for instance in found.values():
            if instance.role == "worker" and instance.task_topic:
                grouped.setdefault(instance.service, []).append(instance)
                self._by_place[instance.worker, instance.instance] = instance
                at, queue_us = self._reported.get(instance.worker, (0, 0))
                more = int(instance.queue_ms * 1000)
                self._reported[instance.worker] = (max(at, instance.heartbeat), queue_us + more)
        self._by_service = {name: tuple(group) for name, group in grouped.items()}
        for worker, sent in self._sent.items():
            heard = self._heard(worker)
            self._since[worker] = sum(us for at, us in sent.values() if at >= heard)

    def is_live(self, attempt: Attempt, now_ms: int) -> bool:
        """Tell whether the incarnation of an instance that was asked takes tasks now."""
        instance = self._by_place.get((attempt.worker, attempt.instance))
        return instance is not None and self._takes(instance, now_ms)

    def choose(
        self,
        service: str,
        tried: Collection[Place],
        request_id: str,
        now_ms: int,
        node: str = "",
    ) -> InstanceReported | None:
        """Return the one of two live instances that is expected to finish first; not one tried.

        Which two is drawn by a hash of the request. Where some are on `node`, it is one of those.
        """
        candidates = self._ready(service, now_ms)
        if tried:
            candidates = tuple(i for i in candidates if (i.worker, i.instance) not in tried)
        if node:
            candidates = tuple(i for i in candidates if i.node == node) or candidates
        count = len(candidates)
        if count < 2:
            return candidates[0] if candidates else None
        drawn = zlib.crc32(f"{request_id}/{service}".encode())
        one = candidates[drawn % count]
        other = candidates[(drawn + 1 + (drawn >> 16) % (count - 1)) % count]
        return other if self._finish_us(other) < self._finish_us(one) else one

    def alternatives(self, service: str, now_ms: int) -> int:
        """Return how many instances of a service take tasks now."""
        return len(self._ready(service, now_ms))

    def expected_us(self, instance: str, service: str) -> int:
        """Return the expected execution time, µs: observed, else declared, else the default."""
        known = self._estimates.get(instance)
        if known is None:
            declared = self._services.get(service)
            known = declared.latency_ms if declared is not None else None
        return int(1000 * (self._default_ms if known is None else known))

    def usual_ms(self, service: str) -> float:
        """Return a time that a task of a service takes seldom longer than, in queue and runtime."""
        spread = self._spreads.get(service)
        if spread is not None:
            return spread.mean_ms + DEVIATIONS * spread.deviation_ms
        return 2 * self.expected_us("", service) / 1000

    def send(self, attempt: Attempt) -> None:
        """Note a task that goes to a worker; calls come in order of `sent_at`."""
        worker = attempt.worker
        self._sent.setdefault(worker, {})[attempt.task_id] = (attempt.sent_at, attempt.expected_us)
        if attempt.sent_at >= self._heard(worker):
            self._since[worker] = self._since.get(worker, 0) + attempt.expected_us

    def settle(self, attempt: Attempt) -> None:
        """Note that a task is no longer waited for."""
        worker = attempt.worker
        sent = self._sent.get(worker)
        known = sent.pop(attempt.task_id, None) if sent is not None else None
        if known is None:
            return
        if known[0] >= self._heard(worker):
            self._since[worker] -= known[1]
        if not sent:
            del self._sent[worker]
            self._since.pop(worker, None)

    def learn(self, service: str, instance: str, execution_ms: float, queue_ms: float) -> None:
        """Take observed times into the estimates of an instance of the catalogue."""
        if self._seen is None or instance not in self._seen:
            return
        known = self._estimates.get(instance, execution_ms)
        self._estimates[instance] = known + self._smoothing * (execution_ms - known)
        took = execution_ms + queue_ms
        spread = self._spreads.get(service)
        if spread is None:
            self._spreads[service] = Spread(service=service, mean_ms=took, deviation_ms=took / 2)
            return
        away = took - spread.mean_ms
        spread.deviation_ms += self._smoothing * (abs(away) - spread.deviation_ms)
        spread.mean_ms += self._smoothing * away

    def forget_removed(self) -> None:
        """Drop the estimates of what left the catalogue."""
        seen = self._seen or {}
        self._estimates = {name: ms for name, ms in self._estimates.items() if name in seen}
        self._spreads = {n: s for n, s in self._spreads.items() if n in self._by_service}

    def estimates(self) -> tuple[Estimate, ...]:
        """Return the estimates for a snapshot, by name."""
        return tuple(
            Estimate(instance=name, execution_ms=ms) for name, ms in sorted(self._estimates.items())
        )

    def spreads(self) -> tuple[Spread, ...]:
        """Return what is usual for services, for a snapshot, by name."""
        return tuple(self._spreads[name] for name in sorted(self._spreads))

    def restore(self, estimates: tuple[Estimate, ...], spreads: tuple[Spread, ...]) -> None:
        """Take over estimates; work under way is added by `send` again."""
        self._estimates = {entry.instance: entry.execution_ms for entry in estimates}
        self._spreads = {spread.service: spread for spread in spreads}
        self._sent, self._since = {}, {}
        self._seen = self._nodes = None
        self._moved = True

    def _heard(self, worker: str) -> int:
        reported = self._reported.get(worker)
        return reported[0] if reported is not None else 0

    def _finish_us(self, instance: InstanceReported) -> int:
        """Return the work predicted before a new task of an instance is done, µs."""
        worker = instance.worker
        queue_us = self._reported[worker][1] + self._since.get(worker, 0)
        return queue_us + self.expected_us(instance.instance, instance.service)

    def _ready(self, service: str, now_ms: int) -> tuple[InstanceReported, ...]:
        known = self._ready_of.get(service)
        if known is None or now_ms >= known.until:
            found = self._by_service.get(service, _NONE)
            taking = tuple(instance for instance in found if self._takes(instance, now_ms))
            until = min((instance.expires_at for instance in taking), default=NEVER)
            known = self._ready_of[service] = _Ready(taking, until)
        return known.instances

    def _takes(self, instance: InstanceReported, now_ms: int) -> bool:
        alive = instance.health == "ready" and instance.expires_at > now_ms
        return alive and instance.node not in self._failed

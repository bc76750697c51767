"""Which instances are alive, how long each would take, and which one is asked."""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from processors.routing.state import Estimate
from schemas.catalogue import Catalogue
from schemas.registrations import InstanceReported, NodeReported, ServiceRegistered

_NONE: tuple[InstanceReported, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sent:
    at: int
    instance: str
    service: str


def place_of(instance: InstanceReported) -> str:
    """Return what tells one incarnation of an instance from the next."""
    return f"{instance.worker}/{instance.instance}"


class Instances:
    """The instances of the catalogue, and this router's own work under way on them.

    A worker runs one task at a time, so its backlog is that of all its instances together: what
    its last heartbeats said, plus what was sent there since.
    """

    def __init__(self, default_ms: float, smoothing: float) -> None:
        self._default_ms = default_ms
        self._smoothing = smoothing
        self._seen: Mapping[str, InstanceReported] | None = None
        self._services: Mapping[str, ServiceRegistered] = {}
        self._by_service: dict[str, tuple[InstanceReported, ...]] = {}
        self._reported: dict[str, tuple[int, float]] = {}
        self._failed: frozenset[str] = frozenset()
        self._sent: dict[str, dict[str, _Sent]] = {}
        self._estimates: dict[str, float] = {}

    def refresh(self, catalogue: Catalogue) -> None:
        """Take over the catalogue, when its instances changed."""
        self._services = catalogue.of(ServiceRegistered)
        nodes = catalogue.of(NodeReported).values()
        self._failed = frozenset(node.node for node in nodes if node.status == "failed")
        found = catalogue.of(InstanceReported)
        if found is self._seen:
            return
        self._seen = found
        grouped: dict[str, list[InstanceReported]] = {}
        self._reported = {}
        for instance in found.values():
            if instance.role == "worker" and instance.task_topic:
                grouped.setdefault(instance.service, []).append(instance)
                at, queue_ms = self._reported.get(instance.worker, (0, 0.0))
                heard = max(at, instance.heartbeat)
                self._reported[instance.worker] = (heard, queue_ms + instance.queue_ms)
        self._by_service = {name: tuple(group) for name, group in grouped.items()}

    def is_live(self, place: str, service: str, now_ms: int) -> bool:
        """Tell whether this incarnation of an instance takes tasks now."""
        return any(
            place_of(instance) == place and self._ready(instance, now_ms)
            for instance in self._by_service.get(service, _NONE)
        )

    def choose(
        self, service: str, tried: Collection[str], request_id: str, now_ms: int
    ) -> InstanceReported | None:
        """Return the live instance that is expected to finish first, leaving out those tried.

        Equals are told apart by a hash of the request, so that they share the work.
        """
        candidates = [
            instance
            for instance in self._by_service.get(service, _NONE)
            if self._ready(instance, now_ms) and place_of(instance) not in tried
        ]
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        return min(
            candidates,
            key=lambda i: (
                round(self.backlog_ms(i.worker) + self.expected_ms(i.instance, service), 3),
                zlib.crc32(f"{request_id}/{i.instance}".encode()),
                i.instance,
            ),
        )

    def expected_ms(self, instance: str, service: str) -> float:
        """Return the expected execution time: observed, else declared, else the default."""
        known = self._estimates.get(instance)
        if known is not None:
            return known
        declared = self._services.get(service)
        if declared is None or declared.latency_ms is None:
            return self._default_ms
        return declared.latency_ms

    def backlog_ms(self, worker: str) -> float:
        """Return the predicted work waiting at a worker, ms."""
        heard, backlog = self._reported.get(worker, (0, 0.0))
        for sent in reversed(self._sent.get(worker, {}).values()):
            if sent.at < heard:
                break
            backlog += self.expected_ms(sent.instance, sent.service)
        return backlog

    def send(self, task_id: str, instance: str, worker: str, service: str, now_ms: int) -> None:
        """Note a task that goes to a worker; calls come in order of `now_ms`."""
        self._sent.setdefault(worker, {})[task_id] = _Sent(now_ms, instance, service)

    def settle(self, task_id: str, worker: str) -> None:
        """Note that a task is no longer waited for."""
        sent = self._sent.get(worker)
        if sent is not None and sent.pop(task_id, None) is not None and not sent:
            del self._sent[worker]

    def learn(self, instance: str, execution_ms: float) -> None:
        """Take an observed execution time into the estimate of an instance of the catalogue."""
        if self._seen is None or instance not in self._seen:
            return
        known = self._estimates.get(instance, execution_ms)
        self._estimates[instance] = known + self._smoothing * (execution_ms - known)

    def _ready(self, instance: InstanceReported, now_ms: int) -> bool:
        alive = instance.health == "ready" and instance.expires_at > now_ms
        return alive and instance.node not in self._failed

    def forget_removed(self) -> None:
        """Drop the estimates of instances that left the catalogue."""
        seen = self._seen or {}
        self._estimates = {name: ms for name, ms in self._estimates.items() if name in seen}

    def estimates(self) -> tuple[Estimate, ...]:
        """Return the estimates for a snapshot, by name."""
        return tuple(
            Estimate(instance=name, execution_ms=ms) for name, ms in sorted(self._estimates.items())
        )

    def restore(self, estimates: tuple[Estimate, ...]) -> None:
        """Take over estimates; work under way is added by `send` again."""
        self._estimates = {entry.instance: entry.execution_ms for entry in estimates}
        self._sent = {}
        self._seen = None

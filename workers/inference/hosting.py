"""Brings what a node hosts in line with its placements, one instance at a time."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.registrations import InstanceReported, NodeReported, PolicySelected, ServiceRegistered
from workers.inference import reporting
from workers.inference.engine import Engine
from workers.inference.loading import Loaded, Loader
from workers.inference.replicas import Hosted, Wanted, held, wanted
from workers.inference.reporting import Condition
from workers.runtimes.base import Troubled
from workers.runtimes.errors import RuntimeFailure
from workers.telemetry import logger

KINDS: tuple[type[Event], ...] = (PlacementDecided, ServiceRegistered, PolicySelected)
"""What a worker follows of the catalogue."""
PEERS: tuple[type[Event], ...] = (InstanceReported, NodeReported)
"""What tells of other workers."""
QUIET_MS = 300.0
"""Without tasks for so long, a draining instance takes it that every router knows."""

log = logger(__name__)


@dataclass(slots=True)
class Replica:
    """An instance on this node, from its assignment to its end."""

    wanted: Wanted
    health: str = reporting.STARTING
    message: str | None = None
    hosted: Hosted | None = None
    loading: "Future[Loaded] | None" = None
    draining_since: float = 0.0


class Hosting:
    """The instances of one node; `speed` is that of its simulated device.

    With `serves`, those of one service, or one instance, alone.
    """

    def __init__(
        self, node: str, engine: Engine, loader: Loader, speed: float, serves: str = ""
    ) -> None:
        self._node = node
        self._serves = serves
        self._engine = engine
        self._loader = loader
        self._speed = speed
        self._replicas: dict[str, Replica] = {}
        self._seen: tuple[object, ...] = ()
        self._closing = False

    def __iter__(self) -> Iterator[Replica]:
        return iter(list(self._replicas.values()))

    @property
    def serving(self) -> bool:
        """Whether any instance has not ended."""
        return bool(self._replicas)

    @property
    def all_ready(self) -> bool:
        """Whether there are instances, and all of them can serve."""
        each = [replica.health == reporting.READY for replica in self]
        return bool(each) and all(each)

    @property
    def loading(self) -> bool:
        """Whether any model is being loaded."""
        return any(replica.loading is not None for replica in self._replicas.values())

    def served(self) -> dict[str, Hosted]:
        """Return what takes tasks now, by service."""
        return {
            replica.wanted.name: replica.hosted
            for replica in self
            if replica.hosted is not None and self.condition(replica).health == reporting.READY
        }

    def follow(self, catalogue: Catalogue, now_ms: float) -> bool:
        """Begin what new placements and registrations ask for; True when there was something."""
        seen = tuple(catalogue.of(kind) for kind in KINDS)
        same = len(seen) == len(self._seen) and all(map(_is, seen, self._seen))
        if self._closing or same:
            return False
        self._seen = seen
        assigned, kept = wanted(catalogue, self._node, self._serves), held(catalogue)
        changes = [self._assign(entry) for entry in assigned.values()]
        changes += [
            self._retire(replica, now_ms)
            for name, replica in self._replicas.items()
            if name not in assigned and replica.wanted.name not in kept
        ]
        return any(changes)

    def settle(self, now_ms: float) -> bool:
        """Take over what was loaded, end what has drained; True when something changed."""
        changes = [self._take_over(replica) for replica in self if replica.loading]
        changes += [self._end(r, now_ms) for r in self if r.health == reporting.DRAINING]
        return any(changes)

    def forget_stopped(self) -> None:
        """Drop the instances that have ended, once that is reported."""
        for name in [n for n, r in self._replicas.items() if r.health == reporting.STOPPED]:
            del self._replicas[name]
            self._engine.forget(name)

    def drain(self, now_ms: float) -> None:
        """Have every instance end when nothing comes for it any more, and begin no other."""
        self._closing = True
        for replica in self:
            self._retire(replica, now_ms)

    def end(self) -> None:
        """Have every instance end at once."""
        for replica in self:
            replica.health = reporting.STOPPED

    def condition(self, replica: Replica) -> Condition:
        """Return how an instance is; one that rests after a failure is starting again."""
        queued, queue_ms = self._engine.queued(replica.wanted.instance)
        trouble = _trouble(replica)
        if trouble is not None and replica.health == reporting.READY:
            return Condition(reporting.STARTING, trouble, queued, queue_ms)
        return Condition(replica.health, replica.message, queued, queue_ms)

    def _assign(self, entry: Wanted) -> bool:
        replica = self._replicas.get(entry.instance)
        if replica is None or replica.health in (reporting.DRAINING, reporting.STOPPED):
            self._replicas[entry.instance] = self._begin(Replica(entry))
            return True
        changed = replica.wanted.artifact != entry.artifact
        replica.wanted = entry
        if changed:
            self._begin(replica)
        return changed

    def _begin(self, replica: Replica) -> Replica:
        replica.loading = self._loader.load(replica.wanted)
        log.info("instance.loading", instance=replica.wanted.instance)
        return replica

    def _take_over(self, replica: Replica) -> bool:
        loading = replica.loading
        if loading is None or not loading.done():
            return False
        replica.loading = None
        name = replica.wanted.instance
        if replica.health in (reporting.DRAINING, reporting.STOPPED):
            return False
        try:
            loaded = loading.result()
        except RuntimeFailure as error:
            log.warning("instance.failed", instance=name, error=str(error))
            replica.message = str(error)
            if replica.hosted is None:
                replica.health = reporting.FAILED
            return True
        slowness = 1.0 / min(1.0, self._speed)
        self._engine.host(loaded.hosted, [took * slowness for took in loaded.warm_ms])
        replica.hosted, replica.health, replica.message = loaded.hosted, reporting.READY, None
        log.info("instance.ready", instance=name, provider=loaded.hosted.session.provider)
        return True

    def _retire(self, replica: Replica, now_ms: float) -> bool:
        if replica.health in (reporting.DRAINING, reporting.STOPPED):
            return False
        replica.health, replica.draining_since = reporting.DRAINING, now_ms
        return True

    def _end(self, replica: Replica, now_ms: float) -> bool:
        name = replica.wanted.instance
        busy = self._engine.queued(name)[0] > 0
        last = max(replica.draining_since, self._engine.last_task(name))
        if replica.hosted is not None and (busy or now_ms < last + QUIET_MS):
            return False
        self._engine.leave(name)
        replica.health = reporting.STOPPED
        return True


def _trouble(replica: Replica) -> str | None:
    session = replica.hosted.session if replica.hosted is not None else None
    return session.trouble if isinstance(session, Troubled) else None


def _is(one: object, other: object) -> bool:
    return one is other

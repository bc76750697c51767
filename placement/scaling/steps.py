"""One service at one moment: what it bears, what follows, and how that is said. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from placement.authority import served
from placement.scaling.sizing import (
    Bearing,
    Called,
    Range,
    ScalePolicy,
    called_for,
    remember,
    settle,
)
from placement.scaling.state import NOTHING, AppLoad, Broken, Call, LoadWindow
from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected, PlacementDecided, PlacementRequested, ServiceDemand
from schemas.identity import stable_id
from schemas.observing import ContractViolated, Observation
from schemas.registrations import InstanceReported, ServiceRegistered
from schemas.working import WorkerReported

CLAUSES, INSTANCES = 64, 256
AGAIN_MS = 60_000
"""After so long without an answer the same is asked for again."""
_MOST_LOAD = 1e6
_DEMAND = ("answered", "response_latency")
_TIMELY = ("latency", "queue", "response_latency", "deadline_met", "answered", "availability")
"""Metrics that more copies may help."""


def take(state: AppLoad, seen: Observation, scaled: tuple[ServiceRegistered, ...]) -> None:
    """Take note of a final window: what an instance executed, or that the application was asked."""
    if not seen.final or seen.count <= 0:
        return
    if not seen.service and seen.metric in _DEMAND:
        if seen.window_end > state.active:
            state.active, state.cause = seen.window_end, seen.event_id
        return
    span = seen.window_end - seen.window_start
    known = any(service.service == seen.service for service in scaled)
    if not known or seen.metric != "execution" or not seen.instance or span <= 0:
        return
    service = state.service(seen.service)
    share = _bounded(seen.count * seen.mean / span)
    fresh = LoadWindow(instance=seen.instance, end=seen.window_end, share=share)
    rest = [w for w in service.windows if w.instance != seen.instance]
    if not any(w.instance == seen.instance and w.end > seen.window_end for w in service.windows):
        newest = sorted((*rest, fresh), key=lambda w: (w.end, w.instance))[-INSTANCES:]
        service.windows = tuple(sorted(newest, key=lambda w: w.instance))
        service.active = max(service.active, seen.window_end)


def _bounded(load: float) -> float:
    """Return a load that can be counted with, whatever a broken clock or instance says."""
    return min(max(0.0, load), _MOST_LOAD)


def blamed_by(state: AppLoad, seen: ContractViolated) -> None:
    """Take note of a clause that is violated, with who contributes most, or holds again.

    The parts of a service, its instances, count together; what the application as a whole has
    nobody is blamed for.
    """
    name = f"{seen.contract}/{seen.clause}"
    rest = tuple(broken for broken in state.broken if broken.clause != name)
    if seen.status == "violated" and seen.metric in _TIMELY:
        shares: dict[str, float] = {}
        for part in seen.contributions:
            if part.service:
                shares[part.service] = shares.get(part.service, 0.0) + part.share
        most = max(shares.values(), default=0.0)
        blamed = tuple(name for name, share in shares.items() if share > 0 and share >= most)
        rest = (*rest, Broken(clause=name, cause=seen.event_id, services=blamed))[-CLAUSES:]
    state.broken = rest


def batches_of(catalogue: Catalogue) -> Mapping[str, float]:
    """Return, by instance, how many tasks one execution answers on average, at least 1."""
    return {
        served.instance: max(1.0, (served.in_time + served.late) / served.batches)
        for worker in catalogue.of(WorkerReported).values()
        for served in worker.services
        if served.batches > 0
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """A service, what is remembered of it, and the world at one moment."""

    state: AppLoad
    service: ServiceRegistered
    catalogue: Catalogue
    policy: ScalePolicy
    now: int

    def in_use(self, decided: PlacementDecided) -> bool:
        """Return whether the application uses the service now, with copies or for now without."""
        selected = self.catalogue.by_app(EnsembleSelected).get(self.service.app, ())
        if selected:
            members = [member for one in selected for member in one.members]
            return any(m.service == self.service.service and m.role != "shadow" for m in members)
        return decided.replicas > 0 or self.state.service(self.service.service).asked == 0


class Step:
    """Decides on the copies of one service; what it remembers changes with it."""

    def __init__(self, standing: Standing, batches: Mapping[str, float]) -> None:
        self._at = standing
        self._batches = batches
        self._load = standing.state.service(standing.service.service)

    def run(self) -> PlacementRequested | None:
        """Return a request for another number of copies, where there should be one."""
        at, load = self._at, self._load
        decided = at.catalogue.get(PlacementDecided, at.service.service)
        if decided is None or not at.in_use(decided):
            load.windows, load.calls, load.asked = (), (), NOTHING
            return None
        self._follow(decided)
        load.windows = tuple(w for w in load.windows if self._counts(w, decided))
        bearing, limits = self._bearing(decided), self._range()
        called = called_for(bearing, limits, at.policy)
        before = tuple((call.at, min(call.copies, limits.most)) for call in load.calls)
        calls = remember(before, at.now, called.copies, at.policy.down_ms)
        load.calls = tuple(Call(at=instant, copies=copies) for instant, copies in calls)
        what = settle(bearing, called, calls, at.policy)
        if what is None or what.copies == decided.replicas:
            return None
        if what.copies == load.asked and at.now - load.changed < AGAIN_MS:
            return None
        request = self._request(decided, what)
        load.asked, load.changed = what.copies, at.now
        return request

    def _counts(self, window: LoadWindow, decided: PlacementDecided) -> bool:
        """Return whether a window tells of the present load: a new one, of a copy that is to run.

        What copies bore that have left, others bear by now.
        """
        runs = served(decided, self._at.catalogue)
        there = runs is None or any(a.instance == window.instance for a in runs.assignments)
        return there and window.end > self._at.now - self._at.policy.stale_ms

    def _follow(self, decided: PlacementDecided) -> None:
        """Take note when another number of copies was decided on."""
        load = self._load
        if load.copies == decided.replicas and load.changed:
            return
        load.started = load.started if load.copies else decided.decided_at
        load.copies, load.changed = decided.replicas, max(load.changed, decided.decided_at)
        if load.asked != decided.replicas:
            load.asked = NOTHING

    def _range(self) -> Range:
        service, policy = self._at.service, self._at.policy
        least = max(0, min(service.min_replicas, service.max_replicas))
        target = service.target_load if 0.0 < service.target_load <= 1.0 else policy.target_load
        return Range(least, service.max_replicas, target, service.idle_ms or policy.idle_ms)

    def _bearing(self, decided: PlacementDecided) -> Bearing:
        at, load = self._at, self._load
        asked_last = max(load.active, at.state.active, load.started)
        return Bearing(
            copies=decided.replicas,
            load=self._busy() + self._waiting(),
            blamed=tuple(b.clause for b in at.state.broken if at.service.service in b.services),
            idle_for=max(0, at.now - asked_last),
            since_change=max(0, at.now - load.changed),
            wanted=at.state.active > load.changed,
        )

    def _busy(self) -> float:
        return sum(w.share / self._batches.get(w.instance, 1.0) for w in self._load.windows)

    def _waiting(self) -> float:
        """Return how many copies the work that waits would keep busy for `drain_ms`."""
        at = self._at
        instances = at.catalogue.by_app(InstanceReported).get(at.service.app, ())
        waits = [
            _bounded(instance.queue_ms / at.policy.drain_ms)
            for instance in instances
            if instance.service == at.service.service and instance.expires_at > at.now
        ]
        return sum(waits)

    def _request(self, decided: PlacementDecided, what: Called) -> PlacementRequested:
        at = self._at
        name, app = at.service.service, at.service.app
        blamed = tuple(b.cause for b in at.state.broken if name in b.services)
        woken = (at.state.cause,) if at.state.cause and not decided.replicas else ()
        return PlacementRequested(
            event_id=stable_id("scale", name, decided.event_id, what.copies, self._load.changed),
            kind="verdict" if what.verdict else "load",
            subject=name,
            app=app,
            demands=(ServiceDemand(service=name, replicas=what.copies),),
            reason=f"{name} from {decided.replicas} to {what.copies} copies: {what.why}",
            requested_at=at.now,
            causes=(*(blamed if what.verdict else woken), decided.event_id),
        )

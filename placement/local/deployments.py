"""What became of a placement, derived from what its instances report."""

from dataclasses import dataclass

from schemas.catalogue import Catalogue
from schemas.decisions import DeploymentObserved, PlacementDecided
from schemas.identity import stable_id
from schemas.registrations import InstanceReported

REMOVED = "removed"
_ALIVE = ("starting", "ready", "failed", "draining")


@dataclass(frozen=True, slots=True)
class Deployment:
    """How a placement stands: copies wanted and serving, and the phase that this makes."""

    desired: int
    ready: int
    phase: str
    message: str


def deployment_of(
    decided: PlacementDecided, instances: tuple[InstanceReported, ...], now_ms: int
) -> Deployment:
    """Judge a placement by the instances of its service; expired ones count as gone.

    Phases: available (all copies serve), degraded (some do), failed (none does and one says why),
    progressing (none does yet), removed (retired, and none is left).
    """
    alive = [i for i in instances if i.expires_at > now_ms and i.health in _ALIVE]
    if not decided.replicas:
        leaving = ", ".join(sorted(i.instance for i in alive))
        if alive:
            return Deployment(0, 0, "progressing", f"still draining: {leaving}")
        return Deployment(0, 0, REMOVED, "no copy is left")
    wanted = {assignment.instance for assignment in decided.assignments}
    ready = sum(1 for i in alive if i.health == "ready" and i.instance in wanted)
    broken = [i for i in alive if i.health == "failed" and i.instance in wanted]
    why = "; ".join(f"{i.instance}: {i.message or 'failed'}" for i in broken)
    count = f"{ready} of {decided.replicas} copies serve"
    if ready >= decided.replicas:
        return Deployment(decided.replicas, ready, "available", count)
    if ready:
        return Deployment(decided.replicas, ready, "degraded", f"{count}; {why}" if why else count)
    phase = "failed" if broken else "progressing"
    return Deployment(decided.replicas, 0, phase, why or decided.reason)


class DeploymentWatch:
    """Says what became of each placement, once per change of generation, phase or ready copies."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, str, int]] = {}

    def observe(self, catalogue: Catalogue, now_ms: int) -> tuple[DeploymentObserved, ...]:
        """Return what has changed since the last call; what the catalogue tells is not repeated."""
        instances: dict[str, list[InstanceReported]] = {}
        for instance in catalogue.of(InstanceReported).values():
            instances.setdefault(instance.service, []).append(instance)
        changed = []
        for service, decided in sorted(catalogue.of(PlacementDecided).items()):
            found = deployment_of(decided, tuple(instances.get(service, ())), now_ms)
            state = (decided.generation, found.phase, found.ready)
            if state != self._known(service, catalogue):
                changed.append(_event(decided, found, now_ms))
            self._last[service] = state
        return tuple(changed)

    def _known(self, service: str, catalogue: Catalogue) -> tuple[int, str, int] | None:
        if service in self._last:
            return self._last[service]
        seen = catalogue.get(DeploymentObserved, service)
        return None if seen is None else (seen.generation, seen.phase, seen.ready)


def _event(decided: PlacementDecided, found: Deployment, now_ms: int) -> DeploymentObserved:
    identity = stable_id("actuate", decided.service, decided.generation, found.phase, found.ready)
    return DeploymentObserved(
        event_id=identity,
        service=decided.service,
        app=decided.app,
        generation=decided.generation,
        desired=found.desired,
        ready=found.ready,
        phase=found.phase,
        message=found.message,
        observed_at=now_ms,
        causes=(decided.event_id,),
    )

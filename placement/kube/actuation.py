"""From placements and what a cluster has to what is to be done there, and what is to be told.

A pure state machine, like `placement.local.actuation` for this machine: `step` takes the clock,
the catalogue and the cluster as it was seen; `streams.actuating.kube_doing` carries the
instructions out; `settle` turns what came of them into events.

A service is looked at when its decision, its registration, a policy or one of its objects has
changed, or when a try that failed is due again. What differs from what is wanted is applied,
whoever changed it; what Weir made and nobody wants any more is deleted; what carries a newer
generation than is known here is left alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import is_

from placement.authority import Limits, outside, ruling
from placement.errors import NotDeployable
from placement.kube.backoff import Backoff
from placement.kube.comparing import ROOT, Comparing, removal
from placement.kube.kinds import Manifest
from placement.kube.manifests import (
    SERVICE,
    ManifestParams,
    closing,
    generation_of,
    manifests,
    service_of,
)
from placement.kube.manifests_names import dns_name
from placement.kube.manifests_patch import images
from placement.kube.telling import Telling
from placement.kube.view import NOTHING, Group, Observed
from placement.kube.words import Carried, Carry
from schemas.authority import frozen
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import DeploymentObserved, PlacementDecided
from schemas.identity import stable_number
from schemas.registrations import (
    ApplicationRegistered,
    NodeReported,
    PolicySelected,
    ServiceRegistered,
)

CATALOGUE: tuple[type[Event], ...] = (
    PlacementDecided,
    ServiceRegistered,
    ApplicationRegistered,
    PolicySelected,
    DeploymentObserved,
    NodeReported,
)
"""The event classes that `KubeActuation.step` looks up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeParams:
    """How the Kubernetes actuator behaves; times in ms.

    What belongs to a service that the catalogue does not know goes after `orphan_ms`: the news of
    it may be on its way. So long stays the root of a service that was retired, as a note of its
    last generation. What may not be made is looked at again after `patience_ms`.
    """

    limits: Limits = field(default_factory=Limits)
    manifests: ManifestParams = field(default_factory=ManifestParams)
    orphan_ms: int = 60_000
    patience_ms: int = 10_000
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=1.0, longest_s=60.0))


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, and what to say."""

    instructions: tuple[Carry, ...]
    events: tuple[Event, ...]


@dataclass(slots=True)
class _Kept:
    """What is remembered of one service: what it was looked at with, and what failed since.

    `newest` is the newest decision that was heard of, `shown` the one that is carried out.
    """

    seen: tuple[object, ...] = ()
    newest: PlacementDecided | None = None
    shown: PlacementDecided | None = None
    wanted: tuple[Manifest, ...] = ()
    made_of: tuple[PlacementDecided, ServiceRegistered] | None = None
    failures: int = 0
    due: int | None = None
    trouble: tuple[str, str] | None = None
    closed_at: int | None = None


class KubeActuation:
    """Decides for one cluster; one instance per process."""

    def __init__(self, params: KubeParams | None = None) -> None:
        self._params = params or KubeParams()
        self._services: dict[str, _Kept] = {}
        self._orphans: dict[str, int] = {}
        self._comparing = Comparing()
        self._telling = Telling()

    def step(self, now_ms: int, catalogue: Catalogue, observed: Observed) -> Step:
        """Compare what is wanted with what the cluster has; nothing before all has been listed."""
        events = self._telling.troubles(now_ms, observed.troubles)
        if not observed.complete:
            return Step((), tuple(events))
        placements = catalogue.of(PlacementDecided)
        carries: list[Carry] = []
        rules = (catalogue.of(PolicySelected), catalogue.of(ApplicationRegistered))
        for name, told in sorted(placements.items()):
            kept = self._services.setdefault(name, _Kept())
            group = observed.groups.get(dns_name(name), NOTHING)
            seen = (group, told, catalogue.get(ServiceRegistered, name), *rules)
            same = [*map(is_, seen, kept.seen)] or [False]
            due = kept.due is not None and now_ms >= kept.due
            if all(same) and not due:
                continue
            kept.seen = seen
            if due or kept.due is None or not all(same[1:]):
                carries += self._look(now_ms, kept, told, catalogue, group, events)
            if kept.shown is not None:
                events += self._telling.standing(now_ms, kept.shown, group, kept.trouble, catalogue)
        for name in [name for name in self._services if name not in placements]:
            self._comparing.forget(self._services.pop(name).wanted)
            self._telling.forget(name)
        carries += self._orphaned(now_ms, catalogue, observed)
        return Step(tuple(carries), tuple(events))

    def settle(self, now_ms: int, carried: Iterable[Carried]) -> tuple[Event, ...]:
        """Turn what came of the instructions into events; what failed is due again later."""
        events: list[Event] = []
        for each in carried:
            self._comparing.settle(each)
            events += self._telling.carried(now_ms, each)
            kept = self._services.get(each.carry.service)
            if kept is not None:
                self._retry(now_ms, kept, each)
        return tuple(events)

    def _retry(self, now_ms: int, kept: _Kept, carried: Carried) -> None:
        failed = carried.failed
        if failed is None:
            kept.failures, kept.trouble = 0, None
            kept.seen = () if carried.postponed else kept.seen
            return
        kept.failures += 1
        chance = stable_number(carried.carry.service.encode()) % 1000 / 1000
        asked_s = failed.answer.retry_after_s
        wait_s = self._params.backoff.delay_s(kept.failures, chance, asked_s)
        kept.due = now_ms + round(1000 * wait_s)
        kept.seen = ()
        if failed.newer is None:
            reason = failed.answer.reason or failed.answer.verdict.value
            kept.trouble = (reason, f"{reason}: {failed.answer.message}")

    def _look(
        self,
        now_ms: int,
        kept: _Kept,
        told: PlacementDecided,
        catalogue: Catalogue,
        group: Group,
        events: list[Event],
    ) -> list[Carry]:
        """Return what is to be done for a service of which something has changed, if anything."""
        kept.due = None
        newest = _newest(told, kept, group)
        if newest > told.generation:
            why = (
                f"generation {newest} is carried out already; if the log was begun anew, delete "
                f"what is labelled {SERVICE}={dns_name(told.service)}"
            )
            events += self._telling.refused(now_ms, told, "generations", why)
            return []
        kept.newest = told
        ruled = ruling(told, catalogue, self._params.limits)
        if ruled.reason:
            events += self._telling.refused(now_ms, told, ruled.policy, ruled.reason)
        if ruled.decided is None:
            return []
        kept.shown = ruled.decided
        try:
            wanted = self._wanted(now_ms, kept, ruled.decided, catalogue, group)
        except NotDeployable as error:
            kept.trouble = (error.policy, error.reason)
            kept.due = now_ms + self._params.patience_ms
            events += self._telling.refused(now_ms, told, error.policy, error.reason)
            return []
        carry = self._comparing.carry(ruled.decided, wanted, group)
        if carry is None:
            kept.failures = 0  # a try whose answer was lost was carried out
        if not kept.failures:
            kept.trouble = None
        return [] if carry is None else [carry]

    def _wanted(
        self,
        now_ms: int,
        kept: _Kept,
        decided: PlacementDecided,
        catalogue: Catalogue,
        group: Group,
    ) -> tuple[Manifest, ...]:
        """Return what the cluster is to have of a service. Raises NotDeployable."""
        if not decided.assignments:
            return self._closing(now_ms, kept, decided, group)
        kept.closed_at = None
        registered = catalogue.get(ServiceRegistered, decided.service)
        if registered is None:
            raise NotDeployable("registered services", f"{decided.service} is not registered")
        if kept.made_of is None or not all(map(is_, kept.made_of, (decided, registered))):
            params = self._params.manifests
            made = manifests(decided, registered, catalogue.of(NodeReported), params)
            own = {params.pods.image, params.pods.gpu_image}
            deployments = (body for body in made if body["kind"] == "Deployment")
            for image in sorted(set().union(*map(images, deployments)) - own):
                named = replace(registered, image=image)
                if why := outside(named, self._params.limits):
                    raise NotDeployable(*why)
            kept.wanted, kept.made_of = made, (decided, registered)
        return kept.wanted

    def _closing(
        self, now_ms: int, kept: _Kept, decided: PlacementDecided, group: Group
    ) -> tuple[Manifest, ...]:
        """Return the root of what is retired, until it has been a note for long enough."""
        root = next((body for key, body in group.items() if key[0] == ROOT), None)
        if root is None:
            kept.closed_at = None
            self._comparing.forget(kept.wanted)
            return ()
        if kept.closed_at is None:
            kept.closed_at = now_ms
        until = kept.closed_at + self._params.orphan_ms
        if now_ms >= until:
            return ()
        kept.due = until
        return (closing(decided, root),)

    def _orphaned(self, now_ms: int, catalogue: Catalogue, observed: Observed) -> list[Carry]:
        """Return that what belongs to no service of the catalogue goes, after a while."""
        if frozen(catalogue) is not None:
            self._orphans.clear()
            return []
        known = {dns_name(name) for name in catalogue.of(PlacementDecided)}
        strange = {
            label: group
            for label, group in observed.groups.items()
            if label and label not in known  # what names no service, Weir has not made
        }
        self._orphans = {label: self._orphans.get(label, now_ms) for label in strange}
        found = []
        for label, group in strange.items():
            if now_ms - self._orphans[label] < self._params.orphan_ms:
                continue
            self._orphans[label] = now_ms  # tried again after as long, when it could not be done
            service = next(filter(None, map(service_of, group.values())), label)
            why = "the catalogue knows no such service"
            carry = removal(service, group, _carried(group), why)
            found += [carry] if carry.deletes else []
        return found


def _newest(told: PlacementDecided, kept: _Kept, group: Group) -> int:
    """Return the newest generation that is known of a service."""
    last = kept.newest.generation if kept.newest is not None else told.generation
    return max(last, _carried(group))


def _carried(group: Group) -> int:
    """Return the newest generation that a cluster has of a service; -1 when it has none."""
    return max(map(generation_of, group.values()), default=-1)

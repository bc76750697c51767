"""What is told of a cluster: deeds, refusals, standings and troubles, each once. Pure."""

from collections.abc import Iterator

from placement.deeds import action, refused
from placement.kube.kinds import Key
from placement.kube.status import Standing, standing
from placement.kube.view import Group
from placement.kube.words import Carried, Deed
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import DeploymentObserved, PlacementDecided
from schemas.identity import stable_id

CLUSTER = "kubernetes"
"""Target of deeds that concern no service."""
_MOST_OBJECTS = 20


class Telling:
    """Remembers what was told, so that nothing is told twice."""

    def __init__(self) -> None:
        self._refused: dict[str, tuple[str, str, str]] = {}
        self._standing: dict[str, tuple[int, str, int, str]] = {}
        self._failed: dict[str, tuple[str, str]] = {}
        self._troubles: tuple[str, ...] = ()

    def forget(self, service: str) -> None:
        """Forget a service that is no more."""
        for told in (self._refused, self._standing, self._failed):
            told.pop(service, None)

    def refused(
        self, now_ms: int, decided: PlacementDecided, policy: str, reason: str
    ) -> list[Event]:
        """Return that a decision is not carried out, and why, unless that was told last."""
        told = (decided.event_id, policy, reason)
        if self._refused.get(decided.service) == told:
            return []
        self._refused[decided.service] = told
        return [refused(now_ms, decided, policy, reason)]

    def troubles(self, now_ms: int, troubles: tuple[str, ...]) -> list[Event]:
        """Return what keeps us from hearing of changes, when it begins, changes and ends."""
        if troubles == self._troubles:
            return []
        self._troubles = troubles
        status = "failed" if troubles else "done"
        why = "; ".join(troubles) or "the cluster is heard again"
        return [action(now_ms, CLUSTER, "cluster.watch", status, why, {})]

    def standing(
        self,
        now_ms: int,
        decided: PlacementDecided,
        group: Group,
        trouble: tuple[str, str] | None,
        catalogue: Catalogue,
    ) -> list[Event]:
        """Return how a placement stands, unless it stands as was told last."""
        found = standing(decided, group, trouble)
        state = (decided.generation, found.phase, found.ready, found.reason)
        if self._standing.get(decided.service) == state:
            return []
        first = decided.service not in self._standing
        self._standing[decided.service] = state
        if first and _known(decided, catalogue) == (decided.generation, found.phase, found.ready):
            return []
        return [_observed(now_ms, decided, found)]

    def carried(self, now_ms: int, carried: Carried) -> Iterator[Event]:
        """Yield what was done for a service, what was taken back, and what could not be done."""
        carry = carried.carry
        done = [deed for deed in carried.deeds if deed.done]
        if done and carried.failed is None and not carried.postponed:
            self._failed.pop(carry.service, None)
            yield _deed(now_ms, carried, "done", carry.why)
        for deed in done:
            if deed.contested:
                yield _reclaimed(now_ms, carried, deed)
        failed = carried.failed
        if failed is None:
            return
        status, why = ("failed", failed.answer.message)
        if failed.foreign:
            status, why = "refused", f"{_words(failed.key)} is there, and others have made it"
        elif failed.newer is not None:
            status, why = "refused", f"{_words(failed.key)} has generation {failed.newer} already"
        told = (str(carry.generation), why)
        if self._failed.get(carry.service) != told:
            self._failed[carry.service] = told
            yield _deed(now_ms, carried, status, why)


def _known(decided: PlacementDecided, catalogue: Catalogue) -> tuple[int, str, int] | None:
    seen = catalogue.get(DeploymentObserved, decided.service)
    return None if seen is None else (seen.generation, seen.phase, seen.ready)


def _observed(now_ms: int, decided: PlacementDecided, found: Standing) -> DeploymentObserved:
    parts = (decided.service, decided.generation, found.phase, found.ready, found.reason)
    return DeploymentObserved(
        event_id=stable_id("actuate", *parts),
        service=decided.service,
        app=decided.app,
        generation=decided.generation,
        desired=found.desired,
        ready=found.ready,
        phase=found.phase,
        reason=found.reason,
        message=found.message,
        observed_at=now_ms,
        causes=(decided.event_id,),
    )


def _deed(now_ms: int, carried: Carried, status: str, why: str) -> Event:
    carry = carried.carry
    applied = [_words(deed.key) for deed in carried.deeds if deed.done and not deed.deleted]
    deleted = [_words(deed.key) for deed in carried.deeds if deed.done and deed.deleted]
    details = {"generation": str(carry.generation)}
    for name, objects in (("applied", applied), ("deleted", deleted)):
        if objects:
            more = f" and {len(objects) - _MOST_OBJECTS} more"
            told = ", ".join(objects[:_MOST_OBJECTS])
            details[name] = told + (more if len(objects) > _MOST_OBJECTS else "")
    if carried.failed is not None:
        details["object"] = _words(carried.failed.key)
        details["verdict"] = carried.failed.answer.verdict.value
    policy = "generations" if carried.failed and carried.failed.newer is not None else ""
    return action(now_ms, carry.service, carry.kind, status, why, details, policy, carry.causes)


def _reclaimed(now_ms: int, carried: Carried, deed: Deed) -> Event:
    managers = sorted({manager for manager, _ in deed.contested})
    fields = sorted({name for _, name in deed.contested})
    why = f"{', '.join(managers)} had set what is Weir's"
    details = {"object": _words(deed.key), "managers": ", ".join(managers)}
    details["fields"] = ", ".join(fields[:_MOST_OBJECTS])
    causes = carried.carry.causes
    return action(now_ms, carried.carry.service, "fields.reclaim", "done", why, details, "", causes)


def _words(key: Key) -> str:
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}"

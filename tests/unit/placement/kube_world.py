"""A cluster in memory behind the same verbs as the door, and an actuator of it."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from placement.authority import Limits
from placement.kube.actuation import KubeActuation, KubeParams
from placement.kube.answers import Answer, Verdict, answer
from placement.kube.kinds import Key, Manifest, key_of
from placement.kube.manifests import ManifestParams, owner_of
from placement.kube.manifests_names import OWNER
from placement.kube.view import Observed, View
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken, DeploymentObserved, PlacementDecided
from schemas.registrations import PolicySelected
from streams.actuating.kube_doing import Doing
from tests.golden.write_manifests import decided
from tests.unit.placement.world import T0, catalogue_of, service

ORPHAN_MS = 5000
ACT = PolicySelected(
    scope="installation", component="", algorithm="", mode="act", selected_at=T0, event_id="act"
)
DIGITS = service("digits")


def placed(generation: int, *nodes: str, **more: Any) -> PlacementDecided:
    """Return a decision on `digits`; without nodes it is retired."""
    made = decided(DIGITS, *nodes)
    fields = {"generation": generation, "event_id": f"decision-{generation}"}
    return replace(made, **fields, **more)


def world(*events: Event, base: Catalogue | None = None) -> Catalogue:
    """Return a catalogue in which `digits` is registered and may be acted upon."""
    return catalogue_of(events, base or catalogue_of([ACT, DIGITS]))


class FakeCluster:
    """Objects with versions and ids; `answers` may say something else than the truth."""

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}
        self.answers: Callable[[str, Key], Answer | None] = lambda _verb, _key: None
        self.stores: Callable[[dict[str, Any]], None] = lambda _body: None
        self.asked: list[tuple[str, Key]] = []
        self.changes: list[tuple[int, str, dict[str, Any]]] = []
        self._version = 100

    def apply(
        self, manifest: Manifest, *, version: str = "", uid: str = "", force: bool = False
    ) -> Answer:
        key = key_of(manifest)
        self.asked.append(("apply", key))
        if not force and (said := self.answers("apply", key)) is not None:
            return said
        held = self.objects.get(key)
        known = held["metadata"] if held is not None else {}
        if (held is None and uid) or (held is not None and version != known["resourceVersion"]):
            return answer(409, {"reason": "Conflict", "message": "it was changed"})
        body = copy.deepcopy(dict(manifest))
        if held is not None and "status" in held:
            body["status"] = held["status"]
        body["metadata"] |= {"uid": known.get("uid") or f"uid-{self._version}"}
        body["metadata"]["resourceVersion"] = known.get("resourceVersion", "")
        self.stores(body)
        if body != held:
            self.put(body)
        return Answer(Verdict.DONE, 200, copy.deepcopy(self.objects[key]))

    def put(self, body: dict[str, Any]) -> None:
        """Write an object, by whatever hand."""
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        kind = "MODIFIED" if key_of(body) in self.objects else "ADDED"
        self.objects[key_of(body)] = body
        self.changes.append((self._version, kind, copy.deepcopy(body)))

    def delete(self, key: Key, *, uid: str = "", version: str = "") -> Answer:
        self.asked.append(("delete", key))
        if (said := self.answers("delete", key)) is not None:
            return said
        held = self.objects.get(key)
        known = held["metadata"] if held is not None else {}
        same = version in ("", known.get("resourceVersion")) and uid in ("", known.get("uid"))
        if held is not None and not same:
            return answer(409, {"reason": "Conflict", "message": "it was changed"})
        if held is not None:
            self._version += 1
            gone = copy.deepcopy(self.objects.pop(key))
            gone["metadata"]["resourceVersion"] = str(self._version)
            self.changes.append((self._version, "DELETED", gone))
        return Answer(Verdict.DONE, 200)

    @property
    def version(self) -> str:
        """Return the version of the newest change."""
        return str(self._version)

    def get(self, key: Key) -> Answer:
        held = self.objects.get(key)
        if held is None:
            return answer(404, {"reason": "NotFound", "message": "it is not there"})
        return Answer(Verdict.DONE, 200, copy.deepcopy(held))

    def names(self, kind: str) -> list[str]:
        return sorted(key[2] for key in self.objects if key[0] == kind)

    def serve(self, key: Key, **status: Any) -> None:
        """Have a Deployment's controller report."""
        self.put(self.objects[key] | {"status": status})


class Door:
    """The way of one installation to a cluster in memory."""

    def __init__(self, cluster: FakeCluster, owner: str) -> None:
        self.apply, self.delete, self.get = cluster.apply, cluster.delete, cluster.get
        self.owner = owner


class Actor:
    """An actuator of a cluster in memory, with a view of its own."""

    def __init__(
        self, cluster: FakeCluster, budget_s: float = 60.0, owner: str = OWNER, **limits: Any
    ) -> None:
        self.cluster = cluster
        self.owner = owner
        params = KubeParams(
            limits=Limits(**limits), manifests=ManifestParams(owner=owner), orphan_ms=ORPHAN_MS
        )
        self.actuation = KubeActuation(params)
        self.view = View()
        self.events: list[Event] = []
        door = Door(cluster, owner)
        self._doing = Doing(door, self.view.put, self.view.drop, 1, budget_s)  # type: ignore[arg-type]

    def look(self) -> None:
        """Hear of all that the cluster has."""
        managed = [
            copy.deepcopy(body)
            for body in self.cluster.objects.values()
            if owner_of(body) == self.owner
        ]
        for kind in {key[0] for key in self.cluster.objects} | {k for k, *_ in self.view._labels}:
            self.view.replace(kind, "", [body for body in managed if body["kind"] == kind])

    def turn(self, catalogue: Catalogue, now_ms: int = T0, *, look: bool = True) -> list[Event]:
        """Look, decide and do once; return what was told."""
        if look:
            self.look()
        step = self.actuation.step(now_ms, catalogue, Observed(self.view.groups()))
        carried = self._doing.execute(step.instructions)
        told = [*step.events, *self.actuation.settle(now_ms, carried)]
        self.events += told
        return told

    def close(self) -> None:
        self._doing.close()


def deeds(events: list[Event]) -> list[tuple[str, str]]:
    """Return kind and status of the deeds among events."""
    return [(e.kind, e.status) for e in events if isinstance(e, ActionTaken)]


def phases(events: list[Event]) -> list[tuple[str, str]]:
    """Return phase and reason of what was observed."""
    return [(e.phase, e.reason) for e in events if isinstance(e, DeploymentObserved)]

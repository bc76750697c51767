"""The Kubernetes actuator at work: what a cluster has, what is to be done there, and its nodes.

Watches run in threads of their own, and deeds in a pool; whoever acts only reads and decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from placement.authority import ANY, Limits
from placement.kube.actuation import KubeActuation, KubeParams
from placement.kube.discovery import Discovery, DiscoveryParams
from placement.kube.door import Kube, connect
from placement.kube.kinds import WATCHED, Manifest, Right, rights
from placement.kube.manifests import MANAGED, ManifestParams
from placement.kube.manifests_pods import PodParams
from placement.kube.view import by_node
from placement.kube.words import Carried
from schemas.base import Event
from schemas.catalogue import Catalogue
from streams.actuating.kube_doing import Doing
from streams.actuating.kube_following import Followed, Following
from streams.actuating.kube_turn import Turn
from streams.surroundings import World
from workers.settings import KubeSettings, Settings

BUDGET_S = 4.0
"""After so long no further service is begun in one go: the actuator has to come round."""
_ROUNDS = 4


def params_of(settings: KubeSettings, limits: Limits) -> KubeParams:
    """Return what the decisions depend on."""
    pods = PodParams(
        image=settings.image,
        gpu_image=settings.gpu_image,
        config=settings.config,
        secret=settings.secret,
        account=settings.account,
        models=settings.models,
        gpu=settings.gpu,
        share=settings.share,
    )
    made = ManifestParams(
        owner=settings.owner,
        namespace=settings.namespace,
        host_paths=settings.host_paths,
        pods=pods,
    )
    return KubeParams(limits=limits, manifests=made, orphan_ms=settings.orphan_ms)


def namespaces_of(settings: KubeSettings, limits: Limits) -> tuple[str, ...]:
    """Return the namespaces to look at: its own and those that services may name; "" for all."""
    if ANY in limits.namespaces:
        return ("",)
    return tuple(dict.fromkeys((settings.namespace, *limits.namespaces)))


def rights_of(settings: KubeSettings, limits: Limits) -> tuple[Right, ...]:
    """Return what the actuator must be allowed to do."""
    found = namespaces_of(settings, limits)
    return rights(found, nodes=settings.discover, others=settings.others)


class KubeDeeds:
    """Carries placements out in one cluster, and reports its nodes."""

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        hear: Callable[[], None],
        door: Kube | None = None,
    ) -> None:
        """Begin to follow the cluster. Raises ClusterUnknown without a usable kubeconfig."""
        kube = settings.kube
        self._door = door or connect(kube.kubeconfig, kube.context, owner=kube.owner)
        self._settings, self._limits = kube, limits
        self._turn = Turn(self._door, kube.namespace)
        self._anew()
        followed = [
            Followed(kind, namespace, f"{MANAGED}={kube.owner}")
            for namespace in namespaces_of(kube, limits)
            for kind in WATCHED
        ]
        self._own = Following(self._door, followed, hear)
        self._nodes = Following(self._door, _around(kube), lambda: None, by_node)
        self._doing = Doing(self._door, self._own.hear, self._own.lose, kube.threads, BUDGET_S)
        self._turn.start()
        self._own.start()
        self._nodes.start()

    def act(self, world: World) -> list[Event]:
        """Bring the cluster nearer to what is wanted, and tell of it and of its nodes."""
        return self.step(world.clock, world.catalogue())

    def step(self, clock: Callable[[], int], catalogue: Catalogue) -> list[Event]:
        """As `act`, with what is needed of the world."""
        events = self._turn.news(clock())
        if self._turn.others:
            self._stands_by = True
            return events
        if self._stands_by:
            self._anew()
        around = self._nodes.observed()
        for _ in range(_ROUNDS):
            own = self._own.observed()
            told = (*own.troubles, *around.troubles, *self._turn.troubles)
            troubles = tuple(dict.fromkeys(told))
            step = self._actuation.step(clock(), catalogue, replace(own, troubles=troubles))
            events += step.events
            if not step.instructions:
                break
            if self._turn.sure():
                carried = self._doing.execute(step.instructions)
            else:
                carried = tuple(Carried(each, postponed=True) for each in step.instructions)
            events += self._actuation.settle(clock(), carried)
            if any(each.failed or each.postponed for each in carried):
                break
        if self._discovery is not None:
            events += self._discovery.step(clock(), catalogue, around)
        return events

    def end(self, world: World, *, leave: bool) -> list[Event]:
        """Leave everything as it is; nodes are said to be unknown unless another takes over."""
        self.close()
        if leave or self._discovery is None or self._stands_by:
            return []
        return self._discovery.farewell(world.clock())

    def close(self) -> None:
        """Ask and follow no more."""
        self._turn.close()
        self._door.close()
        self._doing.close()
        self._own.close()
        self._nodes.close()

    def _anew(self) -> None:
        """Begin with what the cluster and the catalogue tell: what was known before is old."""
        kube, self._stands_by = self._settings, False
        self._actuation = KubeActuation(params_of(kube, self._limits))
        discovery = DiscoveryParams(
            heartbeat_ms=kube.heartbeat_ms, expiry_ms=kube.expiry_ms, owner=kube.owner
        )
        self._discovery = Discovery(discovery) if kube.discover else None


def _around(kube: KubeSettings) -> Sequence[Followed]:
    """Return what is followed to know the nodes: themselves, and what others' pods request."""
    if not kube.discover:
        return ()
    nodes = Followed("Node")
    return (nodes, Followed("Pod", keep=slim)) if kube.others else (nodes,)


def slim(pod: Manifest) -> Manifest:
    """Return what counts of a pod that may be anybody's: whose it is, where, and its requests."""
    spec, meta = pod.get("spec") or {}, pod["metadata"]
    containers = [
        {"resources": {"requests": (each.get("resources") or {}).get("requests") or {}}}
        for each in spec.get("containers") or ()
    ]
    kept = ("name", "namespace", "uid", "resourceVersion", "labels")
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"nodeName": spec.get("nodeName", ""), "containers": containers},
        "status": {"phase": (pod.get("status") or {}).get("phase", "")},
    }

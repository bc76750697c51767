"""The kinds of Kubernetes that Weir speaks of, where the API has them, and what may be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]
"""An object of Kubernetes as plain data, as its API reads and writes it."""
Key = tuple[str, str, str]
"""Kind, namespace (empty for what has none), name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where the API has objects of a kind."""

    name: str
    api: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """Return the API group; empty for the core."""
        return self.api.rpartition("/")[0]

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of a collection, or of one object in it; all namespaces when empty."""
        root = "/apis/" if "/" in self.api else "/api/"
        within = f"namespaces/{namespace}/" if self.namespaced and namespace else ""
        return f"{root}{self.api}/{within}{self.plural}" + (f"/{name}" if name else "")


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("ConfigMap", "v1", "configmaps"),
        Kind("Deployment", "apps/v1", "deployments"),
        Kind("Service", "v1", "services"),
        Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
        Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
        Kind("Pod", "v1", "pods"),
        Kind("Lease", "coordination.k8s.io/v1", "leases"),
        Kind("Node", "v1", "nodes", namespaced=False),
    )
}
OWNED = ("ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler")
"""What Weir makes of a service; the first is the root that the others belong to."""
WATCHED = (*OWNED, "Pod")
WRITE = ("create", "patch", "delete")
READ = ("get", "list", "watch")


@dataclass(frozen=True, slots=True)
class Right:
    """Something that must be allowed: a verb on a resource, in a namespace or everywhere."""

    verb: str
    group: str
    plural: str
    namespace: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        of = f".{self.group}" if self.group else ""
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {self.plural}{of} {where}"


def rights(namespaces: tuple[str, ...], *, nodes: bool, others: bool) -> tuple[Right, ...]:
    """Return what the actuator must be allowed: nothing beyond is asked for anywhere.

    The first namespace is its own: there lies its Lease. `nodes`: it discovers nodes; `others`: it
    counts what others' pods request of them.
    """
    found = [
        Right(verb, KINDS[name].group, KINDS[name].plural, namespace)
        for namespace in namespaces
        for name in WATCHED
        for verb in (READ + (WRITE if name in OWNED else ()))
    ]
    lease = KINDS["Lease"]
    found += [Right(v, lease.group, lease.plural, namespaces[0]) for v in ("get", *WRITE[:2])]
    found += [Right(verb, "", "nodes") for verb in READ if nodes]
    return (*found, *(Right(verb, "", "pods") for verb in READ if nodes and others))


def key_of(manifest: Manifest) -> Key:
    """Return what identifies an object."""
    meta = manifest["metadata"]
    return str(manifest["kind"]), str(meta.get("namespace", "")), str(meta["name"])

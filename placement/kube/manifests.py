"""From a decision and a registration to what Kubernetes is to hold, as plain data.

Per service one ConfigMap, which is the root that all else belongs to, and per copy one Deployment
that may run on the copy's node alone: so a copy that moves restarts no other, and every Pod
answers for one instance of the catalogue. Its worker is told the node, its own id, and the
instance that it serves. Where a service has its copies scaled by Kubernetes, one Deployment holds
them all, on the nodes that were decided. Ports make a Service, `min_available` makes a
PodDisruptionBudget.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from placement.errors import NotDeployable
from placement.kube.kinds import Manifest
from placement.kube.manifests_names import (
    DOMAIN,
    NAME,
    OWNER,
    checked,
    dns_name,
    is_label,
    is_variable,
    port_name,
)
from placement.kube.manifests_patch import patched, trespasses
from placement.kube.manifests_pods import AUTOSCALE, PodParams, own_variables, pod, ports_of
from schemas.decisions import Assignment, PlacementDecided
from schemas.registrations import NodeReported, ServiceRegistered
from schemas.resources import PortMapping

MANAGED = "app.kubernetes.io/managed-by"
"""Label with the installation that has made an object: what has another is another's."""
SERVICE, INSTANCE, APP = f"{DOMAIN}/service", f"{DOMAIN}/instance", f"{DOMAIN}/app"
GENERATION, DECISION = f"{DOMAIN}/generation", f"{DOMAIN}/decision"
_DIGITS = 18
"""Most digits of a generation: what has more is nobody's, and would take long to read."""
BUSY_SHARE = 0.8
"""Share of the requested CPU that scaling aims at where the service names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestParams:
    """What manifests are made with: whose they are, where they go, and what their Pods are."""

    owner: str = OWNER
    namespace: str = "weir-workloads"
    host_paths: tuple[str, ...] = ()
    pods: PodParams = field(default_factory=PodParams)


def manifests(
    decided: PlacementDecided,
    registered: ServiceRegistered,
    nodes: Mapping[str, NodeReported],
    params: ManifestParams,
) -> tuple[Manifest, ...]:
    """Return what a decision makes of a service, the root first; nothing without assignments.

    Raises NotDeployable, with the rule and the reason, for what may not or cannot be made.
    """
    if not decided.assignments:
        return ()
    made = _Maker(decided, registered, nodes, params)
    found = [made.root(), *made.deployments()]
    if ports := ports_of(registered):
        found.append(made.service(ports))
    if registered.min_available:
        found.append(made.budget())
    if _autoscaled(registered):
        found.append(made.autoscaler())
    return tuple(found)


def closing(decided: PlacementDecided, root: Manifest) -> Manifest:
    """Return what a service's root becomes that is to run no more: a note of the generation."""
    labels = root["metadata"].get("labels") or {}
    own = {name: labels[name] for name in (MANAGED, SERVICE, APP) if name in labels}
    meta = {
        "name": root["metadata"]["name"],
        "namespace": root["metadata"]["namespace"],
        "labels": own,
        "annotations": _annotations(decided),
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


def belonging(manifest: Manifest, root: Manifest) -> Manifest:
    """Return an object that belongs to a root, as the cluster has it: with it, it goes."""
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": root["metadata"]["name"],
        "uid": root["metadata"]["uid"],
    }
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [owner]}}


def generation_of(manifest: Manifest) -> int:
    """Return the generation of the decision that an object carries; -1 when it has none."""
    told = str((manifest["metadata"].get("annotations") or {}).get(GENERATION, ""))
    return int(told) if told.isdecimal() and len(told) <= _DIGITS else -1


def owner_of(manifest: Manifest) -> str:
    """Return the installation that has made an object; empty when none has."""
    return str((manifest["metadata"].get("labels") or {}).get(MANAGED, ""))


def service_of(manifest: Manifest) -> str:
    """Return the service that an object was made for; empty when it does not say."""
    return str((manifest["metadata"].get("annotations") or {}).get(SERVICE, ""))


class _Maker:
    """Makes the objects of one service."""

    def __init__(
        self,
        decided: PlacementDecided,
        registered: ServiceRegistered,
        nodes: Mapping[str, NodeReported],
        params: ManifestParams,
    ) -> None:
        self._decided = decided
        self._registered = registered
        self._nodes = nodes
        self._params = params
        namespace = registered.namespace or params.namespace
        self._namespace = checked(is_label(namespace), namespace, "a namespace")
        self._name = dns_name(decided.service, NAME)
        self._variables = own_variables(registered)
        for name in self._variables:
            checked(is_variable(name), name, "an environment variable")
        self._owner = {MANAGED: params.owner}
        self._labels = self._owner | {
            "app.kubernetes.io/part-of": "weir",
            "app.kubernetes.io/name": dns_name(decided.service),
            SERVICE: dns_name(decided.service),
            APP: dns_name(decided.app),
        }

    def root(self) -> Manifest:
        """Return the ConfigMap with the service's own environment."""
        return self._object("v1", "ConfigMap", self._name, {"data": self._variables})

    def deployments(self) -> list[Manifest]:
        """Return one Deployment per copy; or one of all that Kubernetes may scale."""
        assignments = self._decided.assignments
        if not _autoscaled(self._registered):
            return [self._deployment((each,), each.instance) for each in assignments]
        if len({replace(a, node="", instance="", gpu_index=None) for a in assignments}) > 1:
            told = "its copies differ, and Kubernetes can scale copies only that are all the same"
            raise NotDeployable("scaling", told)
        return [self._deployment(assignments, self._decided.service, replicas=None)]

    def service(self, ports: tuple[PortMapping, ...]) -> Manifest:
        """Return the Service that reaches all copies."""
        told = [
            {
                "name": port_name(p.name, p.port, p.protocol),
                "port": p.exposed or p.port,
                "targetPort": p.port,
                "protocol": p.protocol.upper(),
            }
            for p in ports
        ]
        spec = {"type": "ClusterIP", "selector": self._selected(), "ports": told}
        name = checked(self._name[0].isalpha(), self._name, "a Service: it begins with a digit")
        return self._object("v1", "Service", name, {"spec": spec})

    def budget(self) -> Manifest:
        """Return the PodDisruptionBudget: what others' deeds must leave running."""
        least = min(self._registered.min_available, len(self._decided.assignments))
        spec = {"minAvailable": least, "selector": {"matchLabels": self._selected()}}
        return self._object("policy/v1", "PodDisruptionBudget", self._name, {"spec": spec})

    def autoscaler(self) -> Manifest:
        """Return the HorizontalPodAutoscaler, between `min_replicas` and what was placed."""
        most = len(self._decided.assignments)
        percent = round(100 * (self._registered.target_load or BUSY_SHARE))
        target = {"type": "Utilization", "averageUtilization": percent}
        spec = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self._name},
            "minReplicas": max(1, min(self._registered.min_replicas, most)),
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }
        made = {"spec": spec}
        return self._object("autoscaling/v2", "HorizontalPodAutoscaler", self._name, made)

    def _deployment(
        self, copies: tuple[Assignment, ...], identity: str, replicas: int | None = 1
    ) -> Manifest:
        name = dns_name(identity, NAME)
        labels = self._labels | {INSTANCE: dns_name(identity)}
        told = {f"{DOMAIN}/config": _digest(self._variables)}
        template = {
            "metadata": {"labels": labels, "annotations": told},
            "spec": pod(
                copies,
                identity,
                self._registered,
                self._nodes,
                self._params.pods,
                self._selected(),
                self._name,
            ),
        }
        spec: dict[str, Any] = {
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": self._owner | {INSTANCE: labels[INSTANCE]}},
            "strategy": {"type": "Recreate"},
            "template": template,
        }
        if replicas is not None:
            spec["replicas"] = replicas
        made = self._object("apps/v1", "Deployment", name, {"spec": spec}, identity)
        made = patched(made, self._registered.patch)
        for told_of in trespasses(made, self._params.host_paths):
            raise NotDeployable("pod security", told_of)
        return made

    def _object(
        self, api: str, kind: str, name: str, rest: Mapping[str, Any], instance: str = ""
    ) -> Manifest:
        annotations = _annotations(self._decided)
        meta = {
            "name": name,
            "namespace": self._namespace,
            "labels": self._labels | ({INSTANCE: dns_name(instance)} if instance else {}),
            "annotations": annotations | ({INSTANCE: instance} if instance else {}),
        }
        return {"apiVersion": api, "kind": kind, "metadata": meta, **rest}

    def _selected(self) -> dict[str, str]:
        return self._owner | {SERVICE: self._labels[SERVICE]}


def _autoscaled(registered: ServiceRegistered) -> bool:
    return any(entry.key == AUTOSCALE for entry in registered.environment)


def _annotations(decided: PlacementDecided) -> dict[str, str]:
    return {
        SERVICE: decided.service,
        GENERATION: str(decided.generation),
        DECISION: decided.event_id,
    }


def _digest(data: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]

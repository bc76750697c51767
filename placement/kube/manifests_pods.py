"""The Pods of a service: container, environment, probes, volumes, where they may run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from placement.errors import NotDeployable
from placement.kube.manifests_names import (
    DOMAIN,
    checked,
    dns_name,
    is_qualified,
    is_subdomain,
    is_value,
    port_name,
)
from placement.kube.manifests_resources import mebibytes, resources
from schemas.decisions import Assignment
from schemas.registrations import NodeReported, ServiceRegistered
from schemas.resources import PortMapping, Volume

AUTOSCALE = "kubernetes.autoscale"
"""A service with this key in its environment has its copies scaled by Kubernetes."""
_TERMS = ("serve.", "runtime.", "kubernetes.")
"""Keys of an environment that begin so are read from the catalogue, by nobody from a process."""
_HEALTH = 9100
_ASK = "import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/{path}', timeout=3)"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_USER = 10001
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodParams:
    """What Pods are made with.

    `config` and `secret` name where the settings of Weir are in the namespace of the workloads;
    `models` a claim with model files, mounted at /models, empty for none; MiB for volumes.
    """

    image: str = "weir-worker:0.1.0"
    gpu_image: str = ""
    config: str = "weir"
    secret: str = "weir-credentials"  # noqa: S105  # a name
    account: str = "weir"
    models: str = ""
    gpu: str = "nvidia.com/gpu"
    share: str = f"{DOMAIN}/gpu-milli"
    data_mib: int = 1024
    cache_mib: int = 768
    grace_s: int = 60


def own_variables(registered: ServiceRegistered) -> dict[str, str]:
    """Return the environment that a service's process gets."""
    return {e.key: e.value for e in registered.environment if not e.key.startswith(_TERMS)}


def pod(
    copies: tuple[Assignment, ...],
    serves: str,
    registered: ServiceRegistered,
    nodes: Mapping[str, NodeReported],
    params: PodParams,
    selected: Mapping[str, str],
    config: str,
) -> Document:
    """Return the Pod of copies that are alike, one of which may run on each of their nodes.

    `serves` is the instance or service that its worker is told to serve, `selected` the labels of
    all copies of the service, `config` the ConfigMap with its own environment.
    """
    spread = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    volumes, mounts = _volumes(registered, params)
    container = _container(copies[0], serves, registered, params, config)
    first = nodes.get(copies[0].node)
    container["resources"] = resources(copies[0], registered, first, params.gpu, params.share)
    container["volumeMounts"] = mounts
    affinity: Document = {"nodeAffinity": _pinned(copies)}
    if len(copies) > 1:
        others = {"matchLabels": dict(selected)}
        term = {"labelSelector": others, "topologyKey": "kubernetes.io/hostname"}
        affinity["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {
        "serviceAccountName": params.account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": params.grace_s,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": affinity,
        "tolerations": [_toleration(told) for told in registered.tolerations],
        "topologySpreadConstraints": [
            {**spread, "topologyKey": key, "labelSelector": {"matchLabels": dict(selected)}}
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "containers": [container],
        "volumes": volumes,
    }


def _container(
    copy: Assignment, serves: str, registered: ServiceRegistered, params: PodParams, config: str
) -> Document:
    device = next((v.device for v in registered.variants if v.name == copy.variant), "cpu")
    default = params.image if device == "cpu" else params.gpu_image or params.image
    made: Document = {
        "name": "worker",
        "image": registered.image or default,
        "envFrom": [
            {"configMapRef": {"name": params.config}},
            {"secretRef": {"name": params.secret, "optional": True}},
            {"configMapRef": {"name": config}},
        ],
        "env": [
            {"name": "WEIR_WORKER__NODE", "valueFrom": _field("spec.nodeName")},
            {"name": "WEIR_WORKER__WORKER", "valueFrom": _field("metadata.name")},
            {"name": "WEIR_WORKER__SERVES", "value": serves},
            {"name": "WEIR_WORKER__METRICS_PORT", "value": str(_HEALTH)},
            {"name": "WEIR_ARTIFACTS__CACHE_MIB", "value": str(params.cache_mib)},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if registered.arguments:
        made["args"] = list(registered.arguments)
    if ports := ports_of(registered):
        made["ports"] = [
            {
                "name": port_name(p.name, p.port, p.protocol),
                "containerPort": p.port,
                "protocol": p.protocol.upper(),
            }
            for p in ports
        ]
    return made | _probes(registered, ports)


def ports_of(registered: ServiceRegistered) -> tuple[PortMapping, ...]:
    """Return the ports of a service, those with names first."""
    mapped = {mapping.port for mapping in registered.port_mappings}
    plain = (port for port in registered.ports if port not in mapped)
    return (*registered.port_mappings, *(PortMapping(name="", port=port) for port in plain))


def _probes(registered: ServiceRegistered, ports: tuple[PortMapping, ...]) -> Document:
    """Return how the container is asked: a worker by its health port, others by their first."""
    if registered.image:
        tcp = next((port.port for port in ports if port.protocol == "tcp"), None)
        if tcp is None:
            return {}
        asked: Document = {path: {"tcpSocket": {"port": tcp}} for path in ("live", "ready")}
    else:
        asked = {path: {"exec": {"command": _asking(path)}} for path in ("live", "ready")}
    common = {"periodSeconds": 10, "timeoutSeconds": 5}
    return {
        "startupProbe": {**asked["live"], **common, "periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": {**asked["ready"], **common},
        "livenessProbe": {**asked["live"], **common, "failureThreshold": 6},
    }


def _asking(path: str) -> list[str]:
    return ["python", "-c", _ASK.format(port=_HEALTH, path=path)]


def _field(path: str) -> Document:
    return {"fieldRef": {"fieldPath": path}}


def _pinned(copies: tuple[Assignment, ...]) -> Document:
    """Return the affinity to the nodes that were decided, by name, whatever labels they have."""
    terms = []
    for node in sorted({copy.node for copy in copies}):
        checked(is_subdomain(node), node, "the name of a node")
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        terms.append({"matchFields": [field]})
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}


def _toleration(told: str) -> Document:
    """Return a toleration from `key`, `key=value`, or either with `:effect`.

    Raises NotDeployable for what is none.
    """
    head, colon, effect = told.rpartition(":")
    if not colon or effect not in _EFFECTS:
        head, effect = told, ""
    key, equals, value = head.partition("=")
    checked(is_qualified(key) and is_value(value), told, "a toleration")
    made = {"key": key, "operator": "Equal" if equals else "Exists"}
    made |= {"value": value} if equals else {}
    return made | ({"effect": effect} if effect else {})


def _volumes(
    registered: ServiceRegistered, params: PodParams
) -> tuple[list[Document], list[Document]]:
    """Return volumes and where they are mounted: Weir's own, the models, and the service's."""
    volumes: list[Document] = [
        {"name": "data", "emptyDir": {"sizeLimit": mebibytes(params.data_mib)}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
    ]
    mounts: list[Document] = [
        {"name": "data", "mountPath": "/var/lib/weir"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # of a container
    ]
    if params.models:
        claim = {"claimName": params.models, "readOnly": True}
        volumes.append({"name": "models", "persistentVolumeClaim": claim})
        mounts.append({"name": "models", "mountPath": "/models", "readOnly": True})
    for volume in registered.volumes:
        name = dns_name(f"own-{volume.name}")
        volumes.append({"name": name, **_source(volume)})
        mount: Document = {"name": name, "mountPath": volume.path}
        mounts.append(mount | ({"readOnly": True} if volume.read_only else {}))
    return volumes, mounts


def _source(volume: Volume) -> Document:
    name = volume.source
    match volume.kind:
        case "empty":
            return {"emptyDir": {}}
        case "host":
            return {"hostPath": {"path": name}}
        case "claim":
            checked(is_subdomain(name), name, "the name of a claim")
            return {"persistentVolumeClaim": {"claimName": name, "readOnly": volume.read_only}}
        case "config":
            return {"configMap": {"name": checked(is_subdomain(name), name, "a config map")}}
        case "secret":
            return {"secret": {"secretName": checked(is_subdomain(name), name, "a secret")}}
    raise NotDeployable("volumes", f"volume {volume.name}: there is no kind {volume.kind!r}")

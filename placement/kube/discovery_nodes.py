"""One node of a cluster's API as a node of the catalogue. Pure.

Understood are the labels of Kubernetes, of NVIDIA's GPU feature discovery (product, memory, count,
time slices, MIG, driver and CUDA versions), and extended resources of any name.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from placement.kube.kinds import Manifest
from placement.kube.manifests import owner_of
from placement.kube.manifests_names import OWNER
from placement.kube.quantities import mebi, milli, whole
from schemas.records import KeyValue
from schemas.registrations import NodeReported
from schemas.resources import Amount, Core, Gpu

SOURCE = "kubernetes"
AGENT = "weir.agent"
"""Label of nodes that an agent reports: where it answers neighbours, empty where it does not."""
SPEED = "weir.dev/speed"
"""Label of nodes whose speed is known, relative to the reference node."""
GPU = "nvidia.com/gpu"
_SHARED = f"{GPU}.shared"
_ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_SLICE = re.compile(r"-MIG-([0-9]+g\.[0-9]+gb)")
_IN_STATUS = (
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/unschedulable",
)
"""Taints that say what the status says."""
_OVER = ("Succeeded", "Failed")


def reported(node: Manifest, pods: Iterable[Manifest], owner: str = OWNER) -> NodeReported:
    """Return a node as its API tells it, at no time; `pods` are those that run there.

    What the owner's own pods request counts as free: their placements are counted elsewhere.
    """
    meta, status = node["metadata"], node.get("status") or {}
    labels: Mapping[str, str] = meta.get("labels") or {}
    room: Mapping[str, str] = status.get("allocatable") or status.get("capacity") or {}
    used = _requested(pods, owner)
    info = status.get("nodeInfo") or {}
    state, message = _state(node)
    return NodeReported(
        node=str(meta["name"]),
        zone=next((labels[key] for key in _ZONES if labels.get(key)), ""),
        cpu_milli=milli(room.get("cpu", "0")),
        cpu_used_milli=used["cpu"],
        memory_mib=mebi(room.get("memory", "0")),
        memory_used_mib=_up(used["memory"]),
        disk_mib=mebi(room.get("ephemeral-storage", "0")),
        disk_used_mib=_up(used["ephemeral-storage"]),
        gpus=_gpus(labels, room, used),
        amounts=_amounts(room, used),
        labels=tuple(KeyValue(key=key, value=labels[key]) for key in sorted(labels)),
        taints=_taints(node),
        architecture=str(info.get("architecture") or labels.get("kubernetes.io/arch", "")),
        operating_system=str(info.get("operatingSystem") or labels.get("kubernetes.io/os", "")),
        software=_software(labels, info),
        speed=_speed(labels),
        status=state,
        message=message,
        hardware_id=str(info.get("systemUUID", "")),
        heartbeat=0,
        expires_at=0,
        source=SOURCE,
    )


def enriched(told: NodeReported, agent: NodeReported | None) -> NodeReported:
    """Return a node with what an agent on it knows and the API does not."""
    if agent is None:
        return told
    at = [label for label in agent.labels if label.key == AGENT]
    own = {entry.key for entry in told.software}
    ids = {gpu.index: gpu for gpu in agent.gpus}
    gpus = tuple(
        replace(
            gpu,
            hardware_id=ids[gpu.index].hardware_id,
            memory_mib=gpu.memory_mib or ids[gpu.index].memory_mib,
        )
        if gpu.index in ids and len(agent.gpus) == len(told.gpus)
        else gpu
        for gpu in told.gpus
    )
    return replace(
        told,
        cores=tuple(Core(capacity_milli=c.capacity_milli, used_milli=0) for c in agent.cores),
        gpus=gpus,
        labels=(*(label for label in told.labels if label.key != AGENT), *at),
        software=(*told.software, *(entry for entry in agent.software if entry.key not in own)),
        network_mbps=agent.network_mbps,
        speed=agent.speed if told.speed == 1.0 else told.speed,
        virtual_memory_mib=agent.virtual_memory_mib,
        frequency_mhz=agent.frequency_mhz,
        hardware_id=agent.hardware_id or told.hardware_id,
        links=agent.links,
        idle_w=agent.idle_w,
        full_w=agent.full_w,
    )


def _state(node: Manifest) -> tuple[str, str | None]:
    """Return status and message: what the kubelet says, and whether somebody has cordoned it."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready: Mapping[str, Any] = next((c for c in conditions if c.get("type") == "Ready"), {})
    why = str(ready.get("message") or ready.get("reason") or "")
    if "deletionTimestamp" in node["metadata"]:
        return "draining", "it is being removed from the cluster"
    if ready.get("status") == "False":
        return "failed", f"its kubelet is not ready: {why}"
    if ready.get("status") != "True":
        return "unknown", f"its kubelet says nothing: {why}"
    if (node.get("spec") or {}).get("unschedulable"):
        return "draining", "it is cordoned"
    return "ready", None


def _taints(node: Manifest) -> tuple[str, ...]:
    """Return taints as `key=value:effect` or `key:effect`; those that only advise are left out."""
    found = []
    for taint in (node.get("spec") or {}).get("taints") or ():
        key, value, effect = taint["key"], taint.get("value", ""), taint.get("effect", "")
        if key not in _IN_STATUS and effect != "PreferNoSchedule":
            found.append(f"{key}={value}:{effect}" if value else f"{key}:{effect}")
    return tuple(sorted(found))


def _requested(pods: Iterable[Manifest], owner: str) -> Counter[str]:
    """Return what pods of others request: CPU in thousandths, else bytes or pieces."""
    total: Counter[str] = Counter()
    for pod in pods:
        if owner_of(pod) == owner:
            continue
        if (pod.get("status") or {}).get("phase") in _OVER:
            continue
        for container in (pod.get("spec") or {}).get("containers") or ():
            for name, text in ((container.get("resources") or {}).get("requests") or {}).items():
                total[name] += milli(text) if name == "cpu" else whole(text)
    return total


def _gpus(
    labels: Mapping[str, str], room: Mapping[str, str], used: Counter[str]
) -> tuple[Gpu, ...]:
    """Return the GPUs of a node; with MIG in one size, its slices; time slices count once.

    Which of them others use is not told: the last ones.
    """
    slices = max(1, whole(labels.get("nvidia.com/gpu.replicas", "1")))
    offered = whole(room.get(GPU, "0")) + whole(room.get(_SHARED, "0"))
    count = -(-offered // slices)
    product = labels.get("nvidia.com/gpu.product", "NVIDIA" if count else "")
    profile = _SLICE.search(product)
    model = _SLICE.sub("", product.removesuffix("-SHARED"))
    taken = used[GPU] + used[_SHARED]
    free = count * slices - taken
    return tuple(
        Gpu(
            index=index,
            model=model,
            memory_mib=whole(labels.get("nvidia.com/gpu.memory", "0")),
            used_milli=1000 - 1000 * min(slices, max(0, free - index * slices)) // slices,
            partition=profile.group(1) if profile else "",
        )
        for index in range(count)
    )


def _amounts(room: Mapping[str, str], used: Counter[str]) -> tuple[Amount, ...]:
    """Return extended resources that are no whole GPUs, MIG slices of several sizes among them."""
    return tuple(
        Amount(name=name, capacity=whole(room[name]), used=used[name])
        for name in sorted(room)
        if "/" in name and name != GPU and whole(room[name]) > 0
    )


def _software(labels: Mapping[str, str], info: Mapping[str, Any]) -> tuple[KeyValue, ...]:
    found = {
        "kubelet": str(info.get("kubeletVersion", "")).removeprefix("v"),
        "kernel": str(info.get("kernelVersion", "")),
        "nvidia-driver": _version(labels, "nvidia.com/cuda.driver", ("major", "minor", "rev")),
        "cuda": _version(labels, "nvidia.com/cuda.runtime", ("major", "minor")),
    }
    name, _, version = str(info.get("containerRuntimeVersion", "")).partition("://")
    found |= {name: version} if name else {}
    return tuple(KeyValue(key=key, value=found[key]) for key in sorted(found) if found[key])


def _version(labels: Mapping[str, str], name: str, parts: Sequence[str]) -> str:
    """Return a version, whole (`-version.full`) or from its parts; empty when it is not told."""
    told = [labels.get(f"{name}.{part}", "") for part in parts]
    return labels.get(f"{name}-version.full", "") or ".".join(part for part in told if part)


def _speed(labels: Mapping[str, str]) -> float:
    try:
        speed = float(labels.get(SPEED, "1"))
    except ValueError:
        return 1.0
    return speed if 0 < speed < float("inf") else 1.0


def _up(amount: int) -> int:
    """Return bytes in MiB, rounded up: what others use is never counted too low."""
    return -(-amount // (1024 * 1024))

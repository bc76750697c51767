"""Nodes that are objects alone, and a thread that plays the kubelet of all of them."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone

from tests.kube.asking import Api, Document, Refused
from tests.kube.building import version

PODS = "/api/v1/pods"
GPU = "nvidia.com/gpu"
Fate = Callable[[Document], Document]
"""From a Pod that has its node to the status that its kubelet would report."""


def node(name: str, *, gpus: int = 0, labels: dict[str, str] | None = None) -> Document:
    """Return a node as a kubelet registers it, with what NVIDIA's feature discovery adds."""
    found = {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64"}
    if gpus:
        found |= {
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB",
            "nvidia.com/gpu.count": str(gpus),
            "nvidia.com/gpu.memory": "40960",
        }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": found | (labels or {})},
    }


def add_node(api: Api, wanted: Document) -> None:
    """Create a node and report for it: it is ready, with 16 cores, 64 GiB, and its GPUs.

    Its taints are then those that were wanted: a new node is tainted as not ready at first.
    """
    name, labels = wanted["metadata"]["name"], wanted["metadata"]["labels"]
    api.create("/api/v1/nodes", wanted)
    room = {"cpu": "16", "memory": "64Gi", "pods": "500", "ephemeral-storage": "200Gi"}
    room[GPU] = labels.get("nvidia.com/gpu.count", "0")
    now = _now()
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "it is"}
    status = {
        "capacity": room,
        "allocatable": room,
        "conditions": [ready | {"lastHeartbeatTime": now, "lastTransitionTime": now}],
        "nodeInfo": {
            "architecture": labels["kubernetes.io/arch"],
            "operatingSystem": "linux",
            "kernelVersion": "6.1.0",
            "kubeletVersion": version(),
            "containerRuntimeVersion": "containerd://2.1.0",
        },
    }
    path = f"/api/v1/nodes/{name}"
    api.merge(path, {"status": status}, "/status")
    api.merge(path, {"spec": {"taints": wanted.get("spec", {}).get("taints")}})


def running(pod: Document) -> Document:
    """Return the status of a Pod whose containers all serve."""
    return _status(pod, "Running", {"running": {"startedAt": _now()}}, ready=True)


def waiting(reason: str, message: str, *, restarts: int = 0) -> Fate:
    """Return a fate: the containers wait, as with ImagePullBackOff or CrashLoopBackOff."""

    def fate(pod: Document) -> Document:
        state = {"waiting": {"reason": reason, "message": message}}
        return _status(pod, "Pending", state, restarts=restarts)

    return fate


@contextlib.contextmanager
def kubelet(api: Api, fates: Mapping[str, Fate]) -> Iterator[None]:
    """Meanwhile give every Pod that has a node the fate of its namespace, and let deleted ones go.

    Where a namespace has no fate, its Pods serve.
    """
    own = Api(api.port, api.certificates)
    stopped = threading.Event()
    thread = threading.Thread(target=_play, args=(own, fates, stopped), name="kubelet")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        own.close()


def _play(api: Api, fates: Mapping[str, Fate], stopped: threading.Event) -> None:
    since = ""
    while not stopped.is_set():
        try:
            if not since:
                found = api.get(PODS)
                for pod in found["items"]:
                    _serve(api, fates, pod)
                since = found["metadata"]["resourceVersion"]
            since = _follow(api, fates, since, stopped)
        except (Refused, OSError, http.client.HTTPException):
            since = ""
            stopped.wait(0.1)


def _follow(api: Api, fates: Mapping[str, Fate], since: str, stopped: threading.Event) -> str:
    """Serve what changes for a second; return where to go on, or "" where that is not known."""
    with api.watching(PODS, since, stay_s=1) as changes:
        for change in changes:
            if change["type"] == "ERROR" or stopped.is_set():
                return ""
            if change["type"] != "DELETED":
                _serve(api, fates, change["object"])
            since = change["object"]["metadata"]["resourceVersion"]
    return since


def _serve(api: Api, fates: Mapping[str, Fate], pod: Document) -> None:
    held = pod["metadata"]
    path = f"/api/v1/namespaces/{held['namespace']}/pods/{held['name']}"
    gone = {"gracePeriodSeconds": 0, "preconditions": {"uid": held["uid"]}}
    fate = fates.get(held["namespace"], running)
    with contextlib.suppress(Refused):  # another hand was faster
        if "deletionTimestamp" in held:
            api.ask("DELETE", path, gone)
        elif pod["spec"].get("nodeName") and "podIP" not in pod["status"]:
            api.merge(path, {"status": fate(pod)}, "/status")


def _status(
    pod: Document, phase: str, state: Document, *, ready: bool = False, restarts: int = 0
) -> Document:
    told = "True" if ready else "False"
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": ready,
            "restartCount": restarts,
            "state": state,
        }
        for container in pod["spec"]["containers"]
    ]
    conditions = [
        {"type": kind, "status": told, "lastTransitionTime": _now()}
        for kind in ("Initialized", "ContainersReady", "Ready")
    ]
    return {
        "phase": phase,
        "conditions": [*conditions, _scheduled()],
        "containerStatuses": containers,
        "podIP": "10.1.0.1",
    }


def _scheduled() -> Document:
    return {"type": "PodScheduled", "status": "True", "lastTransitionTime": _now()}


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

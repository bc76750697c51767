"""What became of a placement in a cluster, from its Deployments and their Pods. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from placement.kube.kinds import Manifest
from placement.kube.manifests import INSTANCE, generation_of
from placement.kube.manifests_names import dns_name
from placement.kube.view import Group
from schemas.decisions import PlacementDecided

_WAITING = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PostStartHookError",
        "CrashLoopBackOff",
    }
)
"""Reasons for which a container waits that do not pass by themselves."""
_MOST_WORDS = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """How a placement stands: copies wanted and serving, phase, reason in one word, sentence."""

    desired: int
    ready: int
    phase: str
    reason: str = ""
    message: str = ""


def standing(
    decided: PlacementDecided, group: Group, trouble: tuple[str, str] | None = None
) -> Standing:
    """Judge a placement by what the cluster has of it.

    Phases as of `placement.local.deployments`: available, degraded, failed, progressing, removed.
    `trouble` is the reason and message of what kept it from being carried out.
    """
    deployments = [body for (kind, *_), body in group.items() if kind == "Deployment"]
    pods = [body for (kind, *_), body in group.items() if kind == "Pod"]
    if not decided.assignments and not decided.replicas:
        left = sorted(str(body["metadata"]["name"]) for body in (*deployments, *pods))
        if left:
            return Standing(0, 0, "progressing", message=f"still there: {', '.join(left[:5])}")
        return Standing(0, 0, "removed", message="no copy is left")
    current = [body for body in deployments if _meant(body, decided)]
    ready, desired = sum(map(_ready, current)), _desired(decided, current)
    count = f"{ready} of {desired} copies serve"
    if ready >= desired and trouble is None:
        return Standing(desired, ready, "available", message=count)
    found = [trouble] if trouble else list(dict.fromkeys(_troubles(current, pods, decided)))
    reason = found[0][0] if found else ""
    told = "; ".join(message for _, message in found[:3])[:_MOST_WORDS]
    if ready:
        said = f"{count}; {told}" if told else count
        return Standing(desired, ready, "degraded", reason, said)
    phase = "failed" if found else "progressing"
    return Standing(desired, 0, phase, reason, told or decided.reason or count)


def _ready(deployment: Manifest) -> int:
    """Return the copies of a Deployment that serve; none before its controller has seen it."""
    status = deployment.get("status") or {}
    seen = int(status.get("observedGeneration") or 0)
    if seen < int(deployment["metadata"].get("generation") or 0):
        return 0
    return min(int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0))


def _desired(decided: PlacementDecided, current: Sequence[Manifest]) -> int:
    """Return the copies wanted: those decided, or so many of them as Kubernetes has scaled to."""
    for deployment in current:
        if _instance(deployment) == decided.service:
            scaled = (deployment.get("spec") or {}).get("replicas", decided.replicas)
            return min(int(scaled), decided.replicas)
    return decided.replicas


def _meant(deployment: Manifest, decided: PlacementDecided) -> bool:
    """Return whether a Deployment is of this decision, and not one that is about to go."""
    named = _instance(deployment) in (decided.service, *_instances(decided))
    leaving = "deletionTimestamp" in deployment["metadata"]
    return named and not leaving and generation_of(deployment) >= decided.generation


def _troubles(
    deployments: Sequence[Manifest], pods: Iterable[Manifest], decided: PlacementDecided
) -> Iterator[tuple[str, str]]:
    """Yield reasons and messages, those nearest to the cause first."""
    names = {dns_name(name): name for name in (decided.service, *_instances(decided))}
    for pod in pods if deployments else ():
        who = names.get((pod["metadata"].get("labels") or {}).get(INSTANCE, ""))
        if "deletionTimestamp" in pod["metadata"] or who is None:
            continue
        for reason, message in _pod_troubles(pod.get("status") or {}):
            yield reason, ": ".join(filter(None, (who, reason, message)))
    for deployment in deployments:
        for condition in (deployment.get("status") or {}).get("conditions") or ():
            broken = {"ReplicaFailure": "True", "Progressing": "False"}.get(condition["type"])
            if broken == condition.get("status"):
                reason = str(condition.get("reason", ""))
                who = _instance(deployment)
                yield reason, f"{who}: {reason}: {condition.get('message', '')}"


def _pod_troubles(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("status") == "False":
            yield str(condition.get("reason") or "Unschedulable"), str(condition.get("message", ""))
    if status.get("phase") == "Failed":
        yield str(status.get("reason") or "Failed"), str(status.get("message", ""))
    containers = (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    )
    for container in containers:
        state, last = container.get("state") or {}, container.get("lastState") or {}
        waiting = state.get("waiting") or {}
        ended = state.get("terminated") or last.get("terminated") or {}
        if waiting.get("reason") in _WAITING:
            told = str(waiting.get("message", ""))
            yield waiting["reason"], f"{told}; {_ended(ended)}" if ended else told
        elif ended and not container.get("ready") and ended.get("exitCode") != 0:
            yield str(ended.get("reason") or "Error"), _ended(ended)


def _ended(terminated: Mapping[str, Any]) -> str:
    reason, code = terminated.get("reason", "Error"), terminated.get("exitCode", "?")
    told = str(terminated.get("message", "")).strip()
    return f"it ended with {code} ({reason}{': ' + told if told else ''})"


def _instance(deployment: Manifest) -> str:
    return str((deployment["metadata"].get("annotations") or {}).get(INSTANCE, ""))


def _instances(decided: PlacementDecided) -> Iterator[str]:
    return (assignment.instance for assignment in decided.assignments)

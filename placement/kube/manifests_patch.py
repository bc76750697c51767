"""A service's own patch over its generated Deployment, and what no patch may do."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from placement.errors import NotDeployable
from placement.kube.kinds import Manifest

_IDENTITY = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("metadata", "ownerReferences"),
    ("spec", "replicas"),
    ("spec", "selector"),
    ("spec", "template", "spec", "serviceAccountName"),
    ("spec", "template", "spec", "automountServiceAccountToken"),
    ("spec", "template", "spec", "nodeName"),
    ("spec", "template", "spec", "affinity", "nodeAffinity"),
)
"""What says whose the Deployment is, how many copies it has, and where they run."""
_LABELS = (
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("spec", "template", "metadata", "labels"),
)
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_CONTEXT: Mapping[str, Any] = {"capabilities": {}, "seccompProfile": {}, "appArmorProfile": {}}
_CONTAINER = {"name": "", "image": "", "ports": [{}], "securityContext": _CONTEXT}
_FORM = {
    "securityContext": _CONTEXT,
    "volumes": [
        {"name": "", "hostPath": {"path": ""}, "image": {}, "projected": {"sources": [{}]}}
    ],
    "initContainers": [_CONTAINER],
    "containers": [_CONTAINER],
    "ephemeralContainers": [_CONTAINER],
}
"""What a Pod is made of, as far as it is looked at here."""
_DEEPEST = 32
"""Levels of a patch; a Deployment has half as many."""


def merged(target: Any, patch: Any) -> Any:
    """Return a JSON merge patch applied (RFC 7396): null removes, lists are replaced whole."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def patched(deployment: Manifest, patch: str) -> Manifest:
    """Return a Deployment with a service's patch, `patch` being JSON or empty.

    Raises NotDeployable for what is no JSON object, for a patch that changes who the Deployment
    belongs to, how many copies it has or where they run, and for one that leaves no Deployment.
    """
    if not patch.strip():
        return deployment
    try:
        told = json.loads(patch)
    except (ValueError, RecursionError) as error:
        raise NotDeployable("patch", f"it is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise NotDeployable("patch", "it is no JSON object")
    if _deep(told):
        raise NotDeployable("patch", f"it has more than {_DEEPEST} levels")
    result: Manifest = merged(deployment, told)
    for path in _IDENTITY:
        if _at(result, path) != _at(deployment, path):
            raise NotDeployable("patch", f"it changes {'.'.join(path)}, which is Weir's")
    for path in _LABELS:
        before, after = _at(deployment, path), _at(result, path)
        if not isinstance(after, Mapping) or not before.items() <= after.items():
            raise NotDeployable("patch", f"it changes Weir's own {'.'.join(path)}")
    if not _fits(_at(result, ("spec", "template", "spec")), _FORM):
        raise NotDeployable("patch", "what it makes of spec.template.spec is no Pod's")
    return result


def trespasses(deployment: Manifest, host_paths: tuple[str, ...]) -> Iterator[str]:
    """Yield what a Deployment takes of its host or of the API beyond what Weir allows, in words.

    `host_paths` are folders that may be mounted, with what is below them.
    """
    spec = _at(deployment, ("spec", "template", "spec")) or {}
    yield from (f"{name} shares the node's" for name in _HOST if spec.get(name))
    rank = str(spec.get("priorityClassName") or "")
    if rank.startswith("system-"):
        yield f"priority class {rank} is for what the cluster itself needs"
    for volume in spec.get("volumes") or ():
        path = str((volume.get("hostPath") or {}).get("path", ""))
        if path and not _below(path, host_paths):
            yield f"path {path} of the host is not on the list"
        sources = (volume.get("projected") or {}).get("sources") or ()
        if any("serviceAccountToken" in source for source in sources):
            yield f"volume {volume.get('name')} holds a token of the API"
    if (spec.get("securityContext") or {}).get("runAsNonRoot") is not True:
        yield "the pod may run as root"
    yield from _raised(spec.get("securityContext") or {}, "the pod")
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            who = str(container.get("name"))
            yield from _raised(container.get("securityContext") or {}, who)
            for port in container.get("ports") or ():
                if taken := port.get("hostPort"):
                    yield f"{who} takes port {taken} of the node"


def images(deployment: Manifest) -> set[str]:
    """Return the images of all containers and volumes."""
    spec = _at(deployment, ("spec", "template", "spec")) or {}
    groups = [spec.get(kind) or () for kind in ("initContainers", "containers")]
    found = {str(container.get("image", "")) for group in groups for container in group}
    mounted = [volume["image"] for volume in spec.get("volumes") or () if volume.get("image")]
    return found | {str(image.get("reference", "")) for image in mounted}


def _raised(context: Mapping[str, Any], who: str) -> Iterator[str]:
    if context.get("privileged"):
        yield f"{who} is privileged"
    if context.get("allowPrivilegeEscalation"):
        yield f"{who} may raise its privileges"
    if context.get("runAsNonRoot") is False or context.get("runAsUser") == 0:
        yield f"{who} runs as root"
    if (context.get("capabilities") or {}).get("add"):
        yield f"{who} adds capabilities"
    for profile in ("seccompProfile", "appArmorProfile"):
        if (context.get(profile) or {}).get("type") == "Unconfined":
            yield f"{who} is not confined by a {profile}"


def _below(path: str, folders: tuple[str, ...]) -> bool:
    parts = path.rstrip("/").split("/")
    if ".." in parts:
        return False
    begins = (folder.rstrip("/").split("/") for folder in folders)
    return any(parts[: len(begin)] == begin for begin in begins)


def _deep(document: Any) -> bool:
    """Return whether a document has too many levels for what walks through it."""
    level = [document]
    for _ in range(_DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for group in inner for each in group if isinstance(each, dict | list)]
    return bool(level)


def _fits(value: Any, form: Any) -> bool:
    """Return whether a value is absent or of a form: of its type, and so are its parts."""
    if value is None:
        return True
    if isinstance(form, Mapping):
        return isinstance(value, Mapping) and all(_fits(value.get(k), form[k]) for k in form)
    if isinstance(form, list):
        return isinstance(value, list) and all(e is not None and _fits(e, form[0]) for e in value)
    return isinstance(value, type(form))


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document

"""What is deployed, read from the files of `deploy/`; for the tests of this folder."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
BASE, AGENTS, WORKLOADS = (DEPLOY / "k8s" / name for name in ("base", "agents", "workloads"))
IMAGES = sorted((DEPLOY / "images").glob("*.Dockerfile"))
Document = dict[str, Any]


def compose() -> Document:
    """Return the compose file."""
    loaded: Document = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return loaded


@cache
def manifests(*folders: Path) -> list[Document]:
    """Return every Kubernetes object, or those of some folders; all who ask share them."""
    return [
        document
        for folder in folders or (BASE, AGENTS, WORKLOADS)
        for path in sorted(folder.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text("utf-8"))
    ]


def templates() -> Iterator[tuple[str, Document]]:
    """Yield every pod template, under the name of its workload."""
    for document in manifests():
        if "template" in document.get("spec", {}):
            yield document["metadata"]["name"], document["spec"]["template"]


def containers() -> Iterator[tuple[str, Document]]:
    """Yield every container, under the name of its workload."""
    for name, template in templates():
        spec = template["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            yield name, container

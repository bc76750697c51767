"""What `kubectl apply -k` does with a folder of deploy/k8s, as far as Weir's need it."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.kube.asking import Api, Document

DEPLOY = Path(__file__).parents[2] / "deploy" / "k8s"
FOLDERS = ("base", "workloads", "agents")


def documents(folder: str) -> Iterator[Document]:
    """Yield the objects of a folder, in the namespace that its kustomization gives them."""
    kustomization = yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text("utf-8"))
    for name in kustomization["resources"]:
        for found in yaml.safe_load_all((DEPLOY / folder / name).read_text("utf-8")):
            found["metadata"].setdefault("namespace", kustomization["namespace"])
            yield found


def apply_all(api: Api, folder: str) -> list[str]:
    """Apply a folder, held to its schemas; return the kinds. Raises Refused."""
    kinds = []
    for found in documents(folder):
        api.apply(_path(api, found), found, "kubectl")
        kinds.append(found["kind"])
    return kinds


def kubeconfig_of(api: Api, namespace: str, account: str, path: Path) -> Path:
    """Write a kubeconfig that acts as a service account, by a token that the server gives."""
    where = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    token = api.create(where, {"spec": {"expirationSeconds": 600}})["status"]["token"]
    return kubeconfig_by(api, token, path)


def kubeconfig_by(api: Api, token: str, path: Path) -> Path:
    """Write a kubeconfig that acts by a token."""
    authority = str(api.certificates / "ca.crt")
    cluster = {"server": f"https://127.0.0.1:{api.port}", "certificate-authority": authority}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "bearer", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "bearer"}}],
        "current-context": "tests",
    }
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def _path(api: Api, found: Document) -> str:
    """Return where an object stands, by what the server tells of its kinds."""
    root = f"/{'apis' if '/' in found['apiVersion'] else 'api'}/{found['apiVersion']}"
    told = next(
        r for r in api.get(root)["resources"] if r["kind"] == found["kind"] and "/" not in r["name"]
    )
    held = found["metadata"]
    space = held["namespace"] if told["namespaced"] else held.pop("namespace", "")
    within = f"/namespaces/{space}" if told["namespaced"] else ""
    return f"{root}{within}/{told['name']}/{held['name']}"

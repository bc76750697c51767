"""Weir on whatever cluster there is: one service placed, mended and taken away again.

Everything happens in a namespace of its own, which is deleted in the end; of the cluster itself
only nodes and the requests of pods are read.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from placement.kube.door import Kube, Patience, connect
from placement.kube.kinds import KINDS, rights
from schemas.registrations import NodeReported
from tests.kube.driving import Driven, acting, request
from tests.kube.services import service
from workers.clock import wall_ms
from workers.settings import KubeSettings

Say = Callable[[str], None]
NAME = "smoke"
IMAGE = "registry.k8s.io/pause:3.10"
PULL_S = 180.0
_NAMESPACES = "/api/v1/namespaces"


def smoke(kubeconfig: str, say: Say, *, keep: bool = False) -> None:
    """Try it; with `keep` the namespace stays, to look at where something is wrong.

    Raises ClusterUnknown without a cluster, AssertionError where something is wrong.
    """
    name = f"weir-smoke-{wall_ms()}"
    with closing(connect(kubeconfig, patience=Patience(all_s=10.0))) as door:
        say(f"{kubeconfig}: namespace {name}")
        with namespace(door, name, keep=keep):
            lacking, trouble = door.missing(rights((name,), nodes=True, others=True))
            assert trouble is None, trouble.message
            assert not lacking, f"not allowed: {', '.join(map(str, lacking))}"
            with Driven(kubeconfig, name, placing=True) as driven:
                live(door, driven, name, say)


def live(door: Kube, driven: Driven, where: str, say: Say) -> None:
    """Let a service come, be torn down by another hand, come back, and go."""
    driven.tell(acting(), service(NAME, image=IMAGE))
    driven.until(lambda: any(e.status == "ready" for e in driven.heard(NodeReported)))
    nodes = {event.node for event in driven.heard(NodeReported)}
    say(f"{len(nodes)} nodes: {', '.join(sorted(nodes)[:5])}")
    driven.tell(request(NAME, 1))
    driven.until(lambda: driven.phase(NAME) == "available", PULL_S)
    (found,) = door.listed("Deployment", where).body["items"]
    say(f"Deployment {found['metadata']['name']} serves")
    path = KINDS["Deployment"].path(where, found["metadata"]["name"])
    assert door.ask("DELETE", path).done
    driven.until(lambda: uid(door, path) not in ("", found["metadata"]["uid"]))
    driven.until(lambda: driven.phase(NAME) == "available", PULL_S)
    say("deleted by another hand, it came back")
    driven.tell(request(NAME, 0))
    driven.until(lambda: driven.phase(NAME) == "removed", PULL_S)
    assert door.listed("Deployment", where).body["items"] == []
    say("retired, nothing of it is left")


def uid(door: Kube, path: str) -> str:
    """Return which object is there now, empty when there is none."""
    return str(door.ask("GET", path).body.get("metadata", {}).get("uid", ""))


@contextmanager
def namespace(door: Kube, name: str, *, keep: bool) -> Iterator[None]:
    """Give a namespace with what Pods of workers name; it is deleted with all in it, or kept."""
    made = door.ask("POST", _NAMESPACES, {"metadata": {"name": name}})
    assert made.done, made.message
    try:
        within = f"{_NAMESPACES}/{name}"
        beside = KubeSettings()
        for plural, needed in (("serviceaccounts", beside.account), ("configmaps", beside.config)):
            assert door.ask("POST", f"{within}/{plural}", {"metadata": {"name": needed}}).done
        yield
    finally:
        if not keep:
            gone = door.ask("DELETE", f"{_NAMESPACES}/{name}")
            assert gone.done, gone.message
